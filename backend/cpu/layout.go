package cpu

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// layout places the parts of a layer's packed weights in one buffer: offsets
// in bytes, each a multiple of 64.
type layout struct {
	rows     int64 // [N] rows of codes or plain elements, canonical
	scales   int64 // [N, groups] of the scale type
	zeros    int64 // [N, groups] int16; absent when implied
	bias     int64 // [N] float32; absent without
	order    int64 // [K] int32: which feature of x stands at k; act-order only
	segments int64 // up to maxSegments
	p1, p2   int64 // the transform's matrices, float32
	total    int64
}

func layoutOf(s *backend.Spec) (l layout) {
	place := func(bytes int64) int64 {
		at := l.total
		l.total += align(bytes)
		return at
	}
	n, k := int64(s.N), int64(s.K)
	if s.Plain.Valid() {
		l.rows = place(n * k * int64(s.Plain.Size()))
	} else {
		groups := n * int64(s.Groups.Count)
		l.rows = place(n * ((k*int64(s.Bits) + 63) / 64 * 8))
		l.scales = place(groups * int64(s.Scales.Size()))
		if !s.Symmetric {
			l.zeros = place(groups * 2)
		}
		if s.Groups.Kind == quant.ActOrder {
			l.order = place(k * 4)
		}
		l.segments = place(int64(maxSegments(s)) * segmentSize)
	}
	if s.Bias {
		l.bias = place(n * 4)
	}
	if t := s.Transform; t != nil {
		l.p1 = place(int64(t.L) * int64(t.L) * 4)
		l.p2 = place(int64(t.R) * int64(t.R) * 4)
	}
	return l
}

func align(bytes int64) int64 { return (bytes + 63) &^ 63 }

// segment is a run of features with one weight scale and one activation scale.
type segment struct{ lo, hi, group int32 }

const segmentSize = 12

// maxSegments bounds the segments of a layer, from what its Spec knows: it is
// exact for the regular kinds of groups.
func maxSegments(s *backend.Spec) int {
	if s.Plain.Valid() {
		return 0
	}
	size := s.Recipe.ActGroup()
	if size == 0 {
		return min(s.Groups.Count, s.K)
	}
	runs := func(features int) int { return (features + size - 1) / size }
	switch s.Groups.Kind {
	case quant.PerChannel:
		return runs(s.K)
	case quant.Uniform:
		return s.K/s.Groups.Size*runs(s.Groups.Size) + runs(s.K%s.Groups.Size)
	}
	return min(s.K, s.K/size+s.Groups.Count)
}

// inLanes reports whether sums over groups use eight lanes, which keeps the
// depth of sums near that of the exact kernel when groups are tiny.
func inLanes(s *backend.Spec) bool { return maxSegments(s) > s.K/8+16 }

// padded is K rounded up to whole rounds of eight lanes.
func padded(k int) int { return (k + 7) &^ 7 }

// rowBytes is what a front writes for one row of x: padded(K) float32 values,
// or as many int16 codes and then one float32 scale for each segment.
func rowBytes(s *backend.Spec) int64 {
	if s.Recipe.Kind == quant.Exact {
		return align(int64(padded(s.K)) * 4)
	}
	return align(int64(padded(s.K))*2) + align(int64(max(maxSegments(s), 1))*4)
}

// tileRows is the number of rows of W that are unpacked at a time: so many
// that a tile stays in a core's second cache.
func tileRows(k int) int { return max(1, min(8, (1<<15)/padded(k))) }

// tileBytes is one worker's scratch for a tile: for each row padded(K) float32
// weights, or int32 codes minus zero points and the row's scales; then the
// codes of a row, one byte each.
func tileBytes(s *backend.Spec) int64 {
	row := align(int64(padded(s.K)) * 4)
	if s.Recipe.Kind != quant.Exact {
		row += align(int64(s.Groups.Count) * 4)
	}
	return int64(tileRows(s.K))*row + align(int64(padded(s.K)))
}

// frontBytes is one worker's scratch for a front: x as float32, its codes, and
// two more rows of float32 for the transform.
func frontBytes(s *backend.Spec) int64 {
	k := int64(padded(s.K))
	b := align(k*4) + align(k)
	if s.Transform != nil {
		b += 2 * align(k*4)
	}
	return b
}

func scratchBytes(s *backend.Spec) int64 { return max(tileBytes(s), frontBytes(s)) }

// workspace is the prepared rows, then each worker's scratch.
func workspace(s *backend.Spec, threads, rows int) int64 {
	if rows <= 0 {
		return 0
	}
	return int64(min(rows, s.MaxRows))*rowBytes(s) + int64(max(threads, 1))*scratchBytes(s)
}

// staging bounds what Prepare allocates on the way: group maps, and with
// act-order two rows of codes for each worker.
func staging(s *backend.Spec, threads int) int64 {
	b := 16 * int64(maxSegments(s)+s.Groups.Count+2)
	if s.Groups.Kind == quant.ActOrder {
		b += 24*int64(s.K) + 2*int64(max(threads, 1))*int64(padded(s.K))
	}
	return b
}
