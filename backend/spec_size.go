package backend

import (
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/quant"
)

// Impossible names a size that no layer has and what it is, which only a Spec
// that NewSpec did not make can say; "" where there is none. A kernel asks it
// before it computes with sizes, so that no Spec makes it panic or run forever.
func (s *Spec) Impossible() (field, has string) {
	within := func(v, most int) bool { return v >= 1 && v <= most }
	switch {
	case !within(s.N, quant.MaxDim):
		return "N", fmt.Sprint(s.N)
	case !within(s.K, quant.MaxDim):
		return "K", fmt.Sprint(s.K)
	case !within(s.MaxRows, quant.MaxDim):
		return "MaxRows", fmt.Sprint(s.MaxRows)
	}
	if g := &s.Groups; !s.Plain.Valid() {
		switch {
		case !within(g.Count, quant.MaxDim):
			return "groups", fmt.Sprint(g.Count)
		case g.Kind == quant.Uniform && !within(g.Size, s.K):
			return "group size", fmt.Sprint(g.Size)
		case !within(g.Longest, s.K):
			return "longest group", fmt.Sprint(g.Longest)
		case !g.bounded(s.K):
			return "group boundaries", fmt.Sprintf("%d that do not divide %d features into %d groups", len(g.Bounds), s.K, g.Count)
		}
	}
	if t := s.Transform; t != nil && !(within(t.L, s.K) && within(t.R, s.K) && t.L*t.R == s.K) {
		return "transform", fmt.Sprintf("%d x %d", t.L, t.R)
	}
	return "", ""
}

// bounded reports whether boundaries, where there are any, ascend from 0 to k,
// and whether groups of one length come to k otherwise. Longest is above 0.
func (g *GroupSpec) bounded(k int) bool {
	b := g.Bounds
	if len(b) == 0 {
		return g.Count >= (k+g.Longest-1)/g.Longest // more: groups that no feature uses
	}
	return len(b) == g.Count+1 && b[0] == 0 && int(b[g.Count]) == k && slices.IsSorted(b)
}
