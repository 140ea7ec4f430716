package quant

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// search is accurate mode's choice for one group. It tries zero points and scales,
// among them those of parity mode. A zero point and a scale give codes; the codes
// less the zero point, q, give the best scale in the sense of least squares,
// s = Σwq/Σq², with the squared error Σw² − (Σwq)²/Σq². The codes with the smallest
// error win, and w is rounded once more under their s. So the error is not above
// that of anything tried, up to the rounding of s to the type that it is stored in;
// where that type is a short one, parity mode's own numbers are tried last against
// the rounded ones.
type search struct {
	bits       int
	asymmetric bool
	leastZero  int
	stored     dtype.DType

	w            []float32
	best, scale  float64 // (Σwq)²/Σq² and s of the best so far
	zero         int     // of the best so far
	middle, most int     // the code 2^(bits−1), and the largest
}

// shrinks are the scales that search tries, as multiples of the tightest one that
// clips nothing. Clipping a few extremes buys finer steps for all others, which
// pays the more the fewer the bits are.
func shrinks(bits int) []float64 {
	switch bits {
	case 2:
		return []float64{1, 0.86, 0.74, 0.62, 0.52, 0.43, 0.35}
	case 3:
		return []float64{1, 0.92, 0.84, 0.76, 0.68, 0.6, 0.52}
	case 4:
		return []float64{1, 0.93, 0.86, 0.79, 0.7, 0.6}
	}
	return []float64{1, 0.93, 0.86, 0.79, 0.7}[:10-bits]
}

// group writes codes for w and returns their scale, exact in s.stored, and zero
// point. parity and parityZero are those of parity mode.
func (s *search) group(codes []uint8, w []float32, parity float32, parityZero int) (float32, int) {
	if m := maxAbs(w); m-m != 0 {
		return m - m, 0
	}
	s.w, s.best, s.scale = w, 0, 0
	s.most, s.middle = 1<<s.bits-1, 1<<(s.bits-1)
	s.zero = s.middle
	if s.asymmetric {
		s.asymmetricScales(float64(parity), max(parityZero, s.leastZero))
	} else {
		s.try(float64(parity), s.middle)
		tight := s.tight(s.middle)
		for _, f := range shrinks(s.bits) {
			s.try(f*tight, s.middle)
		}
	}
	scale := s.stored.Round(float32(s.scale))
	if scale == 0 { // all zero, or too small for any scale of the type
		for i := range codes {
			codes[i] = uint8(s.zero)
		}
		return 0, s.zero
	}
	if s.stored != dtype.F32 && parity != 0 && parity == s.stored.Round(parity) && parityZero >= s.leastZero &&
		s.squaredError(parity, parityZero) < s.squaredError(scale, s.zero) {
		scale, s.zero = parity, parityZero
	}
	inv := 1 / float64(scale)
	lo, hi := float64(-s.zero), float64(s.most-s.zero)
	for i, v := range w {
		codes[i] = uint8(math.Float64bits(clamp(float64(float64(v)*inv), lo, hi)+toInt64)) + uint8(s.zero)
	}
	return scale, s.zero
}

// asymmetricScales tries the zero point of the whole range with every shrink, and
// beside the best of them its neighbours and the middle of the codes: a neighbour
// clips one end by a step more and the other by one less.
func (s *search) asymmetricScales(parity float64, parityZero int) {
	lo, hi := extremes(s.w)
	width := float64(hi) - float64(lo)
	if width == 0 {
		return
	}
	zero := int(math.RoundToEven(-float64(lo) / width * float64(s.most)))
	zero = min(max(zero, s.leastZero), s.most)
	s.try(parity, parityZero)
	tight := width / float64(s.most)
	factor, before := 1.0, s.best
	for _, f := range shrinks(s.bits) {
		if s.try(f*tight, zero); s.best > before {
			factor, before = f, s.best
		}
	}
	for _, z := range []int{zero - 1, zero + 1, s.middle} {
		if z < s.leastZero || z > s.most || z == zero {
			continue
		}
		s.try(factor*tight, z)
		s.try(factor*s.tight(z), z)
	}
}

// tight returns the smallest scale that clips nothing under a zero point: zero
// steps below it, most−zero above.
func (s *search) tight(zero int) float64 {
	lo, hi := extremes(s.w)
	scale := 0.0
	if lo < 0 && zero > 0 {
		scale = -float64(lo) / float64(zero)
	}
	if hi > 0 && zero < s.most {
		scale = max(scale, float64(hi)/float64(s.most-zero))
	}
	return scale
}

func (s *search) try(scale float64, zero int) {
	if !(scale > 0) || math.IsInf(scale, 0) {
		return
	}
	wq, qq := fit(s.w, 1/scale, float64(-zero), float64(s.most-zero))
	if qq != 0 && wq > 0 && wq*wq > s.best*qq {
		s.best, s.scale, s.zero = wq*wq/qq, wq/qq, zero
	}
}

// squaredError is that of w under a scale and zero point.
func (s *search) squaredError(scale float32, zero int) (sum float64) {
	inv := 1 / float64(scale)
	lo, hi := float64(-zero), float64(s.most-zero)
	for _, v := range s.w {
		q := clamp(float64(float64(v)*inv), lo, hi) + toInt64 - toInt64
		d := float64(q*float64(scale)) - float64(v)
		sum += float64(d * d)
	}
	return sum
}

// fit returns Σwq and Σq² for the codes q of w under the scale 1/inv, cut to lo and
// hi, even and odd elements summed apart.
func fit(w []float32, inv, lo, hi float64) (wq, qq float64) {
	var wq1, qq1 float64
	i := 0
	for ; i+2 <= len(w); i += 2 {
		v, v1 := float64(w[i]), float64(w[i+1])
		q := clamp(float64(v*inv), lo, hi) + toInt64 - toInt64
		q1 := clamp(float64(v1*inv), lo, hi) + toInt64 - toInt64
		wq, wq1 = wq+float64(v*q), wq1+float64(v1*q1)
		qq, qq1 = qq+float64(q*q), qq1+float64(q1*q1)
	}
	if i < len(w) {
		v := float64(w[i])
		q := clamp(float64(v*inv), lo, hi) + toInt64 - toInt64
		wq, qq = wq+float64(v*q), qq+float64(q*q)
	}
	return wq + wq1, qq + qq1
}

// toInt64 is toInt for float64.
const toInt64 float64 = 3 << 51

func clamp(x, lo, hi float64) float64 {
	if x > hi {
		return hi
	}
	if x < lo {
		return lo
	}
	return x
}
