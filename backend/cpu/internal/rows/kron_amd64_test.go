package rows

import (
	"fmt"
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
// reference's bit for bit, for values around the limits of fused products.
func TestTransformedValues(t *testing.T) {
	if !hasAVX2() {
		t.Skip("the processor lacks AVX2")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	floats := []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}
	used := map[[2]bool]bool{}
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
					for _, isa := range []ISA{AVX2, AVX512} {
						k := newKron(isa, x, tr)
						used[[2]bool{k.exact1, k.exact2}] = true
						out, rest := k.applyAVX2(x, raw, guardpage.Begin(t, fastScratch(l*r, 0, 0, l, r)))
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
	require.Len(t, used, 4, "not every pair of products was fused and apart")
}

func TestSignificand(t *testing.T) {
	for _, tt := range []struct {
		v    []float32
		want int
	}{
		{nil, 0},
		{[]float32{0, float32(math.Copysign(0, -1))}, 0},
		{[]float32{1, -2, 0x1p-50, 0x1p59}, 1},
		{[]float32{1.5}, 2},
		{[]float32{1, 1 + 0x1p-10}, 11},
		{[]float32{1 + 0x1p-7}, 8},
		{[]float32{1 + 0x1p-23}, 24},
		{[]float32{0x1p-51}, 24},
		{[]float32{0x1p60}, 24},
	} {
		require.Equal(t, tt.want, significand(tt.v), fmt.Sprint(tt.v))
	}
}

// Values of x and in between for which fused products are not exact, although
// P1 and P2 are tame: an addend of half the last bit of a subnormal sum, and
// products beyond float32 whose sum is not.
func TestTransformedValuesThatAreNotTame(t *testing.T) {
	if !hasAVX2() {
		t.Skip("the processor lacks AVX2")
	}
	columns := func(n int, v float32) []float32 { // the first column of [n, n]
		p := make([]float32, n*n)
		for i := range n {
			p[i*n] = v
		}
		return p
	}
	tie := []float32{0x1p-76, 0x1p-84, 0x1p-99, -0x1p-100} // ·2⁻⁵⁰: 2⁻¹²⁶ + 2⁻¹³⁴ + 2⁻¹⁴⁹ − 2⁻¹⁵⁰
	for name, tt := range map[string]struct {
		tr    quant.Transform
		x     []float32
		first float32
	}{
		"x": {quant.Transform{L: 1, R: 4, P1: []float32{0x1p126}, P2: columns(4, 0x1p-50)}, tie, 1 + 0x1p-7},
		"between": {quant.Transform{L: 3, R: 1, P1: []float32{0x1p47, 0x1p47, 0x1p47, 0, 0, 0, 0, 0, 0}, P2: []float32{1}},
			[]float32{-0x1.8p80, 0x1p81, -0x1p79}, float32(math.Inf(1))},
	} {
		t.Run(name, func(t *testing.T) {
			tt.tr.Type, tt.tr.Clip = dtype.BF16, 1
			require.NoError(t, tt.tr.Check(name, len(tt.x)))
			want, _, _ := reference.FlatQuant(&tt.tr, dtype.BF16, tt.x)
			require.Equal(t, tt.first, want[0])
			raw := make([]byte, 2*len(tt.x))
			dtype.Encode(dtype.BF16, raw, tt.x)
			k := newKron(AVX512, dtype.BF16, &tt.tr)
			require.True(t, k.exact1)
			require.Equal(t, name == "between", k.exact2)
			out, _ := k.applyAVX2(dtype.BF16, raw, make([]byte, fastScratch(len(tt.x), 0, 0, tt.tr.L, tt.tr.R)))
			got := view[float32](out, len(want))
			for i, w := range want {
				require.Equal(t, math.Float32bits(w), math.Float32bits(got[i]), "element %d is %v, want %v", i, got[i], w)
			}
		})
	}
}
