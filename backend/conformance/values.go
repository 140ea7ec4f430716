package conformance

import (
	"math"
	"math/rand/v2"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func sqrt(n int) float64 { return math.Sqrt(float64(n)) }

// input returns m rows of x for l, exact in the cell's type: for an exact cell
// what exactRow makes, else Gaussian with outlier columns.
func (c *cell) input(l *quant.Linear, m int) []float32 {
	rng := c.rng(forInput)
	k := l.Weight.K()
	x := make([]float32, m*k)
	if c.exact {
		act := c.recipe.ActGroups(l.Weight.Groups())
		index := act.Index(nil)
		for i := range m {
			if i%5 != 3 { // row 3 stays zero
				exactRow(rng, c.recipe.Kind, index, act.Count(), x[i*k:(i+1)*k])
			}
		}
		return x
	}
	for i := range x {
		v := rng.NormFloat64()
		if (i%k)%61 == 7 {
			v *= 20
		}
		x[i] = c.x.Round(float32(v))
	}
	return x
}

// exactRow fills a row of a recipe so that its codes are integers times a power
// of two, without any rounding: an absolute maximum of 127 for most, 7 for
// those of 4 bits, 255/2 for Int8Token, and a spread of 255 for Int8TokenAsym, whose
// zero point then moves. Together with power-of-two weight scales every partial
// sum of y is a multiple of one number and below 2²⁴ times it, so that every
// order of summation gives the same float32.
//
// All values are integers below 512 with at most eight significant bits, exact
// in the three types. index is the activation group of each feature.
func exactRow(rng *rand.Rand, kind quant.RecipeKind, index []int32, groups int, x []float32) {
	for k := range x {
		x[k] = float32(rng.IntN(7) - 3)
	}
	top := func() (int, float32) { return rng.IntN(len(x)), float32(1 - 2*rng.IntN(2)) }
	scale := float32(1 + rng.IntN(2)) // 1 or 2
	switch kind {
	case quant.Exact:
		at, sign := top()
		x[at] = 127 * sign
	case quant.Int8TokenAsym:
		if len(x) == 1 {
			x[0] = 255
			break
		}
		shift := float32(rng.IntN(81) - 40)
		at := rng.IntN(len(x))
		x[at] = 127 + shift
		x[(at+1+rng.IntN(len(x)-1))%len(x)] = -128 + shift
	case quant.Int8Token:
		for k := range x {
			x[k] *= 2
		}
		at, sign := top()
		x[at] = 255 * sign
	case quant.Int8Group:
		exactGroups(rng, index, groups, x)
		return
	case quant.Int4FlatQuant, quant.Int4TokenAscend:
		at, sign := top()
		x[at] = 7 * sign
	default:
		at, sign := top()
		x[at] = 127 * sign
	}
	for k := range x {
		x[k] *= scale
	}
}

// exactGroups gives every activation group a maximum of 127 and a power of two
// of its own.
func exactGroups(rng *rand.Rand, index []int32, groups int, x []float32) {
	scale := make([]float32, groups)
	seen := make([]int, groups)
	top := make([]int, groups) // chosen evenly among the features of the group
	for g := range scale {
		scale[g] = float32(1 + rng.IntN(2))
		if groups > 16 {
			scale[g] = 1
		}
	}
	for k, g := range index {
		seen[g]++
		if rng.IntN(seen[g]) == 0 {
			top[g] = k
		}
	}
	for g, n := range seen {
		if n > 0 {
			x[top[g]] = 127 * float32(1-2*rng.IntN(2))
		}
	}
	for k, g := range index {
		x[k] *= scale[g]
	}
}

// encode returns x as bytes of t.
func encode(t dtype.DType, x []float32) []byte {
	b := make([]byte, len(x)*t.Size())
	dtype.Encode(t, b, x)
	return b
}
