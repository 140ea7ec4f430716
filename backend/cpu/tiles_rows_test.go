package cpu

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// TestTameTiles compares with tame: the same scale, and of each row in tiles and of each that is
// read as it is, together the same values but for those that are dropped.
func TestTameTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	const k, rows = 64, 20
	for _, xt := range []dtype.DType{dtype.BF16, dtype.F16, dtype.F32} {
		s := backend.Spec{N: 16, K: k, X: xt, Y: dtype.F32, Bits: 8, Scales: dtype.F16, Symmetric: true, MaxRows: rows, Groups: backend.GroupSpec{Count: 1, Longest: k}}
		p := newPanel(tilePanel, &s)
		p.tileFeatures = p.canTile()
		f, err := newFront(nil, new(layout), &s, p, 0)
		require.NoError(t, err)
		f.leastTiled = rows*f.parts + 1 // room for all
		work := make([]byte, f.bytes(rows)+tiledRows(rows*f.parts)*f.tiles)
		to, _ := f.take(work, rows, 0)
		to.tiles = work[f.bytes(rows):]
		scratch := make([]byte, frontScratch(&s, &f.rowShape, true))
		tamedRows := 0
		for i := range 400 {
			m, b, x := i%rows, make([]byte, k*xt.Size()), make([]float32, k)
			for j := range x {
				xt.Put(b, j, math.Float32frombits(rng.Uint32()&0x807fffff|uint32(rng.IntN(240))<<23))
			}
			switch at := rng.IntN(k - 1); i % 4 {
			case 0:
				xt.Put(b, at, -0x1p112)
			case 1:
				xt.Put(b, at, 0x1p127)
				xt.Put(b, at+1, []float32{float32(math.Inf(-1)), float32nan()}[i/4%2])
			}
			dtype.Decode(xt, x, b)
			f.writePairs(&to, f.plan, b, scratch, m)
			if f.scales == 0 {
				require.Equal(t, dtype.F16, xt)
			} else {
				require.Equal(t, tame(x), to.scales[m])
				if to.scales[m] != 1 {
					tamedRows++
				}
			}
			for j, v := range x {
				onTiles, asItIs := 0.0, 0.0
				for part := range f.parts {
					row := m*f.parts + part
					asItIs += float64(f.floats(to.rows[row*f.stride():])[j])
					order := slices.Index(f.halves[:], uint16(2*(j%asm.TilePairs)+1))
					onTiles += float64(dtype.BF16ToF32(binary.LittleEndian.Uint16(rowOfTiles(to.tiles, row, f.tiles, asm.TileBytes)[j/asm.TilePairs*asm.TileBytes*asm.TileRows+2*order:])))
				}
				if v != v {
					require.True(t, asItIs != asItIs && onTiles != onTiles)
					continue
				}
				require.Equal(t, onTiles, asItIs)
				if f.scales > 0 && math.Abs(float64(v)-onTiles) < asm.LeastInTiles { // of a row that is divided, of what is left of it
					continue
				}
				require.Equal(t, float64(v), onTiles, "%v, row %d, value %d", xt, m, j)
			}
		}
		if xt != dtype.F16 {
			require.Greater(t, tamedRows, 50)
		}
	}
}

// Hard numbers by plain weights on tiles, by hand: infinite weights make infinite outputs although
// parts of x are 0, and what is small but normal is not dropped.
func TestHardPartsByHand(t *testing.T) {
	onTiles(t, 3, func(t *testing.T, b *bench) {
		const k, most = 32, 20
		inf, nan := float32(math.Inf(1)), math.Float32frombits(0x7f800001)
		weights := []float32{1, inf, -1, -inf, 0x1p10}
		l := &quant.Linear{Name: "layer"}
		require.NoError(t, l.Weight.Reset(quant.Form{N: len(weights), K: k, Plain: dtype.BF16}))
		for i, w := range weights {
			dtype.BF16.Put(l.Weight.Row(i), 0, w)
		}
		for xt, values := range map[dtype.DType][]float32{
			dtype.F16:  {1, -65504, 1.2345678, 0x1p-24, inf, nan},
			dtype.F32:  {1, -math.MaxFloat32 / 0x1p10, 1.2345678, 0x1.8p-122, inf, nan},
			dtype.BF16: {1, -0x1p100, 1.234375, 0x1.8p-122, inf, nan},
		} {
			layer, _ := b.prepare(l, backend.Request{Recipe: &quant.Recipe{}, X: xt, Y: dtype.F32, MaxRows: most})
			for _, m := range []int{1, 2, 6, most} {
				x := make([]float32, m*k)
				for row := range m {
					x[row*k] = xt.Round(values[row%len(values)])
				}
				y := b.apply(layer, x, m)
				for row := range m {
					for i, w := range weights {
						got, want := y[row*len(weights)+i], x[row*k]*w
						if want != want || math.IsInf(float64(x[row*k]), 0) {
							require.True(t, got != got || math.IsInf(float64(got), 0), "%v %v · %v = %v", xt, x[row*k], w, got)
							continue
						}
						require.Equal(t, want, got, "%v %v · %v, row %d of %d", xt, x[row*k], w, row, m)
					}
				}
			}
		}
	})
}

// What a kernel says of its errors counts parts, and it refuses one row that is faster without tiles.
func TestNumericsOfParts(t *testing.T) {
	dev := open(t, backend.OpenOptions{}).dev
	s := backend.Spec{
		N: 64, K: 4096, Bits: 4, Scales: dtype.F16, Symmetric: true, ZeroMin: 8, ZeroMax: 8, Y: dtype.BF16, ScalesFinite: true,
		Groups: backend.GroupSpec{Kind: quant.Uniform, Size: 128, Count: 32, Longest: 128, Shortest: 128},
	}
	codes := &kernel{name: "codes", act: exact, least: 2, most: 4, unit: modelOfTiles()}
	plain := &kernel{name: "plain", act: exact, plain: true, unit: modelOfTiles()}
	for _, c := range []struct {
		x                 dtype.DType
		depth             int // of a chain of half a tile, the sum of both, four tiles, 32 groups, parts but one, and the bias
		flush, flushPlain float64
	}{
		{dtype.BF16, 16 + 1 + 4 + 32 + 1, 0x1p-103, 0x1p-125}, {dtype.F16, 16 + 1 + 4 + 32 + 2, 0, 0x1p-124}, {dtype.F32, 16 + 1 + 4 + 32 + 3, 0x1p-103, 6 * 0x1p-126},
	} {
		s.X, s.MaxRows = c.x, 2
		require.NoError(t, codes.Supports(dev.Info(), s).Err())
		n := codes.Numerics(s)
		require.Equal(t, c.depth, n.Depth, c.x)
		require.Equal(t, c.flush, n.FlushBelow, c.x)
		p := backend.Spec{N: 64, K: 4096, Plain: dtype.BF16, X: c.x, Y: dtype.BF16, MaxRows: 2}
		require.NoError(t, plain.Supports(dev.Info(), p).Err())
		require.Equal(t, c.flushPlain, plain.Numerics(p).FlushBelow, c.x)
		s.MaxRows = 1
		if r := codes.Supports(dev.Info(), s); c.x == dtype.BF16 {
			require.NoError(t, r.Err())
		} else {
			require.ErrorContains(t, r, "at least 2")
		}
	}
}

// Layers of a group that share prepared rows divide them each in its own way: which rows of float32
// there are is what all of them read together.
func TestGroupOfManyRowsOnTiles(t *testing.T) {
	onTiles(t, 3, func(t *testing.T, b *bench) {
		rng := rand.New(rand.NewPCG(41, 42))
		const k, most = 32, 280
		for _, xt := range []dtype.DType{dtype.BF16, dtype.F16, dtype.F32} {
			var layers []backend.Layer
			for _, n := range []int{16, 200, 40} {
				s := shape{n: n, k: k, bits: 8, groups: quant.OneGroup(k), scales: dtype.F16}
				layer, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &quant.Recipe{}, X: xt, Y: dtype.F32, MaxRows: most})
				layers = append(layers, layer)
			}
			g, err := b.dev.Group(layers...)
			require.NoError(t, err)
			x, n := input(rng, xt, most, k), g.Spec().N
			all := []int{1, 2, 3, 5, 17, 40, 95, 129, 130, 131, 193, 257, 258, most}
			if testing.Short() {
				all = []int{1, 40, 97, 129}
			}
			differ := 0
			for _, m := range all {
				from := map[int]bool{}
				for _, l := range layers {
					from[l.(interface{ whole() *layer }).whole().readsFrom(0, m, b.dev.pool.Threads())] = true
				}
				if len(from) > 1 {
					differ++
				}
				got, at := b.apply(g, x[:m*k], m), 0
				for _, l := range layers {
					want, width := b.apply(l, x[:m*k], m), l.Spec().N
					for row := range m {
						require.Equal(t, bitsOf(want[row*width:][:width]), bitsOf(got[row*n+at:][:width]), "%v, row %d of %d", xt, row, m)
					}
					at += width
				}
			}
			require.NotZero(t, differ, "%v", xt)
			require.NoError(t, g.Close())
		}
	})
}
