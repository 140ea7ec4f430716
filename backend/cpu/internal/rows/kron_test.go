//go:build amd64 || arm64

package rows

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/guardpage"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

// The transformed values themselves, of which codes show little, equal the
// reference's bit for bit, in all of float32's range.
//
//asmcheck:needs AVX2,FMA3,F16C
func testTransformedValues(t *testing.T, isas ...ISA) {
	rng := rand.New(rand.NewPCG(1, 2))
	floats := []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}
	for _, size := range [][2]int{{1, 1}, {1, 40}, {40, 1}, {3, 5}, {6, 16}, {7, 17}, {13, 32}, {20, 48}, {64, 64}} {
		l, r := size[0], size[1]
		for _, x := range floats {
			for _, pt := range floats {
				for _, power := range []int{0, -20, -60, -90, 30, 70} {
					fill := func(n int, of dtype.DType, power int) []float32 {
						v := make([]float32, n)
						for i := range v {
							f := math.Ldexp(rng.NormFloat64(), power)
							v[i] = of.Round(float32(max(-of.MaxFinite(), min(f, of.MaxFinite()))))
						}
						return v
					}
					tr := &quant.Transform{L: l, R: r, P1: fill(l*l, pt, -power), P2: fill(r*r, pt, power/2), Type: pt, Clip: 1}
					row := fill(l*r, x, power/2)
					want, _, _ := reference.FlatQuant(tr, x, row)
					raw := guardpage.End(t, l*r*x.Size())
					dtype.Encode(x, raw, row)
					for _, isa := range isas {
						out, rest := newKron(isa, tr).fastApply(x, raw, guardpage.Begin(t, fastScratch(l*r, 0, 0, l, r)))
						require.Empty(t, rest)
						got := view[float32](out, len(out)/4)
						for i, w := range want {
							if math.Float32bits(w) != math.Float32bits(got[i]) && !(w != w && got[i] != got[i]) {
								require.Fail(t, "values differ", "%dx%d, x %v, P %v, 2^%d: element %d is %v, want %v", l, r, x, pt, power, i, got[i], w)
							}
						}
						require.Equal(t, make([]float32, len(got)-l*r), got[l*r:], "padding")
					}
				}
			}
		}
	}
}
