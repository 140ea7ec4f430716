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

// accurateShrink are the scales that accurateGroup tries, as multiples of the
// tightest one that clips nothing. Clipping a few extremes buys finer steps
// for all others, which pays the more the fewer the bits are: shrinks leaves
// out the smallest ones where there are many.
var accurateShrink = [...]float64{1, 0.93, 0.86, 0.79, 0.7, 0.6}

func shrinks(bits int) []float64 {
	return accurateShrink[:min(len(accurateShrink), 10-bits)]
}

// accurateGroup writes codes for w, whose largest magnitude is m, and returns
// the float32 scale that goes with them. It tries some scales, among them
// parity, the one of parity mode; a scale gives codes q, the codes give the
// best scale in the sense of least squares, s = Σwq/Σq², with the squared
// error Σw² − (Σwq)²/Σq². The codes with the smallest error win, and w is
// rounded once more under their s. So the error is not above that of any of
// the scales tried, up to the rounding of s to float32.
func accurateGroup(codes []uint8, w []float32, m, parity float32, bits int) float32 {
	if m-m != 0 {
		return m - m
	}
	half := float64(int(1) << (bits - 1))
	tight := tightScale(w, half)
	best, scale := 0.0, 0.0
	try := func(s float64) {
		if !(s > 0) || math.IsInf(s, 0) {
			return
		}
		wq, qq := fit(w, 1/s, half)
		if qq != 0 && wq*wq > best*qq {
			best, scale = wq*wq/qq, wq/qq
		}
	}
	try(float64(parity))
	for _, f := range shrinks(bits) {
		try(f * tight)
	}
	s := float32(scale)
	if s == 0 { // all zero, or too small for any float32 scale
		for i := range codes {
			codes[i] = uint8(half)
		}
		return 0
	}
	inv := 1 / float64(s)
	for i, v := range w {
		codes[i] = uint8(math.Float64bits(clampCode(float64(float64(v)*inv), half)+toInt64)) + uint8(half)
	}
	return s
}

// tightScale returns the smallest scale that clips nothing: half steps below
// zero, half−1 above.
func tightScale(w []float32, half float64) float64 {
	var lo, hi float32
	for _, v := range w {
		if v > hi {
			hi = v
		}
		if v < lo {
			lo = v
		}
	}
	return max(-float64(lo)/half, float64(hi)/(half-1))
}

// fit returns Σwq and Σq² for the codes q of w under the scale 1/inv, even
// and odd elements summed apart.
func fit(w []float32, inv, half float64) (wq, qq float64) {
	var wq1, qq1 float64
	i := 0
	for ; i+2 <= len(w); i += 2 {
		v, v1 := float64(w[i]), float64(w[i+1])
		q := clampCode(float64(v*inv), half) + toInt64 - toInt64
		q1 := clampCode(float64(v1*inv), half) + toInt64 - toInt64
		wq, wq1 = wq+float64(v*q), wq1+float64(v1*q1)
		qq, qq1 = qq+float64(q*q), qq1+float64(q1*q1)
	}
	if i < len(w) {
		v := float64(w[i])
		q := clampCode(float64(v*inv), half) + toInt64 - toInt64
		wq, qq = wq+float64(v*q), qq+float64(q*q)
	}
	return wq + wq1, qq + qq1
}

// toInt64 is toInt for float64.
const toInt64 float64 = 3 << 51

func clampCode(x, half float64) float64 {
	if x > half-1 {
		return half - 1
	}
	if x < -half {
		return -half
	}
	return x
}
