package cpu

import (
	"iter"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/quant"
)

// segment is a run of features, in packed order, of one weight group and one
// activation group.
type segment struct {
	lo, hi int32
	group  int32 // weight group
	act    int32 // activation group
}

// segments divides K. The order of features is that of the weight groups.
func segments(s *backend.Spec) iter.Seq[segment] {
	run := s.Recipe.ActGroup()
	return func(yield func(segment) bool) {
		if s.Plain.Valid() {
			yield(segment{hi: int32(s.K)})
			return
		}
		act := int32(0)
		for g := range s.Groups.Count {
			lo, hi := s.Groups.Bound(g, s.K), s.Groups.Bound(g+1, s.K)
			for lo < hi {
				end := hi
				if run > 0 {
					end = min(lo+run, hi)
				}
				if !yield(segment{int32(lo), int32(end), int32(g), act}) {
					return
				}
				if lo = end; run > 0 {
					act++
				}
			}
		}
	}
}

// sizes are what the segments of a Spec come to.
type sizes struct {
	segments int
	width    int // features, each segment padded to whole rounds of eight lanes
	tiled    int // and to whole tiles of pairs
}

// sizesOne is of one segment.
func sizesOne(features int) sizes { return sizes{1, padded(features), tilePanel.padded(features)} }

// plus is with those of others, so many times.
func (z sizes) plus(others sizes, times int) sizes {
	return sizes{z.segments + times*others.segments, z.width + times*others.width, z.tiled + times*others.tiled}
}

// sizesOf is computed, not counted, where groups are of one length: a Spec
// that nobody has a layer for may have any number of them.
func sizesOf(s *backend.Spec) (z sizes) {
	run := s.Recipe.ActGroup()
	group := func(features int) sizes {
		if run == 0 || features <= run {
			return sizesOne(features)
		}
		z := sizes{}.plus(sizesOne(run), features/run)
		if rest := features % run; rest > 0 {
			z = z.plus(sizesOne(rest), 1)
		}
		return z
	}
	switch g := &s.Groups; {
	case s.Plain.Valid() || g.Longest < 1:
		return sizesOne(s.K)
	case g.Bounds == nil:
		z = z.plus(group(min(g.Longest, s.K)), s.K/g.Longest)
		if rest := s.K % g.Longest; rest > 0 {
			z = z.plus(group(rest), 1)
		}
	default:
		for e := range segments(s) {
			z = z.plus(sizesOne(int(e.hi-e.lo)), 1)
		}
	}
	return z
}

// goRowSegments are the segments of a prepared row for the kernels in plain
// Go: one for each activation scale.
func goRowSegments(s *backend.Spec) (out []rows.Segment) {
	if s.Recipe.Kind != quant.Int8Group {
		return []rows.Segment{{Hi: int32(s.K)}}
	}
	at := int32(0)
	for e := range segments(s) {
		out = append(out, rows.Segment{Lo: e.lo, Hi: e.hi, At: at})
		at += int32(padded(int(e.hi - e.lo)))
	}
	return out
}
