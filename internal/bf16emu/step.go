package bf16emu

import (
	"math"
	"math/big"
)

// least is the smallest normal float32.
const least = 0x1p-126

// Step is what the instruction does with one half of a pair: fma(x, w, sum) of
// bfloat16 x and w, rounded to nearest even, subnormal operands read as 0, a
// subnormal result made 0. A NaN may be another one.
func Step(x, w, sum float32) float32 {
	x, w, sum = normal(x), normal(w), normal(sum)
	v := Fused(x, w, sum)
	if size := math.Abs(float64(v)); size < least || size == least && tiny(x, w, sum) {
		return float32(math.Copysign(0, float64(v)))
	}
	return v
}

// normal returns v, and 0 of its sign for a subnormal one.
func normal(v float32) float32 {
	if math.Abs(float64(v)) < least {
		return float32(math.Copysign(0, float64(v)))
	}
	return v
}

// tiny reports whether x·w + sum is subnormal as x86 defines it: below 2⁻¹²⁶
// after rounding to 24 bits with exponents without end.
func tiny(x, w, sum float32) bool {
	exact := func(v float32) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(float64(v)) }
	y := exact(x)
	y.Mul(y, exact(w)).Add(y, exact(sum))
	return y.SetPrec(24).Abs(y).Cmp(big.NewFloat(least)) < 0
}

// Fused is x·w + sum, rounded once, subnormal numbers as they are. The product is
// exact in float64; where the sum is not, its last bit is made odd, so that
// rounding it again is right.
func Fused(x, w, sum float32) float32 {
	p, a := float64(x)*float64(w), float64(sum)
	y := float64(p + a)
	if math.IsInf(y, 0) || math.IsNaN(y) {
		return float32(y)
	}
	b := float64(y - p)
	lost := float64(p-float64(y-b)) + float64(a-b)
	bits := math.Float64bits(y)
	if lost != 0 && bits&1 == 0 {
		if lost > 0 == (y > 0) {
			bits++
		} else {
			bits--
		}
	}
	return float32(math.Float64frombits(bits))
}
