package reference_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant/reference"
)

// The worked numbers of formats.md §2.5.4; codes there are signed.
func TestRTNWorkedNumbers(t *testing.T) {
	a := []float32{-1, .5, .25, 1}
	b := []float32{.3, -.7, .011, .0039}
	for _, c := range []struct {
		w     []float32
		bits  int
		t     dtype.DType
		codes []int
		scale float32
	}{
		{a, 4, dtype.F32, []int{-7, 4, 2, 7}, .13333334},
		{a, 4, dtype.BF16, []int{-7, 4, 2, 7}, .1337890625},
		{a, 4, dtype.F16, []int{-8, 4, 2, 7}, .13330078},
		{a, 8, dtype.F32, []int{-127, 64, 32, 127}, .007843138},
		{a, 8, dtype.BF16, []int{-127, 64, 32, 127}, .00787353516},
		{a, 8, dtype.F16, []int{-128, 64, 32, 127}, .00784301758},
		{b, 8, dtype.F32, []int{55, -128, 2, 1}, 0},
		{b, 8, dtype.BF16, []int{55, -128, 2, 1}, 0},
		{b, 8, dtype.F16, []int{55, -127, 2, 1}, 0},
	} {
		w := make([]float32, len(c.w))
		for i, v := range c.w {
			w[i] = c.t.Round(v)
		}
		codes, scales := reference.RTN(c.t, c.bits, -1, 1, 4, w)
		require.Len(t, scales, 1)
		if c.scale != 0 {
			require.InEpsilon(t, c.scale, scales[0], 1e-7, "%d bits, %v", c.bits, c.t)
		}
		signed := make([]int, len(codes))
		for i, u := range codes {
			signed[i] = int(u) - 1<<(c.bits-1)
		}
		require.Equal(t, c.codes, signed, "%d bits, %v", c.bits, c.t)
	}
}

func TestRTNEdges(t *testing.T) {
	// Groups of 2 in rows of 5, the last one shorter. A group of zeros is code 8,
	// scale 0; m = 7.5 has scale 1 and rounds 0.5 and 1.5 to even.
	codes, scales := reference.RTN(dtype.F32, 4, 2, 2, 5, []float32{
		0, 0, 7.5, 0.5, -7.5,
		-7.5, 1.5, 0, 0, 7.5,
	})
	require.Equal(t, []float32{0, 1, 1, 1, 0, 1}, scales)
	require.Equal(t, []uint8{8, 8, 15, 8, 0, 0, 10, 8, 8, 15}, codes)

	// float16 overflows in m·2 from 32768, and 2⁻²⁴·2/255 underflows to 0: the
	// weights go to the ends, 0/0 to 0.
	_, scales = reference.RTN(dtype.F16, 8, -1, 1, 2, []float32{32768, 1})
	require.True(t, math.IsInf(float64(scales[0]), 1))
	codes, scales = reference.RTN(dtype.F16, 8, -1, 1, 3, []float32{0x1p-24, -0x1p-24, 0})
	require.Zero(t, scales[0])
	require.Equal(t, []uint8{255, 0, 128}, codes)
}

// By hand: −1..2 in 3 bits has the scale 3/7, zp = −4 + 7/3 = −1.67, rounded −2; a
// group of one sign keeps 0 in its range.
func TestRTNAsymmetricByHand(t *testing.T) {
	codes, scales, zeros := reference.RTNAsymmetric(dtype.F32, 3, 3, 1, 9, []float32{
		-1, 0.5, 2,
		7, 14, 3.5,
		0, 0, 0,
	})
	require.Equal(t, []float32{3. / 7, 2, 0x1p-23}, scales)
	require.Equal(t, []int{2, 0, 4}, zeros)
	require.Equal(t, []uint8{0, 3, 7, 4, 7, 2, 4, 4, 4}, codes)
}
