package quant

import (
	"fmt"
	"slices"
	"sort"
)

// GroupKind says how the K input features are divided into groups.
type GroupKind uint8

// The kinds of group maps, from the simplest to the most general.
const (
	PerChannel GroupKind = iota // one group spans all of K
	Uniform                     // group k/Size; the last one may be shorter
	Ragged                      // contiguous groups of any length
	ActOrder                    // an arbitrary group for each k (g_idx)
)

// String returns "per-channel", "uniform", "ragged" or "act-order".
func (g GroupKind) String() string {
	switch g {
	case PerChannel:
		return "per-channel"
	case Uniform:
		return "uniform"
	case Ragged:
		return "ragged"
	case ActOrder:
		return "act-order"
	}
	return fmt.Sprintf("GroupKind(%d)", uint8(g))
}

// MarshalText writes the kind's name.
func (g GroupKind) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (g *GroupKind) UnmarshalText(text []byte) error {
	for k := PerChannel; k <= ActOrder; k++ {
		if k.String() == string(text) {
			*g = k
			return nil
		}
	}
	return Errorf(ErrFormat, "", "kind of groups", "per-channel, uniform, ragged or act-order", "%.40q", text)
}

// Groups maps each input feature k to the scale and zero that it uses.
// A Groups is immutable and may be shared between goroutines. The zero value
// is a map of no features.
type Groups struct {
	kind   GroupKind
	k      int
	size   int     // Uniform only
	count  int     // number of groups
	bounds []int32 // Ragged only: group g is [bounds[g], bounds[g+1])
	index  []int32 // ActOrder only: group of each k
}

// OneGroup returns the map with a single group of k features (group size −1);
// without features, for a k below 1, there is no group either.
func OneGroup(k int) Groups {
	k = max(k, 0)
	return Groups{kind: PerChannel, k: k, count: min(k, 1)}
}

// UniformGroups returns groups of size consecutive features; the last group
// is shorter where size does not divide k. A size of −1, or one that spans all
// of k, gives OneGroup.
func UniformGroups(k, size int) (Groups, error) {
	if k < 0 || k > MaxDim {
		return Groups{}, Errorf(ErrShape, "", "number of features", "0..2^30", "%d", k)
	}
	if size == -1 || (size >= k && size > 0) {
		return OneGroup(k), nil
	}
	if size < 1 {
		return Groups{}, Errorf(ErrShape, "", "group size", "-1 or at least 1", "%d", size)
	}
	return Groups{kind: Uniform, k: k, size: size, count: (k + size - 1) / size}, nil
}

// RaggedGroups returns contiguous groups with the given boundaries: group g is
// [bounds[g], bounds[g+1]). bounds starts at 0 and strictly increases; it is
// not kept. Boundaries of equal distance give a Uniform map.
func RaggedGroups(bounds []int32) (Groups, error) {
	if len(bounds) == 0 || bounds[0] != 0 {
		return Groups{}, Errorf(ErrShape, "", "first group boundary", "0", "%v", bounds[:min(1, len(bounds))])
	}
	for i := 1; i < len(bounds); i++ {
		if bounds[i] <= bounds[i-1] {
			return Groups{}, Errorf(ErrShape, "", "group boundary", fmt.Sprintf("above %d", bounds[i-1]), "%d", bounds[i])
		}
	}
	return raggedGroups(bounds), nil
}

func raggedGroups(bounds []int32) Groups {
	count := len(bounds) - 1
	k := int(bounds[count])
	if count <= 1 {
		return OneGroup(k)
	}
	size := int(bounds[1])
	for g := range count {
		if int(bounds[g+1]) != min((g+1)*size, k) {
			return Groups{kind: Ragged, k: k, count: count, bounds: slices.Clone(bounds)}
		}
	}
	return Groups{kind: Uniform, k: k, size: size, count: count}
}

// IndexedGroups returns the map that gives feature k the group index[k] (the
// g_idx of GPTQ and compressed-tensors) of count groups. Each entry must be in
// [0, count). index is not kept. A map whose groups turn out to be contiguous,
// in order and all used is returned as the simpler kind.
func IndexedGroups(index []int32, count int) (Groups, error) {
	if count < 0 || count > MaxDim {
		return Groups{}, Errorf(ErrShape, "", "number of groups", "0..2^30", "%d", count)
	}
	for k, g := range index {
		if g < 0 || int(g) >= count {
			return Groups{}, Errorf(ErrFormat, "", fmt.Sprintf("group index of feature %d", k), fmt.Sprintf("0..%d", count-1), "%d", g)
		}
	}
	return indexedGroups(index, count), nil
}

func indexedGroups(index []int32, count int) Groups {
	if count == 0 {
		return Groups{}
	}
	if bounds, ok := contiguous(index, count); ok {
		return raggedGroups(bounds)
	}
	return Groups{kind: ActOrder, k: len(index), count: count, index: slices.Clone(index)}
}

func contiguous(index []int32, count int) ([]int32, bool) {
	if len(index) == 0 || index[0] != 0 || int(index[len(index)-1]) != count-1 {
		return nil, false
	}
	bounds := make([]int32, 1, min(count, len(index))+1)
	for k := 1; k < len(index); k++ {
		switch index[k] - index[k-1] {
		case 0:
		case 1:
			bounds = append(bounds, int32(k))
		default:
			return nil, false
		}
	}
	return append(bounds, int32(len(index))), true
}

// Kind returns how the features are divided.
func (g *Groups) Kind() GroupKind { return g.kind }

// K returns the number of features.
func (g *Groups) K() int { return g.k }

// Count returns the number of groups.
func (g *Groups) Count() int { return g.count }

// Size returns the group size: K for PerChannel, the common size for Uniform
// (the last group may be shorter), 0 for Ragged and ActOrder.
func (g *Groups) Size() int {
	if g.kind == PerChannel {
		return g.k
	}
	return g.size
}

// Of returns the group of feature k.
func (g *Groups) Of(k int) int {
	switch g.kind {
	case PerChannel:
		return 0
	case Uniform:
		return k / g.size
	case Ragged:
		return sort.Search(g.count, func(i int) bool { return int(g.bounds[i+1]) > k })
	}
	return int(g.index[k])
}

// Index writes the group of every feature into dst, grown as needed, and
// returns it: the g_idx of the map.
func (g *Groups) Index(dst []int32) []int32 {
	dst = slices.Grow(dst[:0], g.k)[:g.k]
	if g.kind == ActOrder {
		copy(dst, g.index)
		return dst
	}
	for i, b := 0, g.Bounds(nil); i < g.count; i++ {
		for k := b[i]; k < b[i+1]; k++ {
			dst[k] = int32(i)
		}
	}
	return dst
}

// Order returns the features sorted by group, stably: gathering x by it makes
// every group contiguous, with the lengths of Bounds. It returns nil where the
// features are in that order already (every kind but ActOrder).
func (g *Groups) Order() []int32 {
	if g.kind != ActOrder {
		return nil
	}
	next := g.Bounds(nil)
	order := make([]int32, g.k)
	for k, i := range g.index {
		order[next[i]] = int32(k)
		next[i]++
	}
	return order
}

// Bounds writes the boundaries of the groups, Count+1 of them, into dst, grown
// as needed, and returns it: group i is [Bounds[i], Bounds[i+1]) of the
// features in Order. An ActOrder group that no feature uses is empty.
func (g *Groups) Bounds(dst []int32) []int32 {
	dst = slices.Grow(dst[:0], g.count+1)[:g.count+1]
	switch g.kind {
	case PerChannel:
		dst[0] = 0
		dst[g.count] = int32(g.k)
	case Uniform:
		for i := range dst {
			dst[i] = int32(min(i*g.size, g.k))
		}
	case Ragged:
		copy(dst, g.bounds)
	case ActOrder:
		clear(dst)
		for _, i := range g.index {
			dst[i+1]++
		}
		for i := 1; i <= g.count; i++ {
			dst[i] += dst[i-1]
		}
	}
	return dst
}

// Equal reports whether both maps have the same groups and give every feature
// the same one.
func (g *Groups) Equal(h *Groups) bool {
	return g.kind == h.kind && g.k == h.k && g.size == h.size && g.count == h.count &&
		slices.Equal(g.bounds, h.bounds) && slices.Equal(g.index, h.index)
}

// Select returns the map of the features in ranges, in their order, and the
// old group of each of its groups: only groups that are used remain, in
// ascending order of their old number.
func (g *Groups) Select(ranges []Range) (Groups, []int32, error) {
	if err := CheckRanges(ranges, g.k); err != nil {
		return Groups{}, nil, err
	}
	used := make([]int32, g.count)
	index := make([]int32, 0, TotalLen(ranges))
	for _, r := range ranges {
		for k := r.Start; k < r.End; k++ {
			i := int32(g.Of(k))
			index = append(index, i)
			used[i] = 1
		}
	}
	var old []int32
	for i := range used {
		if used[i] != 0 {
			used[i] = int32(len(old))
			old = append(old, int32(i))
		}
	}
	for k, i := range index {
		index[k] = used[i]
	}
	return indexedGroups(index, len(old)), old, nil
}
