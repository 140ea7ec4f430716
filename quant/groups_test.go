package quant

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func mustIndexed(t testing.TB, index []int32, count int) Groups {
	g, err := IndexedGroups(index, count)
	require.NoError(t, err)
	return g
}

func mustRagged(t testing.TB, bounds ...int32) Groups {
	g, err := RaggedGroups(bounds)
	require.NoError(t, err)
	return g
}

func randomIndex(rng *rand.Rand, k, count int) []int32 {
	index := make([]int32, k)
	for i := range index {
		index[i] = int32(rng.IntN(count))
	}
	return index
}

// requireMap holds every method of g to the plain list of groups.
func requireMap(t *testing.T, want []int32, count int, g Groups, msg string) {
	t.Helper()
	require.Equal(t, len(want), g.K(), msg)
	require.Equal(t, count, g.Count(), msg)
	for k, i := range want {
		if g.Of(k) != int(i) {
			require.Failf(t, "wrong group", "%s: feature %d in %d, want %d", msg, k, g.Of(k), i)
		}
	}
	require.True(t, slices.Equal(want, g.Index(nil)), msg)
	reused := make([]int32, 3, 2000)
	for i := range reused[:cap(reused)] {
		reused[:cap(reused)][i] = -7
	}
	require.True(t, slices.Equal(want, g.Index(reused)), msg)

	// Order and Bounds: the definition of a stable sort.
	order := make([]int32, len(want))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return int(want[a] - want[b]) })
	if g.Kind() == ActOrder {
		require.Equal(t, order, g.Order(), msg)
	} else {
		require.Nil(t, g.Order(), msg)
		require.True(t, slices.IsSorted(want), msg)
	}
	for _, dst := range [][]int32{nil, reused} {
		bounds := g.Bounds(dst)
		require.Len(t, bounds, count+1, msg)
		require.EqualValues(t, 0, bounds[0], msg)
		require.EqualValues(t, len(want), bounds[count], msg)
		for i := range count {
			for _, k := range order[bounds[i]:bounds[i+1]] {
				require.EqualValues(t, i, want[k], msg)
			}
		}
	}
}

func TestGroupKinds(t *testing.T) {
	for _, c := range []struct {
		g     Groups
		kind  GroupKind
		size  int
		count int
		index []int32
	}{
		{Groups{}, PerChannel, 0, 0, nil},
		{OneGroup(0), PerChannel, 0, 0, nil},
		{OneGroup(-3), PerChannel, 0, 0, nil},
		{OneGroup(3), PerChannel, 3, 1, []int32{0, 0, 0}},
		{mustUniform(t, 4, 2), Uniform, 2, 2, []int32{0, 0, 1, 1}},
		{mustUniform(t, 5, 2), Uniform, 2, 3, []int32{0, 0, 1, 1, 2}},
		{mustUniform(t, 3, 1), Uniform, 1, 3, []int32{0, 1, 2}},
		{mustUniform(t, 3, -1), PerChannel, 3, 1, []int32{0, 0, 0}},
		{mustUniform(t, 3, 3), PerChannel, 3, 1, []int32{0, 0, 0}},
		{mustUniform(t, 3, math.MaxInt), PerChannel, 3, 1, []int32{0, 0, 0}},
		{mustUniform(t, 0, 4), PerChannel, 0, 0, nil},
		{mustRagged(t, 0), PerChannel, 0, 0, nil},
		{mustRagged(t, 0, 3), PerChannel, 3, 1, []int32{0, 0, 0}},
		{mustRagged(t, 0, 1, 3), Ragged, 0, 2, []int32{0, 1, 1}},
		{mustRagged(t, 0, 2, 3), Uniform, 2, 2, []int32{0, 0, 1}},
		{mustRagged(t, 0, 2, 4, 6), Uniform, 2, 3, []int32{0, 0, 1, 1, 2, 2}},
		{mustRagged(t, 0, 2, 3, 5), Ragged, 0, 3, []int32{0, 0, 1, 2, 2}},
		{mustIndexed(t, nil, 0), PerChannel, 0, 0, nil},
		{mustIndexed(t, nil, 2), ActOrder, 0, 2, nil},
		{mustIndexed(t, []int32{0, 0}, 1), PerChannel, 2, 1, []int32{0, 0}},
		{mustIndexed(t, []int32{0, 0, 1, 1}, 2), Uniform, 2, 2, []int32{0, 0, 1, 1}},
		{mustIndexed(t, []int32{0, 1, 1}, 2), Ragged, 0, 2, []int32{0, 1, 1}},
		{mustIndexed(t, []int32{0, 0}, 2), ActOrder, 0, 2, []int32{0, 0}}, // the last group unused
		{mustIndexed(t, []int32{1, 1}, 2), ActOrder, 0, 2, []int32{1, 1}}, // the first
		{mustIndexed(t, []int32{0, 2}, 3), ActOrder, 0, 3, []int32{0, 2}}, // one between
		{mustIndexed(t, []int32{1, 0}, 2), ActOrder, 0, 2, []int32{1, 0}}, // out of order
		{mustIndexed(t, []int32{0, 1, 0, 1}, 2), ActOrder, 0, 2, []int32{0, 1, 0, 1}},
	} {
		msg := fmt.Sprintf("%+v", c.g)
		require.Equal(t, c.kind, c.g.Kind(), msg)
		require.Equal(t, c.size, c.g.Size(), msg)
		requireMap(t, c.index, c.count, c.g, msg)
	}
}

func TestGroupsOfRandomMaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for round := range 400 {
		k := 1 + rng.IntN(60)
		var index []int32
		count := 1 + rng.IntN(k)
		switch round % 4 {
		case 0: // any order
			index = randomIndex(rng, k, count)
		case 1: // sorted, some groups unused
			index = randomIndex(rng, k, count)
			slices.Sort(index)
		case 2: // runs
			count = 0
			for len(index) < k {
				for range 1 + rng.IntN(7) {
					index = append(index, int32(count))
				}
				count++
			}
		case 3: // one size
			size := 1 + rng.IntN(k)
			count = (k + size - 1) / size
			for i := range k {
				index = append(index, int32(i/size))
			}
			requireMap(t, index, count, mustUniform(t, k, size), "uniform")
		}
		given := slices.Clone(index)
		g := mustIndexed(t, given, count)
		msg := fmt.Sprintf("round %d, index %v", round, index)
		clear(given) // not kept
		requireMap(t, index, count, g, msg)
		if g.Kind() != ActOrder {
			bounds := g.Bounds(nil)
			again := mustRagged(t, bounds...)
			clear(bounds)
			require.True(t, g.Equal(&again), msg)
			requireMap(t, index, count, again, msg)
		}
		again := mustIndexed(t, g.Index(nil), count)
		require.True(t, g.Equal(&again), msg)
		more := mustIndexed(t, index, count+1)
		require.False(t, g.Equal(&more), msg)
		changed := slices.Clone(index)
		changed[rng.IntN(len(changed))]++
		other := mustIndexed(t, changed, count+1)
		require.False(t, g.Equal(&other), msg)
	}
}

func TestGroupsMalformed(t *testing.T) {
	_, err := UniformGroups(8, 0)
	require.ErrorIs(t, err, ErrShape)
	require.ErrorContains(t, err, "group size is 0, want -1 or at least 1")
	_, err = UniformGroups(8, -2)
	require.ErrorIs(t, err, ErrShape)
	for _, k := range []int{-1, MaxDim + 1} {
		for _, size := range []int{-1, 4} {
			_, err = UniformGroups(k, size)
			require.ErrorIs(t, err, ErrShape)
			require.ErrorContains(t, err, fmt.Sprintf("number of features is %d", k))
		}
	}
	for _, c := range []struct {
		bounds []int32
		want   string
	}{
		{nil, "first group boundary is [], want 0"},
		{[]int32{1, 2}, "first group boundary is [1], want 0"},
		{[]int32{0, 0}, "group boundary is 0, want above 0"},
		{[]int32{0, 4, 2}, "group boundary is 2, want above 4"},
		{[]int32{0, math.MinInt32}, "group boundary is -2147483648"},
	} {
		_, err := RaggedGroups(c.bounds)
		require.ErrorIs(t, err, ErrShape)
		require.ErrorContains(t, err, c.want)
	}
	for _, c := range []struct {
		index []int32
		count int
		class error
		want  string
	}{
		{[]int32{0, 2}, 2, ErrFormat, "group index of feature 1 is 2, want 0..1"},
		{[]int32{-1}, 2, ErrFormat, "group index of feature 0 is -1"},
		{[]int32{0}, 0, ErrFormat, "group index of feature 0 is 0"},
		{[]int32{0}, -1, ErrShape, "number of groups is -1"},
		{nil, -1, ErrShape, "number of groups is -1"},
		{[]int32{0}, MaxDim + 1, ErrShape, "number of groups is 1073741825"},
	} {
		_, err := IndexedGroups(c.index, c.count)
		require.ErrorIs(t, err, c.class)
		require.ErrorContains(t, err, c.want)
	}
	// A count far above the features costs nothing, even where the last
	// feature names the last group.
	g := mustIndexed(t, []int32{0, MaxDim - 1}, MaxDim)
	require.Equal(t, ActOrder, g.Kind())
	require.Equal(t, MaxDim-1, g.Of(1))
}

// The examples of formats.md §1.4.
func TestGroupsSelectWorkedExamples(t *testing.T) {
	g := mustUniform(t, 12, 8)
	part, old, err := g.Select([]Range{{6, 12}})
	require.NoError(t, err)
	require.Equal(t, []int32{0, 1}, old)
	requireMap(t, []int32{0, 0, 1, 1, 1, 1}, 2, part, "rank 1 of 2")
	require.Equal(t, Ragged, part.Kind())

	g = mustIndexed(t, []int32{0, 1, 0, 1, 1, 0, 1, 0}, 2)
	part, old, err = g.Select([]Range{{0, 4}})
	require.NoError(t, err)
	require.Equal(t, []int32{0, 1}, old)
	requireMap(t, []int32{0, 1, 0, 1}, 2, part, "rank 0 of 2")
	require.Equal(t, []int32{0, 2, 1, 3}, part.Order())
	require.Equal(t, []int32{0, 2, 4}, part.Bounds(nil))
}

func TestGroupsSelectIsTheListOfFeatures(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	for round := range 300 {
		k := 1 + rng.IntN(50)
		var g Groups
		switch round % 3 {
		case 0:
			g = mustIndexed(t, randomIndex(rng, k, 6), 6)
		case 1:
			g = mustUniform(t, k, 1+rng.IntN(k))
		case 2:
			bounds := []int32{0}
			for int(bounds[len(bounds)-1]) < k {
				bounds = append(bounds, bounds[len(bounds)-1]+1+rng.Int32N(9))
			}
			g = mustRagged(t, bounds...)
			k = g.K()
		}
		var ranges []Range
		var features []int
		for range 1 + rng.IntN(4) { // in any order, overlapping too
			start := rng.IntN(k)
			r := Range{start, start + 1 + rng.IntN(k-start)}
			ranges = append(ranges, r)
			for i := r.Start; i < r.End; i++ {
				features = append(features, i)
			}
		}
		part, old, err := g.Select(ranges)
		require.NoError(t, err)
		msg := fmt.Sprintf("round %d, %v of %v", round, ranges, g.Index(nil))

		used := map[int32]bool{}
		for _, f := range features {
			used[int32(g.Of(f))] = true
		}
		require.Len(t, old, len(used), msg)
		require.True(t, slices.IsSorted(old), msg)
		want := make([]int32, len(features))
		for i, f := range features {
			at, found := slices.BinarySearch(old, int32(g.Of(f)))
			require.True(t, found, msg)
			want[i] = int32(at)
		}
		requireMap(t, want, len(old), part, msg)
	}
}

func TestGroupsSelectRefuses(t *testing.T) {
	g := mustUniform(t, 8, 4)
	for _, ranges := range [][]Range{nil, {{0, 9}}, {{-1, 2}}, {{3, 3}}, {{4, 2}}, {{0, 8}, {8, 9}}} {
		_, _, err := g.Select(ranges)
		require.ErrorIs(t, err, ErrShape, "%v", ranges)
	}
	empty := OneGroup(0)
	_, _, err := empty.Select([]Range{{0, 1}})
	require.ErrorIs(t, err, ErrShape)
}

func TestGroupKindNames(t *testing.T) {
	text, err := json.Marshal([]GroupKind{PerChannel, Uniform, Ragged, ActOrder})
	require.NoError(t, err)
	require.JSONEq(t, `["per-channel", "uniform", "ragged", "act-order"]`, string(text))
	require.Equal(t, "GroupKind(9)", GroupKind(9).String())
}
