package rows_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
)

// planOf is one that does nothing but what a test asks of it.
func planOf(t *testing.T, isa rows.ISA, k int) *rows.Plan {
	p, err := rows.New(rows.Form{ISA: isa, X: dtype.BF16, K: k, Width: k, Segments: []rows.Segment{{Hi: int32(k)}}})
	require.NoError(t, err)
	return p
}

// What is smaller than a limit becomes 0 and nothing else, and the largest magnitude
// is found wherever it is, infinities and NaN above all.
func TestDropSmall(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	const least = 0x1p-119
	for _, isa := range []rows.ISA{rows.Go, rows.AVX2, rows.AVX512} {
		for _, k := range []int{32, 64, 96, 4096} {
			p := planOf(t, isa, k)
			for i := range 20 {
				x := make([]float32, k)
				for j := range x {
					x[j] = math.Float32frombits(rng.Uint32()&0x807fffff | uint32(rng.IntN(20))<<23)
				}
				at := rng.IntN(k)
				x[at] = []float32{1, -2, float32(math.Inf(-1)), float32(math.NaN()), 0x1p120}[i%5]
				x[(at+1)%k], x[(at+2)%k] = least, -math.Nextafter32(least, 0)
				want := append([]float32(nil), x...)
				for j, v := range want {
					if math.Abs(float64(v)) < least {
						want[j] = 0
					}
				}
				top := math.Float32bits(x[at]) &^ (1 << 31)
				require.Equal(t, top, p.DropSmall(x, least))
				for j := range x {
					require.Equal(t, math.Float32bits(want[j]), math.Float32bits(x[j]), "isa %d, value %d of %d", isa, j, k)
				}
			}
		}
	}
}

// A tile holds pairs of features in the order of a line, and nothing between them is
// written.
func TestTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 54))
	for _, isa := range []rows.ISA{rows.Go, rows.AVX512} {
		for _, bits := range []int{0, 4, 8} {
			order, halves := asm.PairsOfLine(bits), rows.HalvesOf(bits)
			for _, k := range []int{32, 64, 160} {
				x := make([]float32, k)
				for j := range x {
					x[j] = dtype.BF16.Round(float32(rng.NormFloat64()))
				}
				const other = 0xa5
				distance := asm.TileBytes * asm.TileRows
				dst := make([]byte, (k/32-1)*distance+asm.TileBytes)
				for i := range dst {
					dst[i] = other
				}
				planOf(t, isa, k).Tiles(dst, x, &halves)
				for i := 0; i < len(dst); i += 2 {
					got, in := binary.LittleEndian.Uint16(dst[i:]), i%distance
					if in >= asm.TileBytes {
						require.EqualValues(t, other<<8|other, got)
						continue
					}
					place := in / 2
					k := i/distance*32 + place/len(order)*len(order) + order[place%len(order)]
					require.Equal(t, x[k], dtype.BF16ToF32(got), "isa %d, %d bits, place %d", isa, bits, i)
				}
			}
		}
	}
}
