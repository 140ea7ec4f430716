package reference

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Quantize quantizes one row x of K values, each exact in xt, by any recipe
// but Exact and Int4FlatQuant (see FlatQuant). act is the recipe's ActGroups.
// It returns K codes, one scale per group of act and the zero point of the
// row: x[k] ≈ scales[g]·(codes[k] − zero).
//
// A row that holds a NaN or an infinity, for Int8Group a group that does, gets
// scale NaN and codes 0, so that its outputs are NaN.
func Quantize(r quant.Recipe, xt dtype.DType, act *quant.Groups, x []float32) (codes []int8, scales []float32, zero int32) {
	codes = make([]int8, len(x))
	scales = make([]float32, act.Count())
	if r.Kind == quant.Int8Group {
		int8Group(act, x, codes, scales)
		return codes, scales, 0
	}
	if !allFinite(x) {
		scales[0] = float32(math.NaN())
		return codes, scales, 0
	}
	switch r.Kind {
	case quant.Int8TokenAsym:
		scales[0], zero = int8TokenAsym(x, codes)
	case quant.Int8Token:
		scales[0] = int8Token(xt, x, codes)
	case quant.Int8TokenXPU:
		scales[0] = int8TokenXPU(xt, x, codes)
	case quant.Int8TokenAscend:
		scales[0] = int8TokenAscend(x, codes)
	case quant.Int4TokenAscend:
		scales[0] = int4TokenAscend(x, codes)
	}
	return codes, scales, zero
}

// int8TokenAsym: the dynamic 4-bit operator's rows (PyTorch's
// _dyn_quant_matmul_4bit and KleidiAI's qai8dxp). All arithmetic is float32.
// The returned scale is 1/scale: the one that gives x back.
func int8TokenAsym(x []float32, codes []int8) (recip float32, zero int32) {
	var mn, mx float32
	for _, v := range x {
		mn, mx = min(mn, v), max(mx, v)
	}
	scale := float32(1)
	if mn != mx {
		scale = 255 / (mx - mn)
	}
	if math.IsInf(float64(scale), 1) {
		// Every |x| is below 2⁻¹²⁰. Upstream's integers overflow, and y is 0
		// whatever they are, since 1/scale is: the row counts as zeros.
		return 0, 0
	}
	if scale != 0 { // it is 0 where max − min overflows: y is 0 there, too
		recip = 1 / scale
	}
	dmin, dmax := float32(mn*scale), float32(mx*scale)
	zp := 127 - dmax
	if float32(-128+dmin)+float32(127+dmax) > 0 {
		zp = -128 - dmin
	}
	zero = int32(math.RoundToEven(clamp(float64(zp), -128, 127)))
	for k, v := range x {
		t := math.Round(float64(float32(v * scale))) // ties away from zero
		codes[k] = int8(clamp(t+float64(zero), -128, 127))
	}
	return recip, zero
}

// int8Token: compressed-tensors' dynamic per-token int8. The scale and each
// quotient are rounded to the type of x; clamped first, then rounded half to
// even. A zero scale becomes the machine epsilon of the type.
func int8Token(xt dtype.DType, x []float32, codes []int8) (scale float32) {
	scale = xt.Round(absMax(x) / 127.5)
	if scale == 0 {
		scale = float32(xt.Epsilon())
	}
	for k, v := range x {
		t := xt.Round(v / scale)
		codes[k] = int8(math.RoundToEven(clamp(float64(t), -128, 127)))
	}
	return scale
}

// int8TokenXPU: the per-token int8 of vLLM's W4A8 on XPU. The scale is at
// least 1e-5 and rounded to the type of x; quotients are float32.
func int8TokenXPU(xt dtype.DType, x []float32, codes []int8) (scale float32) {
	scale = xt.Round(max(absMax(x)/127, 1e-5))
	for k, v := range x {
		codes[k] = int8(clamp(math.RoundToEven(float64(v/scale)), -128, 127))
	}
	return scale
}

// int8TokenAscend: aclnnDynamicQuant's per-token int8, all float32.
func int8TokenAscend(x []float32, codes []int8) (scale float32) {
	scale = absMax(x) / 127
	if scale == 0 {
		return 0
	}
	for k, v := range x {
		codes[k] = int8(clamp(math.RoundToEven(float64(v/scale)), -128, 127))
	}
	return scale
}

// int4TokenAscend: aclnnDynamicQuant's per-token int4, all float32.
func int4TokenAscend(x []float32, codes []int8) (scale float32) {
	scale = absMax(x) / 7
	if scale == 0 {
		return 0
	}
	for k, v := range x {
		codes[k] = int8(clamp(math.RoundToEven(float64(v/scale)), -8, 7))
	}
	return scale
}

// int8Group: symmetric int8 with one scale per group of act, all float32.
func int8Group(act *quant.Groups, x []float32, codes []int8, scales []float32) {
	group := act.Index(nil)
	for k, v := range x {
		if v-v != 0 {
			v = float32(math.NaN())
		}
		scales[group[k]] = max(scales[group[k]], abs(v)) // max with NaN is NaN
	}
	for g := range scales {
		scales[g] /= 127
	}
	for k, v := range x {
		if s := scales[group[k]]; s > 0 {
			codes[k] = int8(clamp(math.RoundToEven(float64(v/s)), -127, 127))
		}
	}
}

// CodeRange returns the clamp range of a recipe's codes; 0, 0 for Exact.
func CodeRange(k quant.RecipeKind) (lo, hi int) {
	switch k {
	case quant.Exact:
		return 0, 0
	case quant.Int8Group:
		return -127, 127
	case quant.Int4FlatQuant, quant.Int4TokenAscend:
		return -8, 7
	}
	return -128, 127
}

// Interval returns the codes that a kernel with so much CodeSlack may give
// where the recipe's code is code: code ± slack, cut to CodeRange.
func Interval(k quant.RecipeKind, code int8, slack int) (lo, hi int) {
	lo, hi = CodeRange(k)
	return max(lo, int(code)-slack), min(hi, int(code)+slack)
}

func allFinite(x []float32) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}

func abs(v float32) float32 { return float32(math.Abs(float64(v))) }

func absMax(x []float32) float32 {
	var m float32
	for _, v := range x {
		m = max(m, abs(v))
	}
	return m
}

// clamp returns v inside [lo, hi], and 0 for NaN.
func clamp(v, lo, hi float64) float64 {
	if v != v {
		return 0
	}
	return min(max(v, lo), hi)
}
