package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func TestToTiles(t *testing.T) {
	for rows, tiled := range map[int]int{0: 0, 1: 16, 16: 16, 17: 32, 240: 240} {
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
		require.Equal(t, spanOf(packed).at, b.halfOf(tile, packed), "nothing comes")
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

// What tiles make is what vectors make, bit for bit, and rows do not depend on
// how many there are.
func TestTilesEqualVectors(t *testing.T) {
	byName := func(name string) []*kernel {
		for _, u := range units {
			if u.name == name {
				return tableOf([]*unit{u})
			}
		}
		return nil
	}
	b := open(t, backend.OpenOptions{})
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
		{n: 40, bits: 3, groups: uniform(t, k, 192)}, {n: 40, bits: 8, groups: quant.OneGroup(k)},
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
					for _, m := range []int{1, 12, 13, 15, 16, 17, 31, 32, 47, 64, 240, 241, most} {
						require.Equal(t, bitsOf(want[:m*s.n]), bitsOf(b.apply(layer, x[:m*k], m)), "%d rows", m)
					}
				}
			})
		}
	}
}
