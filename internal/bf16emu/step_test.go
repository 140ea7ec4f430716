package bf16emu

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
)

// Step against numbers of any length: one rounding to 24 bits, and nothing
// below 2⁻¹²⁶ but 0.
func TestStep(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	exact := func(v float32) *big.Float {
		if math.Abs(float64(v)) < 0x1p-126 {
			v = 0
		}
		return new(big.Float).SetPrec(600).SetFloat64(float64(v))
	}
	value := func(spread int) float32 {
		return dtype.BF16.Round(float32(math.Ldexp(1+rng.Float64(), rng.IntN(spread)-spread/2)) * float32(1-2*rng.IntN(2)))
	}
	flushed, kept := 0, 0
	for i := range 40000 {
		spread := []int{4, 40, 250}[i%3]
		x, w := value(spread), value(4)
		a := math.Float32frombits(rng.Uint32()&0x807fffff | uint32(127+rng.IntN(spread)-spread/2)<<23)
		if i%2 == 0 { // around the smallest normal number
			x = dtype.BF16.Round(x * 0x1p-126)
			a = math.Float32frombits(rng.Uint32() & 0x81ffffff)
		}
		sum := exact(x)
		sum.Mul(sum, exact(w)).Add(sum, exact(a)).SetPrec(24)
		if sum.Sign() != 0 && new(big.Float).Abs(sum).Cmp(big.NewFloat(0x1p-126)) < 0 {
			sum.SetInt64(0)
			flushed++
		}
		want, _ := sum.Float32()
		if !math.IsInf(float64(want), 0) {
			kept++
		}
		require.Equal(t, want, Step(x, w, a)+0, "%g · %g + %g", x, w, a) // +0: big.Float has other signs of 0
	}
	require.Greater(t, flushed, 100)
	require.Greater(t, kept, 20000)
}

// Rounded to 24 bits this is below 2⁻¹²⁶, as a subnormal it is not.
func TestStepOfAlmostNormal(t *testing.T) {
	require.Zero(t, Step(-0x1p-126, 0x1p-24, 0x1p-126))
	require.Equal(t, float32(0x1p-126), Step(-0x1p-126, 0x1p-26, 0x1p-126))
}

func TestStepOfNoNumber(t *testing.T) {
	inf := float32(math.Inf(1))
	require.Equal(t, inf, Step(inf, 2, 1))
	require.True(t, math.IsNaN(float64(Step(inf, 0, 1))))
	require.True(t, math.IsNaN(float64(Step(inf, 0x1p-130, 1))), "a subnormal number counts as 0")
	require.True(t, math.IsNaN(float64(Step(inf, 1, -inf))))
}
