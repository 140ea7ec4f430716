package reference_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

func quantize(kind quant.RecipeKind, xt dtype.DType, x ...float32) ([]int8, float32, int32) {
	act := quant.OneGroup(len(x))
	codes, scales, zero := reference.Quantize(quant.Recipe{Kind: kind}, xt, &act, x)
	return codes, scales[0], zero
}

func TestQuantizersByHand(t *testing.T) {
	const tiny = 0x1p-149
	for _, c := range []struct {
		name  string
		kind  quant.RecipeKind
		xt    dtype.DType
		x     []float32
		codes []int8
		scale float32
		zero  int32
	}{
		{
			// mx−mn = 2, 255/2 = 127.5. dmin = −127.5, dmax = 127.5: the errors are −255.5
			// and 254.5, their sum is not positive, so zp = 127 − 127.5 = −0.5, a tie, even: 0.
			// 127.5 rounds away to 128, clamped; 63.75 to 64.
			"asymmetric, symmetric range", quant.Int8TokenAsym, dtype.F32,
			[]float32{-1, 1, 0.5, 0}, []int8{-128, 127, 64, 0}, 1 / float32(127.5), 0,
		}, {
			// scale 1; the errors −128 and 382: zp = −128 − 0. 0.5, 1.5, 2.5 round away from
			// zero to 1, 2, 3 where half even gives 0, 2, 2.
			"asymmetric, ties away", quant.Int8TokenAsym, dtype.F32,
			[]float32{255, 0.5, 1.5, 2.5}, []int8{127, -127, -126, -125}, 1, -128,
		}, {
			// scale 1; the errors −383 and 127: zp = 127 − 0. −0.5 and −2.5 round to −1 and −3.
			"asymmetric, negative row", quant.Int8TokenAsym, dtype.F32,
			[]float32{-255, -0.5, -2.5, 0}, []int8{-128, 126, 124, 127}, 1, 127,
		}, {
			// A row of zeros has scale 1: the errors −128 and 127, zp = 127 − 0.
			"asymmetric, zeros", quant.Int8TokenAsym, dtype.F32,
			[]float32{0, 0}, []int8{127, 127}, 1, 127,
		}, {
			// max − min overflows, 255/Inf = 0, and the reciprocal of 0 is 0 by definition.
			"asymmetric, range overflows", quant.Int8TokenAsym, dtype.F32,
			[]float32{-3e38, 3e38}, []int8{127, 127}, 0, 127,
		}, {
			// 255/2⁻¹⁴⁹ overflows: counts as zeros.
			"asymmetric, reciprocal overflows", quant.Int8TokenAsym, dtype.F32,
			[]float32{0, tiny}, []int8{0, 0}, 0, 0,
		}, {
			// 127.5/127.5 = 1. Clamped to 127 before rounding; −127.5 is inside and goes to even.
			"int8-token, clamp then round", quant.Int8Token, dtype.F32,
			[]float32{127.5, -127.5, 0.5, 1.5}, []int8{127, -128, 0, 2}, 1, 0,
		}, {
			// 128/127.5 = 1.00392 is 1 + 0.502/128: bfloat16 1.0078125. 96/1.0078125 = 95.2558,
			// bfloat16 (steps of 0.5) 95.5, even 96; without that rounding 95.
			"int8-token, quotient rounded to bfloat16", quant.Int8Token, dtype.BF16,
			[]float32{128, 96}, []int8{127, 96}, 1.0078125, 0,
		}, {
			"int8-token, zeros take epsilon", quant.Int8Token, dtype.F16,
			[]float32{0, 0}, []int8{0, 0}, 0x1p-10, 0,
		}, {
			// 2⁻²⁴/127.5 underflows in float16 and becomes 2⁻¹⁰; the code of 2⁻²⁴ is 0.
			"int8-token, scale underflows", quant.Int8Token, dtype.F16,
			[]float32{0x1p-24, 0}, []int8{0, 0}, 0x1p-10, 0,
		}, {
			// xpu.md: 1.27/127 in float32; 0.635 over it is 63.5 exactly, a tie: 64.
			"xpu, worked example", quant.Int8TokenXPU, dtype.F32,
			[]float32{0.5, -1.27, 0.635, 0}, []int8{50, -127, 64, 0}, 0.0099999998, 0,
		}, {
			// 1e-5 = 1.31072·2⁻¹⁷, in float16 168·2⁻²⁴. 100·2⁻²⁴ over it is 0.595.
			"xpu, smallest scale", quant.Int8TokenXPU, dtype.F16,
			[]float32{100 * 0x1p-24, 0}, []int8{1, 0}, 168 * 0x1p-24, 0,
		}, {
			// 128/127 = 1.00787, which is 1 + 1.008/128: bfloat16 1.0078125, and
			// 128/1.0078125 = 127.0078; 64.5/1.0078125 = 64 exactly.
			"xpu, scale rounded to bfloat16", quant.Int8TokenXPU, dtype.BF16,
			[]float32{-128, 64.5}, []int8{-127, 64}, 1.0078125, 0,
		}, {
			"xpu, zeros", quant.Int8TokenXPU, dtype.F32,
			[]float32{0, 0}, []int8{0, 0}, 1e-5, 0,
		}, {
			"ascend, ties to even", quant.Int8TokenAscend, dtype.F16,
			[]float32{127, 0.5, 1.5, -2.5, -127}, []int8{127, 0, 2, -2, -127}, 1, 0,
		}, {
			"ascend, zeros", quant.Int8TokenAscend, dtype.F16, []float32{0, 0}, []int8{0, 0}, 0, 0,
		}, {
			// 300/127 units of 2⁻¹⁴⁹ round to 2: 150 is clamped.
			"ascend, subnormal scale", quant.Int8TokenAscend, dtype.F32,
			[]float32{300 * tiny, -300 * tiny, 3 * tiny}, []int8{127, -128, 2}, 2 * tiny, 0,
		}, {
			// 60/127 of the smallest subnormal rounds to 0.
			"ascend, scale underflows", quant.Int8TokenAscend, dtype.F32,
			[]float32{60 * tiny}, []int8{0}, 0, 0,
		}, {
			"ascend int4, ties to even", quant.Int4TokenAscend, dtype.F16,
			[]float32{7, 0.5, 1.5, -2.5, -7}, []int8{7, 0, 2, -2, -7}, 1, 0,
		}, {
			// 17/7 units of 2⁻¹⁴⁹ round to 2: 8.5 is clamped on both sides.
			"ascend int4, subnormal scale", quant.Int4TokenAscend, dtype.F32,
			[]float32{17 * tiny, -17 * tiny, 3 * tiny}, []int8{7, -8, 2}, 2 * tiny, 0,
		}, {
			"group, subnormal scale clamps at -127", quant.Int8Group, dtype.F32,
			[]float32{300 * tiny, -300 * tiny, 3 * tiny}, []int8{127, -127, 2}, 2 * tiny, 0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			codes, scale, zero := quantize(c.kind, c.xt, c.x...)
			require.Equal(t, c.codes, codes)
			require.Equal(t, c.scale, scale)
			require.Equal(t, c.zero, zero)
		})
	}
}

func TestNonFiniteRowIsNaN(t *testing.T) {
	for _, kind := range []quant.RecipeKind{quant.Int8TokenAsym, quant.Int8Token, quant.Int8TokenXPU, quant.Int8TokenAscend, quant.Int8Group, quant.Int4TokenAscend} {
		for _, bad := range []float32{nan, inf, -inf} {
			codes, scale, zero := quantize(kind, dtype.BF16, 1, bad, -2)
			require.True(t, scale != scale, "%v: scale of a row with %v is %v", kind, bad, scale)
			require.Equal(t, []int8{0, 0, 0}, codes)
			require.Zero(t, zero)
		}
	}
}

func TestInt8GroupByHand(t *testing.T) {
	// Act-order: features 0 and 2 are group 0 (amax 127, scale 1), 1 and 3 group 1
	// (amax 254, scale 2), 4 and 5 group 2 with a NaN, 6 group 3 of zeros.
	act := indexed(t, 4, 0, 1, 0, 1, 2, 2, 3)
	x := []float32{-127, 254, 0.5, 5, 7, nan, 0}
	codes, scales, zero := reference.Quantize(quant.Recipe{Kind: quant.Int8Group}, dtype.F32, &act, x)
	require.Equal(t, []int8{-127, 127, 0, 2, 0, 0, 0}, codes) // 5/2 is a tie: 2
	require.Equal(t, []float32{1, 2}, scales[:2])
	require.True(t, math.IsNaN(float64(scales[2])))
	require.Zero(t, scales[3])
	require.Zero(t, zero)
}

func TestInterval(t *testing.T) {
	for _, c := range []struct {
		kind          quant.RecipeKind
		code          int8
		slack, lo, hi int
	}{
		{quant.Int8TokenXPU, 5, 1, 4, 6},
		{quant.Int8TokenXPU, 5, 0, 5, 5},
		{quant.Int8TokenXPU, 127, 1, 126, 127},
		{quant.Int8TokenAsym, -128, 2, -128, -126},
		{quant.Int8Group, -127, 1, -127, -126},
		{quant.Int4FlatQuant, 7, 1, 6, 7},
		{quant.Int4FlatQuant, -8, 1, -8, -7},
	} {
		lo, hi := reference.Interval(c.kind, c.code, c.slack)
		require.Equal(t, []int{c.lo, c.hi}, []int{lo, hi}, "%v %d±%d", c.kind, c.code, c.slack)
	}
	lo, hi := reference.CodeRange(quant.Exact)
	require.Equal(t, []int{0, 0}, []int{lo, hi})
}
