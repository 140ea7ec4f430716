package reference_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// The advice of docs/numerics.md on int8 activations, as figures: the error of
// y relative to the exact recipe, root mean square, for Gaussian x of 4096
// features of which one in 512 is 36 times the others, and Gaussian-like W.
func TestAccuracyOfInt8Activations(t *testing.T) {
	const m, n, k = 32, 24, 4096
	rng := rand.New(rand.NewPCG(31, 32))
	x := make([]float32, m*k)
	for i := range x {
		v := rng.NormFloat64()
		if i%512 == 200 {
			v *= 36
		}
		x[i] = dtype.BF16.Round(float32(v))
	}
	for _, c := range []struct {
		name    string
		group   int // of the weights
		recipe  quant.Recipe
		percent float64
	}{
		{"one scale per 32", 32, quant.Recipe{Kind: quant.Int8Group, Group: 32}, 1.1},
		{"one scale per 128", 128, quant.Recipe{Kind: quant.Int8Group}, 2.2},
		{"one scale per 256", 256, quant.Recipe{Kind: quant.Int8Group, Group: 256}, 2.9},
		{"one scale per token", 128, quant.Recipe{Kind: quant.Int8TokenAscend}, 7.8},
	} {
		l := randomLayer(t, rng, 8, n, k, uniform(t, k, c.group), dtype.F16, false)
		want := run(t, l, quant.Recipe{}, dtype.BF16, x, m)
		got := run(t, l, c.recipe, dtype.BF16, x, m)
		var diff, all float64
		for i := range want.Y {
			d := got.Y[i] - want.Y[i]
			diff += d * d
			all += want.Y[i] * want.Y[i]
		}
		percent := 100 * math.Sqrt(diff/all)
		require.InEpsilon(t, c.percent, percent, 0.1, "%s: %.2f %%", c.name, percent)
	}
}
