package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func TestToTiles(t *testing.T) {
	for rows, tiled := range map[int]int{0: 0, 1: 16, 16: 16, 17: 32, 256: 256} {
		require.Equal(t, tiled, tiledRows(rows))
	}
	type cell struct{ m, k, at int }
	for features, cells := range map[int][]cell{
		64: {{0, 0, 0}, {0, 63, 63}, {1, 0, 64}, {15, 1, 15*64 + 1}, {0, 64, 1024}, {3, 127, 1024 + 3*64 + 63}, {16, 0, 2048}, {19, 65, 3072 + 3*64 + 1}},
		32: {{0, 0, 0}, {0, 31, 31}, {1, 0, 32}, {15, 1, 15*32 + 1}, {0, 32, 512}, {3, 127, 1536 + 3*32 + 31}, {16, 0, 2048}, {19, 65, 3072 + 3*32 + 1}},
	} {
		const width = 128
		tiles := make([]byte, tiledRows(20)*width)
		for m := range 20 {
			row := make([]byte, width)
			for k := range row {
				row[k] = byte(m*7 + k)
			}
			toTiles(tiles, row, m, features)
		}
		for i, c := range cells {
			require.Equal(t, byte(c.m*7+c.k), tiles[c.at], "%d features, case %d: row %d, feature %d", features, i, c.m, c.k)
		}
	}
}

// Segments of whole tiles are multiplied on them; of others a tile would be
// mostly padding.
func TestWhatIsTiled(t *testing.T) {
	for _, c := range []struct {
		bits, zero int
		groups     backend.GroupSpec
		want       int
	}{
		{4, 8, backend.GroupSpec{Count: 32, Longest: 128}, 64},
		{4, 8, backend.GroupSpec{Count: 64, Longest: 64}, 64},
		{4, 8, backend.GroupSpec{Count: 1, Longest: 4096}, 64},
		{8, 128, backend.GroupSpec{Count: 32, Longest: 128}, 64},
		{8, 200, backend.GroupSpec{Count: 32, Longest: 128}, 64},
		{4, 128, backend.GroupSpec{Count: 32, Longest: 128}, 64},
		{4, 129, backend.GroupSpec{Count: 32, Longest: 128}, 0}, // 0 less it is no signed byte
		{4, 200, backend.GroupSpec{Count: 32, Longest: 128}, 0},
		{4, 8, backend.GroupSpec{Count: 128, Longest: 32}, 32},
		{4, 8, backend.GroupSpec{Count: 43, Longest: 96}, 32},
		{4, 8, backend.GroupSpec{Count: 256, Longest: 16}, 0},
		{4, 8, backend.GroupSpec{Count: 103, Longest: 40}, 0},
	} {
		s := backend.Spec{N: 64, K: 4096, Bits: c.bits, Scales: dtype.F16, Symmetric: true, Groups: c.groups, ZeroMin: c.zero, ZeroMax: c.zero,
			Recipe: quant.Recipe{Kind: quant.Int8Token}}
		require.Equal(t, c.want, newPanel(bytePanel, &s).canTile(), "%d bits, zero %d, %+v", c.bits, c.zero, c.groups)
		k := &kernel{act: int8Codes, least: 2, most: c.bits, unit: modelOfTiles()}
		require.Equal(t, c.want, k.panel(&s).tileFeatures)
		k.unit = model(bytePanel)
		require.Zero(t, k.panel(&s).tileFeatures, "a unit without tiles")
	}
}

// Zero points of their own are taken from 4-bit codes, too, but where rows of x have
// some and sums of codes are needed.
func TestZerosOfTiles(t *testing.T) {
	for _, c := range []struct {
		bits, most int
		recipe     quant.RecipeKind
		want       int
	}{{4, 15, quant.Int8Token, 64}, {4, 128, quant.Int8Token, 64}, {4, 129, quant.Int8Group, 0}, {4, 255, quant.Int8TokenAsym, 64}, {8, 255, quant.Int8Token, 64}} {
		s := backend.Spec{N: 64, K: 4096, Bits: c.bits, Scales: dtype.F16, Groups: backend.GroupSpec{Count: 32, Longest: 128}, ZeroMax: c.most,
			Recipe: quant.Recipe{Kind: c.recipe}}
		require.Equal(t, c.want, newPanel(bytePanel, &s).canTile(), "%+v", c)
	}
}

// Unpacking fetches half as many lines as it reads, and the product the rest.
func TestHalfOfWhatComes(t *testing.T) {
	b, packed := &block{coming: [2]span{{0x1000, 4 * lineBytes}, {0x9000, 0}}}, make([]byte, 7*lineBytes)
	require.Equal(t, uintptr(0x1000), b.halfOf(0, packed))
	require.Equal(t, span{0x1000 + 3*lineBytes, lineBytes}, b.coming[0])
	require.Equal(t, uintptr(0x1000+3*lineBytes), b.halfOf(0, packed))
	require.Equal(t, span{0x1000 + 4*lineBytes, 0}, b.coming[0])
	for tile := range 2 {
		require.Equal(t, startOf(packed), b.halfOf(tile, packed), "nothing comes")
	}
}

// What comes is fetched with sums, of which there are fewer than segments where one
// zero point is not for all.
func TestSumsOfRuns(t *testing.T) {
	for recipe, sums := range map[quant.RecipeKind]int{quant.Int8Token: 4, quant.Int8TokenAsym: 4} {
		s := backend.Spec{N: 64, K: 2048, Bits: 4, Scales: dtype.F16, Groups: backend.GroupSpec{Count: 1, Longest: 2048}, Recipe: quant.Recipe{Kind: recipe}}
		p := newPanel(bytePanel, &s)
		require.Equal(t, sums, p.sumsOf(0, len(p.pieces)), recipe)
		require.Equal(t, 1, p.sumsOf(0, len(p.pieces)/4), "%v: 512 features", recipe)
	}
}

// All of what comes is fetched, and little more.
func TestSoonOnTiles(t *testing.T) {
	a, b := span{0x1000, 130 * lineBytes}, span{0x9000, 130 * lineBytes}
	for _, c := range []struct {
		coming          [2]span
		steps           int
		at, step, share uintptr
	}{
		{[2]span{a, b}, 1, 0x1000, 0x8000, 130}, {[2]span{a, b}, 8, 0x1000, 0x8000, 17}, {[2]span{b, a}, 130, 0x9000, ^uintptr(0x8000) + 1, 1},
		{[2]span{a, b}, 1000, 0x1000, 0x8000, 1}, {[2]span{a}, 10, 0x1000, 0, 13}, {[2]span{}, 10, 0, 0, 0},
	} {
		at, step, share := soonOnTiles(c.coming, c.steps)
		require.Equal(t, []uintptr{c.at, c.step, c.share}, []uintptr{at, step, share}, "%+v", c)
	}
}

// upTo is all numbers of rows up to one, and some more.
func upTo(most int, more ...int) (rows []int) {
	for m := range most {
		rows = append(rows, m+1)
	}
	return append(rows, more...)
}

// What tiles make is what vectors make, bit for bit, and rows do not depend on
// how many there are.
func TestTilesEqualVectors(t *testing.T) {
	for _, threads := range []int{1, 3} { // which have more tiles of columns in a portion, and fewer
		t.Run(fmt.Sprintf("%d threads", threads), func(t *testing.T) { testTilesEqualVectors(t, threads) })
	}
}

func testTilesEqualVectors(t *testing.T, threads int) {
	byName := func(name string) []*kernel {
		for _, u := range units {
			if u.name == name {
				return tableOf([]*unit{u})
			}
		}
		return nil
	}
	b := open(t, backend.OpenOptions{Threads: threads})
	tiles, vectors := byName("amx"), byName("vnni")
	if tiles == nil || tiles[0].unit.missing(b.dev.Info().Features) != nil {
		t.Skip("the processor lacks AMX")
	}
	rng := rand.New(rand.NewPCG(31, 32))
	const k, most = 1088, 270 // 17 tiles of features
	for _, s := range []shape{
		{n: 37, bits: 4, groups: uniform(t, k, 64)}, {n: 64, bits: 4, groups: uniform(t, k, 128), zeros: true},
		{n: 16, bits: 4, groups: quant.OneGroup(k)}, {n: 33, bits: 4, groups: quant.OneGroup(k), zeros: true},
		{n: 48, bits: 8, groups: uniform(t, k, 64)}, {n: 17, bits: 8, groups: quant.OneGroup(k), zeros: true},
		{n: 40, bits: 3, groups: uniform(t, k, 192)}, {n: 300, bits: 2, groups: uniform(t, k, 64), zeros: true}, {n: 40, bits: 8, groups: quant.OneGroup(k)},
		{n: 40, bits: 4, groups: uniform(t, k, 32)}, {n: 33, bits: 4, groups: uniform(t, k, 96), zeros: true},
		{n: 24, bits: 8, groups: uniform(t, k, 32)}, {n: 40, bits: 4, groups: uniform(t, k, 40)}, // this on vectors in both
	} {
		s.k, s.scales = k, dtype.F16
		for _, recipe := range []quant.RecipeKind{quant.Int8Token, quant.Int8TokenAsym, quant.Int8Group} {
			t.Run(fmt.Sprintf("%s/%v", s, recipe), func(t *testing.T) {
				l, x := s.linear(t, rng), input(rng, dtype.F32, most, k)
				r := backend.Request{Recipe: &quant.Recipe{Kind: recipe}, X: dtype.F32, MaxRows: most}
				var want []float32
				for _, table := range [][]*kernel{vectors, tiles} {
					b.table = table
					layer, _ := b.prepare(l, r)
					if want == nil {
						want = b.apply(layer, x, most)
						continue
					}
					rows := upTo(49, 64, 65, 68, rowsTogether, rowsTogether+1, most)
					if testing.Short() {
						rows = []int{1, 8, 17, 33, 48, 65, 257}
					}
					for _, m := range rows {
						require.Equal(t, bitsOf(want[:m*s.n]), bitsOf(b.apply(layer, x[:m*k], m)), "%d rows", m)
					}
				}
			})
		}
	}
}

// Exact sums on tiles do not depend on how many rows there are, straight from packed
// weights, unpacked or whole, nor on the threads; the processor's are the model's.
func TestExactTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	const k = 288
	for i, s := range []shape{
		{n: 37, bits: 4, groups: uniform(t, k, 32)}, {n: 64, bits: 4, groups: uniform(t, k, 96), zeros: true},
		{n: 16, bits: 8, groups: quant.OneGroup(k)}, {n: 150, bits: 6, groups: uniform(t, k, 64), zeros: true},
		{n: 33, bits: 3, groups: actOrder(t, rng, k, 4)}, {n: 49, plain: dtype.BF16},
	} {
		s.k, s.scales = k, dtype.F16
		most := rowsTogether + 3 // some in another portion
		if s.bits == 3 || s.bits == 4 {
			most = rowsOnTheWay + 3
		}
		for j, xt := range []dtype.DType{dtype.BF16, dtype.F16, dtype.F32} {
			if testing.Short() && i%3 != j {
				continue
			}
			t.Run(fmt.Sprintf("%s/%v", s, xt), func(t *testing.T) {
				l, x := s.linear(t, rng), input(rng, xt, most, k)
				if xt != dtype.F16 {
					x[5*k+3] = 0x1p120     // a row that is divided
					for j := range 2 * k { // two of which much is dropped, one of them divided
						x[k+j] = xt.Round(float32(math.Ldexp(rng.Float64()-0.5, rng.IntN(18)-132)))
					}
					x[2*k+7] = 0x1p115
				}
				testExactTiles(t, l, x, s.n, most, xt)
			})
		}
	}
}

func testExactTiles(t *testing.T, l *quant.Linear, x []float32, n, most int, xt dtype.DType) {
	k := len(x) / most
	r := backend.Request{Recipe: &quant.Recipe{}, X: xt, Y: dtype.F32, MaxRows: most}
	var want []float32
	of := func(t *testing.T, threads int, u *unit) {
		b := open(t, backend.OpenOptions{Threads: threads})
		if missing := u.missing(b.dev.Info().Features); missing != nil {
			t.Skipf("the processor lacks %v", missing)
		}
		b.table = tableOf([]*unit{u})
		layer, kernel := b.prepare(l, r)
		require.NotNil(t, kernel.unit)
		require.Equal(t, tilePanel, kernel.panel(new(layer.Spec())).kind)
		if want == nil {
			want = b.apply(layer, x, most)
			b.accepted(layer, kernel, l, x, want, most)
		}
		rows := upTo(49, 64, 65, 127, most-4, most-3, most-2, most)
		switch {
		case testing.Short():
			rows = []int{1, 3, 17, 43, most - 2}
		case u.name == "model":
			rows = []int{1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 43, 48, 64, 65, most - 3, most - 2, most}
		}
		for _, m := range rows {
			require.Equal(t, bitsOf(want[:m*n]), bitsOf(b.apply(layer, x[:m*k], m)), "%d rows, %d threads, %s", m, threads, u.name)
		}
		require.NoError(t, layer.Close())
	}
	of(t, 1, modelOfTiles())
	for _, u := range units {
		if u.exact.kind == tilePanel {
			t.Run(u.name, func(t *testing.T) {
				of(t, 1, u)
				of(t, 3, u)
			})
		}
	}
}

// A row so long that it takes more scratch than the products do is prepared there, too.
func TestLongRowsOnTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(37, 38))
	const k, rows = 40_000, 6
	b := open(t, backend.OpenOptions{})
	b.table = tableOf([]*unit{modelOfTiles()})
	for _, s := range []shape{{n: 5, bits: 4, groups: uniform(t, k, 32)}, {n: 5, plain: dtype.BF16}} {
		s.k, s.scales = k, dtype.F16
		x := input(rng, dtype.BF16, rows, k)
		layer, kernel := b.prepare(s.linear(t, rng), backend.Request{Recipe: &quant.Recipe{}, X: dtype.BF16, Y: dtype.F32, MaxRows: rows})
		spec := layer.Spec()
		p := kernel.panel(&spec)
		require.Greater(t, shapeOfRow(&spec, p).row, productScratch(p, kernel.unit.kernels()))
		all := b.apply(layer, x, rows)
		require.Equal(t, bitsOf(b.apply(layer, x[:k], 1)), bitsOf(all[:s.n]))
	}
}

// Groups that leave much of a tile empty are refused, others padded.
func TestPaddingOfTiles(t *testing.T) {
	dev := open(t, backend.OpenOptions{}).dev
	for _, c := range []struct {
		k, group int
		refused  bool
	}{{4096, 128, false}, {4096, 32, false}, {4000, 128, false}, {4112, 4112, false}, {96, 96, false}, {4096, 16, true}, {4096, 8, true}, {480, 48, true}, {40, 40, true}, {300, 300, false}, {16, 16, true}} {
		s := backend.Spec{
			N: 64, K: c.k, Bits: 4, Scales: dtype.F16, Symmetric: true, ZeroMin: 8, ZeroMax: 8, X: dtype.BF16, Y: dtype.BF16, MaxRows: 1, ScalesFinite: true,
			Groups: backend.GroupSpec{Kind: quant.Uniform, Size: c.group, Count: (c.k + c.group - 1) / c.group, Longest: c.group, Shortest: min(c.group, (c.k-1)%c.group+1)},
		}
		k := &kernel{name: "k", act: exact, least: 2, most: 4, unit: modelOfTiles()}
		r := k.Supports(dev.Info(), s)
		if !c.refused {
			require.NoError(t, r.Err(), "%+v", c)
			continue
		}
		require.ErrorContains(t, r, "fill tiles of 32", "%+v", c)
	}
}

// A kernel says for how many rows it uses tiles.
func TestUnitOfRows(t *testing.T) {
	u := modelOfTiles()
	u.few = [2]string{"codes", "floats"}
	s := backend.Spec{N: 64, K: 4096, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 32, Longest: 128}}
	of := func(act activations, rows int) string {
		return (&kernel{act: act, least: 2, most: 4, unit: u}).Unit(s, rows)
	}
	s.X = dtype.BF16
	require.Equal(t, []string{"floats", "floats", "model"}, []string{of(exact, 1), of(exact, 2), of(exact, 3)})
	s.X = dtype.F16
	require.Equal(t, []string{"floats", "model"}, []string{of(exact, 1), of(exact, 2)})
	s.X = dtype.F32
	require.Equal(t, "model", of(exact, 1))
	s.Recipe.Kind = quant.Int8Token
	require.Equal(t, []string{"codes", "codes", "model"}, []string{of(int8Codes, 1), of(int8Codes, 7), of(int8Codes, 8)})
	s.Groups = backend.GroupSpec{Count: 64, Longest: 64}
	require.Equal(t, []string{"codes", "model"}, []string{of(int8Codes, 9), of(int8Codes, 10)})
	s.Groups = backend.GroupSpec{Count: 128, Longest: 32}
	require.Equal(t, []string{"codes", "model"}, []string{of(int8Codes, 24), of(int8Codes, 25)})
	s.Groups = backend.GroupSpec{Count: 256, Longest: 16}
	require.Equal(t, "codes", of(int8Codes, 512), "no whole tiles")
	u.tiles = false
	require.Equal(t, "model", of(int8Codes, 1))
	require.Equal(t, "go", (&kernel{act: exact}).Unit(s, 7))
}
