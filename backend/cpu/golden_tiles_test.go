package cpu

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// goldenTiles are hashes of packed weights, and of y, for exact products on tiles: what is
// kept of older programs has these bytes.
var goldenTiles = map[string][2]uint64{
	"4 bits": {0x709fdde1e5af5b2b, 0xd52da3f26fcc8fc9},
	"7 bits": {0xf6a656dd68a26e85, 0xf7955284a14721a2},
	"0 bits": {0x3cd1b719e2e07559, 0x7d66346f1401d866},
}

// TestGoldenBitsOfTiles makes its numbers from integers, as TestGoldenBits does.
func TestGoldenBitsOfTiles(t *testing.T) {
	onTiles(t, 2, func(_ *testing.T, b *bench) { b.testGoldenTiles() })
}

func (b *bench) testGoldenTiles() {
	const n, k, m = 21, 1200, 7
	rng := rand.New(rand.NewPCG(2026, 11))
	x := make([]float32, m*k)
	for i := range x {
		x[i] = integerOver(rng, 127, 64)
	}
	for _, bits := range []int{4, 7, 0} {
		l, name := &quant.Linear{Name: "layer"}, fmt.Sprintf("%d bits", bits)
		if bits == 0 {
			require.NoError(b.t, l.Weight.Reset(quant.Form{N: n, K: k, Plain: dtype.BF16}))
			for i := range n {
				for j := range k {
					dtype.BF16.Put(l.Weight.Row(i), j, integerOver(rng, 100, 512))
				}
			}
		} else {
			g := ragged(b.t, 0, 96, 224, 256, 1200)
			require.NoError(b.t, l.Weight.Reset(quant.Form{N: n, K: k, Bits: bits, Scales: dtype.F32, Zeros: true, Groups: g}))
			fillIntegers(rng, &l.Weight, 1<<bits-1)
		}
		layer, kernel := b.prepare(l, backend.Request{Recipe: &quant.Recipe{}, X: dtype.BF16, Y: dtype.F32, MaxRows: m})
		require.Contains(b.t, kernel.Packing(b.dev.Info(), layer.Spec()), "panel4-")
		h := fnv.New64a()
		require.NoError(b.t, layer.(backend.Keeper).WritePacked(b.t.Context(), h))
		packed := h.Sum64()
		for _, rows := range []int{m, 1, 4} {
			h.Reset()
			for _, v := range b.apply(layer, x[:rows*k], rows)[:n] {
				_ = binary.Write(h, binary.LittleEndian, math.Float32bits(v))
			}
			require.Equal(b.t, fmt.Sprintf("%#x", goldenTiles[name]), fmt.Sprintf("%#x", [2]uint64{packed, h.Sum64()}), "%q, the first of %d rows: other packed bytes want another packingVersion", name, rows)
		}
	}
}
