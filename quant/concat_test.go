package quant_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// like returns another layer that can be joined with l, of n rows.
func like(t testing.TB, rng *rand.Rand, name string, l *quant.Linear, n int, zeros, bias bool) *quant.Linear {
	f := l.Weight.Form()
	f.N = n
	f.Zeros = zeros && !f.Plain.Valid()
	p := randomLinear(t, rng, name, f, bias)
	p.Recipe = l.Recipe
	return p
}

// Selecting the rows of each part gives it back.
func TestConcatThenSelect(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	forms(t, rng, 3, 29, func(t *testing.T, q *quant.Linear) {
		parts := []*quant.Linear{
			q,
			like(t, rng, "k", q, 1, false, true),
			like(t, rng, "v", q, 4, true, false),
		}
		qkv, err := quant.Concat("qkv", parts...)
		require.NoError(t, err)
		require.NoError(t, qkv.Check())
		require.Equal(t, "qkv", qkv.Name)
		require.Equal(t, dtype.BF16, qkv.DType)
		require.Nil(t, qkv.NRanges)
		n, k := qkv.Full()
		require.Equal(t, [2]int{8, 29}, [2]int{n, k})
		at := 0
		for _, p := range parts {
			got, err := qkv.Select(quant.AxisN, quant.Range{Start: at, End: at + p.Weight.N()})
			require.NoError(t, err)
			requireSame(t, p, got)
			at += p.Weight.N()
		}
	})
}

// requireSame allows got explicit zeros and a bias of zeros where want has none.
func requireSame(t *testing.T, want, got *quant.Linear) {
	t.Helper()
	require.True(t, want.Weight.Groups().Equal(got.Weight.Groups()))
	require.Equal(t, want.Weight.N(), got.Weight.N())
	for n := range want.Weight.N() {
		require.Equal(t, want.Weight.Row(n), got.Weight.Row(n))
		require.Equal(t, want.Weight.ScaleRow(n), got.Weight.ScaleRow(n))
		for g := range want.Weight.Groups().Count() {
			require.Equal(t, want.Weight.Zero(n, g), got.Weight.Zero(n, g))
		}
		require.True(t, got.HasBias())
		if want.HasBias() {
			require.Equal(t, want.Bias[n], got.Bias[n])
		} else {
			require.Zero(t, got.Bias[n])
		}
	}
}

// What no part has, the result does not have either.
func TestConcatAddsNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	f := quant.Form{N: 2, K: 8, Bits: 4, Scales: dtype.F16, Groups: quant.OneGroup(8)}
	a, b := randomLinear(t, rng, "a", f, false), randomLinear(t, rng, "b", f, false)
	b.DType = dtype.F16
	c, err := quant.Concat("c", a, b)
	require.NoError(t, err)
	require.True(t, c.Weight.Symmetric())
	require.False(t, c.HasBias())
	require.Equal(t, dtype.Invalid, c.DType, "the parts disagree")
}

// The concatenation of parts is a part of the concatenation.
func TestConcatParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	f := quant.Form{N: 6, K: 8, Bits: 4, Scales: dtype.F16, Groups: quant.OneGroup(8)}
	gate := randomLinear(t, rng, "gate", f, true)
	f.N = 4
	up := randomLinear(t, rng, "up", f, true)
	both, err := quant.Concat("gate_up", gate, up)
	require.NoError(t, err)

	g1, err := gate.Shard(quant.AxisN, 1, 2)
	require.NoError(t, err)
	u1, err := up.Shard(quant.AxisN, 1, 2)
	require.NoError(t, err)
	joined, err := quant.Concat("gate_up", g1, u1)
	require.NoError(t, err)
	require.NoError(t, joined.Check())
	require.Equal(t, []quant.Range{{Start: 3, End: 6}, {Start: 8, End: 10}}, joined.NRanges)
	cut, err := both.Select(quant.AxisN, joined.NRanges...)
	require.NoError(t, err)
	require.Equal(t, cut, joined)

	joined, err = quant.Concat("gate_up", gate, u1)
	require.NoError(t, err)
	require.NoError(t, joined.Check())
	require.Equal(t, []quant.Range{{Start: 0, End: 6}, {Start: 8, End: 10}}, joined.NRanges)

	// Parts along K, which lost the bias.
	gk, err := gate.Shard(quant.AxisK, 1, 2)
	require.NoError(t, err)
	uk, err := up.Shard(quant.AxisK, 1, 2)
	require.NoError(t, err)
	joined, err = quant.Concat("gate_up", gk, uk)
	require.NoError(t, err)
	require.NoError(t, joined.Check())
	cut, err = both.Shard(quant.AxisK, 1, 2)
	require.NoError(t, err)
	require.Equal(t, linearBits(cut), linearBits(joined))
	require.Equal(t, cut.KRanges, joined.KRanges)
}

func TestConcatTransform(t *testing.T) {
	rng := rand.New(rand.NewPCG(37, 38))
	make := func(name string) *quant.Linear {
		l := randomLinear(t, rng, name, quant.Form{N: 2, K: 6, Bits: 4, Scales: dtype.F32, Groups: quant.OneGroup(6)}, false)
		l.Recipe.Kind = quant.Int4FlatQuant
		l.Transform = &quant.Transform{L: 2, R: 3, P1: identity(2), P2: identity(3), Type: dtype.F16, Clip: 1}
		return l
	}
	a, b := make("a"), make("b")
	c, err := quant.Concat("c", a, b)
	require.NoError(t, err, "equal transforms need not be one")
	require.NoError(t, c.Check())
	b.Transform.P2[1] = 1
	_, err = quant.Concat("c", a, b)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.EqualError(t, err, "c: transform of b is 2 x 3 float16, clip 1, want 2 x 3 float16, clip 1 with the same numbers as in a (unsupported)")
}

func TestConcatRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(39, 40))
	index := func(i ...int32) quant.Groups {
		g, err := quant.IndexedGroups(i, 4)
		require.NoError(t, err)
		return g
	}
	base := quant.Form{N: 2, K: 6, Bits: 4, Scales: dtype.F16, Groups: index(0, 1, 0, 2, 3, 1)}
	tests := []struct {
		name   string
		change func(*quant.Form)
		spoil  func(*quant.Linear)
		class  error
		text   string
	}{
		{"K", func(f *quant.Form) { f.K, f.Groups = 5, quant.OneGroup(5) }, nil, quant.ErrShape, "qk: K of k is 5, want 6 as in q"},
		{"bits", func(f *quant.Form) { f.Bits = 3 }, nil, quant.ErrShape, "qk: bits of k is 3, want 4 as in q"},
		{"scales", func(f *quant.Form) { f.Scales = dtype.BF16 }, nil, quant.ErrDType, "qk: scale type of k is bfloat16, want float16 as in q"},
		{"plain", func(f *quant.Form) { *f = quant.Form{N: 2, K: 6, Plain: dtype.F16} }, nil, quant.ErrDType, "qk: elements of k is float16, want 4-bit codes as in q"},
		{"one feature's group", func(f *quant.Form) { f.Groups = index(0, 1, 0, 3, 2, 1) }, nil, quant.ErrShape, "qk: group of feature 3 of k is 3, want 2 as in q"},
		{"kind of groups", func(f *quant.Form) { f.Groups = quant.OneGroup(6) }, nil, quant.ErrShape, "qk: group of feature 1 of k is 0, want 1 as in q"},
		{"unused groups", func(f *quant.Form) {
			g, err := quant.IndexedGroups([]int32{0, 1, 0, 2, 3, 1}, 5)
			require.NoError(t, err)
			f.Groups = g
		}, nil, quant.ErrShape, "qk: number of groups of k is 5, want 4 as in q"},
		{"recipe", nil, func(l *quant.Linear) { l.Recipe.Kind = quant.Int8Token }, quant.ErrUnsupported, "qk: recipe of k is int8-token, want exact as in q"},
		{"empty", nil, func(l *quant.Linear) { l.Reset("k") }, quant.ErrShape, "qk: rows of k is 0"},
		{"bias", nil, func(l *quant.Linear) { l.Bias = []float32{1} }, quant.ErrShape, "qk: bias of k is 1 elements, want 2 elements"},
		{"whole K", nil, func(l *quant.Linear) { l.FullK = 12 }, quant.ErrShape, "qk: K of the whole of k is 12, want 6 as in q"},
		{"features", nil, func(l *quant.Linear) { l.KRanges = []quant.Range{{3, 6}, {0, 3}} }, quant.ErrShape, "qk: features of k is [3..5 0..2], want [] as in q"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := randomLinear(t, rng, "q", base, false)
			f := base
			if tt.change != nil {
				tt.change(&f)
			}
			k := randomLinear(t, rng, "k", f, false)
			if tt.spoil != nil {
				tt.spoil(k)
			}
			c, err := quant.Concat("qk", q, k)
			require.ErrorIs(t, err, tt.class)
			require.ErrorContains(t, err, tt.text)
			require.Nil(t, c)
		})
	}
	_, err := quant.Concat("none")
	require.ErrorIs(t, err, quant.ErrShape)

	same := quant.Recipe{Kind: quant.Int8Group, Group: quant.DefaultActGroup}
	q, k := randomLinear(t, rng, "q", base, false), randomLinear(t, rng, "k", base, false)
	q.Recipe, k.Recipe = quant.Recipe{Kind: quant.Int8Group}, same
	_, err = quant.Concat("qk", q, k)
	require.NoError(t, err, "the default group size, said or not")
	k.Recipe.Group = 64
	_, err = quant.Concat("qk", q, k)
	require.ErrorContains(t, err, "recipe of k is int8-group/64, want int8-group as in q")

	huge := &quant.Linear{Name: "huge"}
	require.NoError(t, huge.Weight.Reset(quant.Form{N: 1 << 20, K: 1, Plain: dtype.F16}))
	parts := make([]*quant.Linear, 1<<10+1)
	for i := range parts {
		parts[i] = huge
	}
	_, err = quant.Concat("all", parts...)
	require.ErrorIs(t, err, quant.ErrShape)
}
