package backend

import (
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/quant"
)

// GroupMap returns the map of groups that s describes; order is that of its
// features, as quant.Groups.Order, nil but for quant.ActOrder. An order of another
// length, or that is no such order, is ErrFormat, and groups that do not fit
// K ErrShape. A plain weight has an empty map.
func (s *Spec) GroupMap(order []int32) (quant.Groups, error) {
	if s.Plain.Valid() {
		return quant.Groups{}, nil
	}
	g := &s.Groups
	switch g.Kind {
	case quant.PerChannel:
		return quant.OneGroup(s.K), nil
	case quant.Uniform:
		return quant.UniformGroups(s.K, g.Size)
	case quant.Ragged:
		bounds := make([]int32, g.Count+1)
		for i := range bounds {
			bounds[i] = int32(g.Bound(i, s.K))
		}
		return quant.RaggedGroups(bounds)
	}
	return s.orderedGroups(order)
}

// orderedGroups gives each feature the group in whose part of order it stands.
func (s *Spec) orderedGroups(order []int32) (quant.Groups, error) {
	wrong := func(field, expected string, found any) (quant.Groups, error) {
		return quant.Groups{}, quant.Errorf(ErrFormat, "order of features", field, expected, "%v", found)
	}
	if len(order) != s.K {
		return wrong("length", fmt.Sprint(s.K), len(order))
	}
	index := make([]int32, s.K)
	for i := range s.Groups.Count {
		for at := s.Groups.Bound(i, s.K); at < s.Groups.Bound(i+1, s.K); at++ {
			if order[at] < 0 || int(order[at]) >= s.K {
				return wrong(fmt.Sprintf("feature at %d", at), fmt.Sprintf("0..%d", s.K-1), order[at])
			}
			index[order[at]] = int32(i)
		}
	}
	groups, err := quant.IndexedGroups(index, s.Groups.Count)
	if err == nil && !slices.Equal(groups.Order(), order) {
		return wrong("features", "each once, ascending within its group", "another order")
	}
	return groups, err
}
