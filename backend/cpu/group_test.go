package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// members are layers that differ in everything a group allows: bits, groups,
// act-order, zeros, bias and, for the exact recipe, plain weights.
func members(t testing.TB, rng *rand.Rand, recipe quant.Recipe) []*quant.Linear {
	const k = 96
	order := actOrder(t, rng, k, 4)
	all := []shape{
		{n: 40, k: k, bits: 4, groups: uniform(t, k, 32), scales: dtype.F16},
		{n: 9, k: k, bits: 3, groups: uniform(t, k, 32), scales: dtype.F32, zeros: true, bias: true},
		{n: 5, k: k, bits: 8, groups: quant.OneGroup(k), scales: dtype.BF16},
		{n: 17, k: k, bits: 4, groups: order, scales: dtype.F16, bias: true},
		{n: 6, k: k, bits: 4, groups: order, scales: dtype.F16},
	}
	if recipe.Kind == quant.Exact { // codes that differ in nothing but their lines, too
		all = append(all, shape{n: 11, k: k, plain: dtype.BF16},
			shape{n: 10, k: k, bits: 4, groups: uniform(t, k, 32), scales: dtype.F16, zeros: true},
			shape{n: 12, k: k, bits: 6, groups: uniform(t, k, 32), scales: dtype.F16, zeros: true})
	}
	var out []*quant.Linear
	shared := transform(rng, k)
	for _, s := range all {
		l := s.linear(t, rng)
		if s.zeros {
			l.Weight.ZeroRow(0)[0] = 0
		}
		if recipe.Kind == quant.Int4FlatQuant {
			own := *shared // equal numbers in other memory
			l.Recipe, l.Transform = recipe, &own
		}
		out = append(out, l)
	}
	return out
}

func TestGroupEqualsItsLayers(t *testing.T) {
	everywhere(t, backend.OpenOptions{Threads: 2}, testGroupEqualsItsLayers)
}

func testGroupEqualsItsLayers(t *testing.T, b *bench) {
	rng := rand.New(rand.NewPCG(1, 10))
	for _, kind := range quant.Recipes() {
		recipe := quant.Recipe{Kind: kind}
		var layers []backend.Layer
		const m = 5
		x := input(rng, dtype.BF16, m, 96)
		want := make([][]float32, m)
		n := 0
		for i, l := range members(t, rng, recipe) {
			layer, _ := b.prepare(l, backend.Request{Recipe: &recipe, X: dtype.BF16, Y: dtype.F32, MaxRows: m + i%2})
			y := b.apply(layer, x, m)
			for row := range m {
				want[row] = append(want[row], y[row*layer.Spec().N:(row+1)*layer.Spec().N]...)
			}
			n += layer.Spec().N
			layers = append(layers, layer)
		}
		g, err := b.dev.Group(layers...)
		require.NoError(t, err)
		s := g.Spec()
		require.Equal(t, n, s.N)
		require.Equal(t, m, s.MaxRows)
		require.True(t, s.Bias)
		require.Zero(t, g.Bytes())
		for _, rows := range []int{m, 1} {
			got := b.apply(g, x[:rows*96], rows)
			for row := range rows {
				require.Equal(t, want[row], got[row*n:(row+1)*n], "%v, row %d of %d", kind, row, rows)
			}
		}
		a := b.args(g, x, m)
		require.Zero(t, testing.AllocsPerRun(10, func() { _ = g.Apply(b.st, a.y, a.x, a.ws) }))

		twice, err := b.dev.Group(g, layers[0])
		require.NoError(t, err)
		got := b.apply(twice, x, m)
		require.Equal(t, want[0], got[:n])
		require.Equal(t, want[0][:40], got[n:n+40])

		require.ErrorIs(t, layers[0].Close(), backend.ErrBusy)
		require.ErrorIs(t, g.Close(), backend.ErrBusy)
		require.NoError(t, twice.Close())
		require.ErrorIs(t, layers[0].Close(), backend.ErrBusy)
		require.NoError(t, g.Close())
		require.NoError(t, g.Close())
		require.NoError(t, layers[0].Close())
		require.ErrorIs(t, g.Apply(b.st, a.y, a.x, a.ws), backend.ErrClosed)
	}
}

// TestGroupOfParts has q whole and the second half of k: with the first rows of
// the whole group those of q.
func TestGroupOfParts(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	q := w4(t).linear(t, rand.New(rand.NewPCG(1, 30)))
	k, err := q.Select(quant.AxisN, quant.Range{Start: 35, End: 70})
	require.NoError(t, err)
	whole, _ := b.prepare(q, backend.Request{X: dtype.F32})
	half, _ := b.prepare(k, backend.Request{X: dtype.F32})
	for _, c := range []struct {
		layers []backend.Layer
		fullN  int
		ranges []quant.Range
	}{
		{[]backend.Layer{whole, whole}, 140, nil},
		{[]backend.Layer{whole, half}, 140, []quant.Range{{Start: 0, End: 70}, {Start: 105, End: 140}}},
		{[]backend.Layer{half, whole, half}, 210, []quant.Range{{Start: 35, End: 70}, {Start: 70, End: 140}, {Start: 175, End: 210}}},
	} {
		g, err := b.dev.Group(c.layers...)
		require.NoError(t, err)
		s := g.Spec()
		require.Equal(t, c.fullN, s.FullN)
		require.Equal(t, c.ranges, s.NRanges)
		require.NoError(t, g.Close())
	}
}

func TestGroupPreparesOnce(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	rng := rand.New(rand.NewPCG(2, 10))
	for kind, fronts := range map[quant.RecipeKind]int{
		quant.Exact:     2, // as x is, and in the act-order
		quant.Int8Token: 2,
		quant.Int8Group: 3, // groups of 32, the whole row, the act-order
	} {
		recipe := quant.Recipe{Kind: kind}
		var layers []backend.Layer
		for _, l := range members(t, rng, recipe) {
			layer, _ := b.prepare(l, backend.Request{Recipe: &recipe, X: dtype.F32, MaxRows: 1})
			layers = append(layers, layer)
		}
		g, err := b.dev.Group(layers...)
		require.NoError(t, err)
		require.Len(t, g.(interface{ whole() *layer }).whole().fronts, fronts, kind)
		_, codes := g.(backend.Coder)
		require.False(t, codes, "the codes of more than one front")
		require.NoError(t, g.Close())
		g, err = b.dev.Group(layers[0], layers[1])
		require.NoError(t, err)
		_, codes = g.(backend.Coder)
		require.Equal(t, kind != quant.Exact, codes)
		require.NoError(t, g.Close())
	}
}

func TestGroupRefuses(t *testing.T) {
	b, other := open(t, backend.OpenOptions{}), open(t, backend.OpenOptions{})
	rng := rand.New(rand.NewPCG(3, 10))
	base := shape{n: 8, k: 64, bits: 4, groups: uniform(t, 64, 32), scales: dtype.F16}
	long, flat := base, base
	long.k, long.groups = 96, uniform(t, 96, 32)
	flat.flat = true
	prepare := func(b *bench, s shape, r backend.Request) backend.Layer {
		layer, _ := b.prepare(s.linear(t, rng), r)
		return layer
	}
	exact := backend.Request{X: dtype.F32}
	int8 := backend.Request{X: dtype.F32, Recipe: &quant.Recipe{Kind: quant.Int8Token}}
	first := prepare(b, base, exact)
	for _, c := range []struct {
		a, b   backend.Layer
		fields []string
	}{
		{first, prepare(b, long, exact), []string{"K of layer 1"}},
		{first, prepare(b, base, int8), []string{"recipe of layer 1"}},
		{first, prepare(b, base, backend.Request{X: dtype.F16, Y: dtype.F32}), []string{"x type of layer 1"}},
		{first, prepare(b, long, backend.Request{X: dtype.F32, Y: dtype.F16}), []string{"K of layer 1", "y type of layer 1"}},
		{prepare(b, flat, exact), prepare(b, flat, exact), []string{"transform of layer 1"}},
	} {
		_, err := b.dev.Group(c.a, c.b)
		var r *backend.Refusal
		require.ErrorAs(t, err, &r)
		var fields []string
		for _, reason := range r.Reasons {
			fields = append(fields, reason.Field)
		}
		require.Equal(t, c.fields, fields)
	}
	_, err := b.dev.Group()
	require.ErrorIs(t, err, backend.ErrUnsupported)
	_, err = b.dev.Group(first, prepare(other, base, exact))
	require.ErrorIs(t, err, backend.ErrDevice)
	_, err = b.dev.Group(first, nil)
	require.ErrorIs(t, err, backend.ErrDevice)

	closed := prepare(b, base, exact)
	require.NoError(t, closed.Close())
	_, err = b.dev.Group(first, closed)
	require.ErrorIs(t, err, backend.ErrClosed)
	require.NoError(t, first.Close(), "a failed group must not hold its layers")
}
