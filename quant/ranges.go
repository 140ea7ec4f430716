package quant

import "fmt"

// Range is a half-open interval [Start, End) of rows (N) or features (K).
type Range struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// Len returns the number of indices in the range.
func (r Range) Len() int { return r.End - r.Start }

// String returns "start..last".
func (r Range) String() string { return fmt.Sprintf("%d..%d", r.Start, r.End-1) }

// Share returns what rank number rank of size has of n things: consecutive ones, no share
// more than one longer than another, the longer ones first. It wants 0 <= rank < size.
func Share(n, rank, size int) Range {
	start := rank*(n/size) + min(rank, n%size)
	end := start + n/size
	if rank < n%size {
		end++
	}
	return Range{start, end}
}

// TotalLen returns the number of indices in all ranges.
func TotalLen(ranges []Range) int {
	n := 0
	for _, r := range ranges {
		n += r.Len()
	}
	return n
}

// CheckRanges reports a range that is empty, reversed or outside [0, limit).
// Ranges may overlap and come in any order (replicated kv heads do).
func CheckRanges(ranges []Range, limit int) error {
	if len(ranges) == 0 {
		return Errorf(ErrShape, "", "selection", "at least one range", "empty")
	}
	for _, r := range ranges {
		if r.Start < 0 || r.End <= r.Start || r.End > limit {
			return Errorf(ErrShape, "", "range", fmt.Sprintf("a non-empty part of [0,%d)", limit), "[%d,%d)", r.Start, r.End)
		}
	}
	return nil
}

// part returns the ranges of the whole, of full indices, that a part made of
// the ranges inner of outer is; outer nil stands for [0, dim). All of the whole
// in order is nil.
func part(outer, inner []Range, dim, full int) []Range {
	if outer == nil {
		outer = []Range{{0, dim}}
	}
	ranges := compose(outer, inner)
	if len(ranges) == 1 && ranges[0] == (Range{0, full}) {
		return nil
	}
	return ranges
}

// compose maps ranges of a part back to ranges of the whole, where the part
// itself is made of the ranges outer.
func compose(outer, inner []Range) []Range {
	var out []Range
	for _, in := range inner {
		base := 0
		for _, o := range outer {
			lo, hi := max(in.Start, base), min(in.End, base+o.Len())
			if lo < hi {
				r := Range{o.Start + lo - base, o.Start + hi - base}
				if n := len(out); n > 0 && out[n-1].End == r.Start {
					out[n-1].End = r.End
				} else {
					out = append(out, r)
				}
			}
			base += o.Len()
		}
	}
	return out
}
