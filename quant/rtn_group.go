package quant

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// maxAbs returns the largest magnitude in w, NaN if there is one: the bit
// patterns of magnitudes are ordered like the magnitudes, NaN above all.
func maxAbs(w []float32) float32 {
	const abs = 1<<31 - 1
	var a, b uint32
	i := 0
	for ; i+2 <= len(w); i += 2 {
		a = max(a, math.Float32bits(w[i])&abs)
		b = max(b, math.Float32bits(w[i+1])&abs)
	}
	if i < len(w) {
		a = max(a, math.Float32bits(w[i])&abs)
	}
	return math.Float32frombits(max(a, b))
}

// rtnScale returns (m·2)/(2^bits−1), each step rounded to t.
func rtnScale(t dtype.DType, m float32, bits int) float32 {
	return t.Round(t.Round(m*2) / float32(int(1)<<bits-1))
}

// toInt is added to a float32 of magnitude below 2^22: the sum is rounded to
// an integer, ties to even, that stands in the low bits of its pattern.
const toInt float32 = 3 << 22

// parityGroup writes the codes of w under scale, computed in t, into codes.
//
// Upstream rounds w/scale to t and then clamps. Here it is clamped first: the
// ends of the range are values of t and rounding is monotonic, so that the
// result is the same, and what is left to round is neither infinite nor, where
// it matters, subnormal: anything below ½ becomes 0 whichever way it is rounded.
func parityGroup(t dtype.DType, codes []uint8, w []float32, scale float32, bits int) {
	half := float32(int(1) << (bits - 1))
	lo, hi := -half, half-1
	if scale == 0 {
		saturateGroup(codes, w, bits)
		return
	}
	codes = codes[:len(w)]
	bias := uint8(half)
	var drop uint32 // mantissa bits of a float32 that t has not
	switch t {
	case dtype.F32:
		for i, v := range w {
			q := v / scale
			if q > hi {
				q = hi
			}
			if q < lo {
				q = lo
			}
			codes[i] = uint8(math.Float32bits(q+toInt)) + bias
		}
		return
	case dtype.F16:
		drop = 13
	case dtype.BF16:
		drop = 16
	}
	below := uint32(1)<<(drop-1) - 1
	for i, v := range w {
		q := v / scale
		if q > hi {
			q = hi
		}
		if q < lo {
			q = lo
		}
		u := math.Float32bits(q)
		u = (u + below + u>>(drop&31)&1) >> (drop & 31) << (drop & 31)
		codes[i] = uint8(math.Float32bits(math.Float32frombits(u)+toInt)) + bias
	}
}

// saturateGroup is parityGroup under a scale of 0: w/0 is infinite and clamped
// to an end, 0/0 is defined as 0.
func saturateGroup(codes []uint8, w []float32, bits int) {
	for i, v := range w {
		switch {
		case v > 0:
			codes[i] = 1<<bits - 1
		case v < 0:
			codes[i] = 0
		default:
			codes[i] = 1 << (bits - 1)
		}
	}
}
