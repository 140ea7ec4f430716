//go:build linux && xpu

package xpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

// rowsOf makes rows of k values exact in type t: random ones of many sizes, zeros, huge
// and subnormal ones, and such that are not finite.
func rowsOf(rng *rand.Rand, t int64, rows, k int) []float32 {
	var x []float32
	for m := range rows {
		scale := math.Exp(rng.Float64()*20 - 14)
		row := make([]float32, k)
		for i := range row {
			row[i] = float32(rng.NormFloat64() * scale)
		}
		switch m % 12 {
		case 2:
			clear(row)
		case 3: // below the least scale
			for i := range row {
				row[i] *= 1e-30
			}
		case 4: // the largest
			row[rng.IntN(k)] = -float32(types[t].MaxFinite())
		case 5: // subnormal ones beside others
			for i := range row {
				row[i] = float32(types[t].SmallestNormal()) * float32(rng.Float64()-.5)
			}
		case 6: // halves of a scale: ties
			for i := range row {
				row[i] = float32(rng.IntN(255)-127) / 2
			}
			row[0] = 127
		case 7:
			row[rng.IntN(k)] = float32(math.NaN())
		case 8:
			row[k-1] = float32(math.Inf(-1))
		case 9:
			row[0] = float32(math.NaN())
			row[k-1] = float32(math.Inf(1))
		case 10:
			row[k-1] = float32(math.NaN())
		}
		x = append(x, row...)
	}
	return decode(t, encode(t, x))
}

// The quantizer of oneDNN's primitives gives the codes and scales of package quant, bit for bit:
// every type, every number of rows of a bucket and between buckets, padding of
// k, rows with gaps.
func TestQuantizerIsThatOfQuant(t *testing.T) {
	r := real(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for i, typ := range []int64{F32, F16, BF16, F32, F16, BF16} {
		activations, recipe := int64(Int8Token), quant.Recipe{Kind: quant.Int8TokenXPU}
		if i >= 3 {
			activations, recipe = Int8TokenCT, quant.Recipe{Kind: quant.Int8Token}
		}
		for _, c := range []struct{ rows, most, cols, k, gap int }{
			{1, 1, 64, 64, 0}, {1, 8, 96, 96, 0}, {12, 12, 128, 128, 0}, {24, 32, 100, 128, 0}, {7, 8, 33, 64, 5}, {48, 48, 512, 512, 0}, {13, 64, 257, 288, 0},
		} {
			t.Run(fmt.Sprintf("%v/%v/%d of %d, %d of %d, gap %d", recipe, types[typ], c.rows, c.most, c.cols, c.k, c.gap), func(t *testing.T) {
				plan := Plan{Activations: activations, XType: typ, XCols: int64(c.cols), WeightType: U4, WeightStride: int64(c.k), K: int64(c.k), N: 8, YCols: 8,
					Group: 32, ScaleType: F32, ZeroKind: ZeroScalar, ZeroType: S8, ZeroValue: 8, YType: F32, MaxRows: int64(c.most), Deterministic: 1, Codes: 1}
				l := r.layer(t, &plan, make([]byte, 8*c.k/2), make([]float32, 8*c.k/32), nil, nil)
				x := rowsOf(rng, typ, c.rows, c.cols)
				got, scales := l.quantize(x, c.rows, c.cols+c.gap)

				act := quant.OneGroup(c.cols)
				for m := range c.rows {
					want, scale := make([]int8, c.cols), make([]float32, 1)
					recipe.QuantizeRow(types[typ], &act, want, scale, x[m*c.cols:(m+1)*c.cols])
					if activations == Int8TokenCT && typ == BF16 && scale[0] > 0 && scale[0] < 0x1p-126 && scales[m] != scale[0] {
						// oneDNN may round numbers that are subnormal in bfloat16 to 0, and mostly does.
						scale[0] = 0x1p-7
						clear(want)
					}
					if scale[0] != scale[0] {
						require.True(t, scales[m] != scales[m], "scale %v of row %d", scales[m], m)
					} else {
						require.Equal(t, math.Float32bits(scale[0]), math.Float32bits(scales[m]), "scale %v of row %d, not %v", scales[m], m, scale[0])
					}
					require.Equal(t, want, got[m*c.cols:(m+1)*c.cols], "row %d, scale %v", m, scale[0])
				}
			})
		}
	}
}
