package reference

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// FlatQuant transforms and quantizes one row x of K = L·R values, each exact
// in xt, as aclnnFlatQuant does it on Atlas A2 and A3:
//
//	A     = round_xt(X·P2)                 X is x as [L, R]; float32 sums
//	B     = round_f16(P1·A)                always float16; float32 sums
//	mx    = max |B|
//	scale = (mx·clip)/7
//	r     = mx ≠ 0 ? (7/clip)/mx : 7
//	code  = saturate[-8,7](rint(round_f16(B·r)))
//
// Sums run over ascending k, each step a fused multiply-add of float32. b is B,
// [K]. Where B holds a NaN or an infinity, which a finite x can reach by overflow
// of float16, scale is NaN and the codes are 0.
func FlatQuant(t *quant.Transform, xt dtype.DType, x []float32) (b []float32, codes []int8, scale float32) {
	l, r := t.L, t.R
	a := make([]float32, l*r)
	for i := range l {
		for j := range r {
			var sum float32
			for k := range r {
				sum = dtype.FMA(x[i*r+k], t.P2[k*r+j], sum)
			}
			a[i*r+j] = xt.Round(sum)
		}
	}
	b = make([]float32, l*r)
	for i := range l {
		for j := range r {
			var sum float32
			for k := range l {
				sum = dtype.FMA(t.P1[i*l+k], a[k*r+j], sum)
			}
			b[i*r+j] = dtype.F16.Round(sum)
		}
	}
	codes, scale = int4Row(t.Clip, b)
	return b, codes, scale
}

// int4Row is FlatQuant's quantizer of a transformed row b of float16 values.
func int4Row(clip float32, b []float32) (codes []int8, scale float32) {
	codes = make([]int8, len(b))
	if !allFinite(b) {
		return codes, float32(math.NaN())
	}
	mx := absMax(b)
	scale = float32(mx*clip) / 7
	r := float32(7)
	if mx != 0 {
		r = float32(7/clip) / mx
	}
	for k, v := range b {
		t := dtype.F16.Round(float32(v * r))
		codes[k] = int8(clamp(math.RoundToEven(float64(t)), -8, 7))
	}
	return codes, scale
}
