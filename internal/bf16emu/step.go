package bf16emu

import (
	"math"
	"math/big"

	"github.com/bitlane/bitlane/dtype"
)

// least is the smallest normal float32.
const least = 0x1p-126

// Step is what the instruction does with one half of a pair: fma(x, w, sum) of
// bfloat16 x and w, rounded to nearest even, subnormal operands read as 0, a
// subnormal result made 0. A NaN may be another one.
func Step(x, w, sum float32) float32 {
	x, w, sum = normal(x), normal(w), normal(sum)
	v := dtype.FMA(x, w, sum)
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
