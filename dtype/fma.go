package dtype

import "math"

// FMA returns a·b + c of float32 rounded once, to nearest with ties to even,
// subnormal numbers as they are: what the instruction of that name does on
// every processor. Which NaN it returns is not defined.
//
// The product is exact in float64. The sum is off by at most half of its last
// place: rounding it again goes wrong only where it seems to lie half way between
// two float32 and does not.
func FMA(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := float64(p + float64(c))
	if u := math.Float64bits(s); u&(1<<29-1) != 1<<28 && u>>52&0x7ff >= 1023-126 {
		return float32(s)
	}
	return float32(AddToOdd(p, float64(c)))
}

// AddToOdd returns p + q rounded to odd: where the sum is not exact its last bit
// is set, so that rounding it again, to at most 51 bits, rounds the exact sum.
func AddToOdd(p, q float64) float64 {
	s := float64(p + q)
	u := math.Float64bits(s)
	if u&1 == 0 && s-s == 0 {
		t := float64(s - p)
		lost := float64(p-float64(s-t)) + float64(q-t)
		switch {
		case lost == 0:
		case lost > 0 == (s > 0):
			u++
		default:
			u--
		}
	}
	return math.Float64frombits(u)
}
