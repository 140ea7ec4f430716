package reference_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

func identity(n int) []float32 {
	p := make([]float32, n*n)
	for i := range n {
		p[i*n+i] = 1
	}
	return p
}

// shear is the worked example of the format: left_trans [[1,1],[0,1]], so
// P1 = [[1,0],[1,1]]; x = [[1,2],[3,4]] becomes [[1,2],[4,6]].
func shear(clip float32) *quant.Transform {
	return &quant.Transform{L: 2, R: 2, P1: []float32{1, 0, 1, 1}, P2: identity(2), Type: dtype.F16, Clip: clip}
}

func TestFlatQuantWorkedExample(t *testing.T) {
	x := []float32{1, 2, 3, 4}
	b, codes, scale := reference.FlatQuant(shear(1), dtype.F16, x)
	require.Equal(t, []float32{1, 2, 4, 6}, b)
	require.Equal(t, []int8{1, 2, 5, 7}, codes) // ·7/6: 1.17 2.33 4.67 7
	require.Equal(t, float32(6)/7, scale)

	_, codes, scale = reference.FlatQuant(shear(0.5), dtype.F16, x)
	require.Equal(t, []int8{2, 5, 7, 7}, codes) // ·14/6: 2.33 4.67 9.33 14, saturated
	require.Equal(t, float32(3)/7, scale)
}

// The vectors of npu.md give B itself; P1 and P2 of one keep x.
func TestFlatQuantQuantizerByHand(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     []float32
		clip  float32
		scale float32
		codes []int8
	}{
		{"half to even", []float32{7, .5, 1.5, 2.5, -.5, -1.5, -2.5, -7}, 1, 1, []int8{7, 0, 2, 2, 0, -2, -2, -7}},
		{"saturation", []float32{7, -7, 3.25, -3.75, -4.25, 1, .25, -.25}, .5, .5, []int8{7, -8, 6, -8, -8, 2, 0, 0}},
		{"zeros", make([]float32, 8), .9, 0, make([]int8, 8)},
		// 0.85693359375·1.75 = 1.49963, in float16 1.5, even 2; rounded once it is 1.
		{"double rounding", []float32{4, 0.85693359375}, 1, float32(4) / 7, []int8{7, 2}},
		// (7/clip)/mx is 3.1114485 and 7/(clip·mx) one ulp more; 0.48193359375 times them is
		// on either side of 1.49951171875, half way from 1.4990234375 to the tie 1.5.
		{"order of the divisions", []float32{2.96875, 0.48193359375}, 0.7578125, float32(2.96875*0.7578125) / 7, []int8{7, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := &quant.Transform{L: 1, R: len(c.b), P1: identity(1), P2: identity(len(c.b)), Type: dtype.F16, Clip: c.clip}
			b, codes, scale := reference.FlatQuant(tr, dtype.F16, c.b)
			require.Equal(t, c.b, b)
			require.Equal(t, c.codes, codes)
			require.Equal(t, c.scale, scale)
		})
	}
}

func TestFlatQuantRounding(t *testing.T) {
	// x·P2 = 1 + 2⁻⁸ is a tie of bfloat16 (steps of 2⁻⁷ above 1), even: 1. In
	// float16 and float32 it stays. P1 multiplies by 1024: 1024 or 1028.
	tr := &quant.Transform{L: 1, R: 1, P1: []float32{1024}, P2: []float32{1 + 0x1p-8}, Type: dtype.F32, Clip: 1}
	for xt, want := range map[dtype.DType]float32{dtype.BF16: 1024, dtype.F16: 1028, dtype.F32: 1028} {
		b, _, _ := reference.FlatQuant(tr, xt, []float32{1})
		require.Equal(t, []float32{want}, b, "%v", xt)
	}
	// B is float16 even for other x: 2049 is a tie between 2048 and 2050.
	tr = &quant.Transform{L: 1, R: 1, P1: []float32{1}, P2: []float32{1}, Type: dtype.F32, Clip: 1}
	b, _, _ := reference.FlatQuant(tr, dtype.F32, []float32{2049})
	require.Equal(t, []float32{2048}, b)

	// Sums are float32 in ascending order: 2²⁴ + 1 − 2²⁴ loses the one.
	tr = &quant.Transform{L: 1, R: 3, P1: []float32{1}, P2: []float32{1, 0, 0, 1, 0, 0, 1, 0, 0}, Type: dtype.F32, Clip: 1}
	b, _, _ = reference.FlatQuant(tr, dtype.F32, []float32{0x1p24, 1, -0x1p24})
	require.Equal(t, []float32{0, 0, 0}, b)

	// The product (1 + 2⁻¹²)² = 1 + 2⁻¹¹ + 2⁻²⁴ enters the sum as it is.
	tr = &quant.Transform{L: 1, R: 2, P1: []float32{1}, P2: []float32{1 + 0x1p-11, 0, 1 + 0x1p-12, 0}, Type: dtype.F32, Clip: 1}
	b, _, _ = reference.FlatQuant(tr, dtype.F32, []float32{-1, 1 + 0x1p-12})
	require.Equal(t, []float32{0x1p-24, 0}, b)
}

func TestFlatQuantOverflowIsNaN(t *testing.T) {
	// A finite bfloat16 x may exceed float16: the row is not finite.
	tr := &quant.Transform{L: 1, R: 2, P1: identity(1), P2: identity(2), Type: dtype.BF16, Clip: 1}
	for _, x := range [][]float32{{1, 65536}, {nan, 1}, {1, -inf}} {
		_, codes, scale := reference.FlatQuant(tr, dtype.BF16, x)
		require.True(t, scale != scale, "%v", x)
		require.Equal(t, []int8{0, 0}, codes)
	}
	// A clip so small that 7/clip overflows: zeros stay 0, all else saturates.
	tr.Clip = 0x1p-130
	_, codes, _ := reference.FlatQuant(tr, dtype.BF16, []float32{0, -1})
	require.Equal(t, []int8{0, -8}, codes)
}
