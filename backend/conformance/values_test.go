package conformance

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

func TestCoverHoldsEveryPair(t *testing.T) {
	levels := []int{8, 7, 3, 5, 2}
	rows := cover(levels, 1)
	require.Less(t, len(rows), 90, "56 are needed; a cover of all combinations would be 1680")
	for f := range levels {
		for g := f + 1; g < len(levels); g++ {
			for a := range levels[f] {
				for b := range levels[g] {
					require.True(t, slices.ContainsFunc(rows, func(row []int) bool { return row[f] == a && row[g] == b }),
						"level %d of factor %d with level %d of factor %d", a, f, b, g)
				}
			}
		}
	}
	require.Equal(t, rows, cover(levels, 1), "the same cover every time")
	require.Len(t, product([]int{3, 2, 4}), 24)
}

// exactCells are all the cells that the suite takes for exact.
func exactCells(o Options) []cell {
	cells := gridCells(o)
	for _, c := range edgeCells(o) {
		for _, size := range edges(o) {
			n, k, g := c, c, c
			n.n, k.k, g.size = size, size, size
			g.k = 131
			cells = append(cells, n, k, g)
		}
		c.kind = quant.ActOrder
		cells = append(cells, c)
	}
	for _, c := range sampleCells(o) {
		c.bias = true
		cells = append(cells, c)
	}
	for i := range cells {
		cells[i].exact = true
	}
	return cells
}

// An exact cell may only be called so if no order of summation rounds: all
// terms are multiples of one unit, and their magnitudes sum to less than 2²⁴ of it.
func TestExactCellsAreExact(t *testing.T) {
	for _, small := range []bool{false, true} {
		for i, c := range exactCells(Options{Small: small}) {
			if !small && i%11 != 0 {
				continue // a part of the many is enough
			}
			l := c.build()
			x := c.input(l, c.m)
			for i, v := range x {
				if v != c.x.Round(v) || float64(v) != math.Trunc(float64(v)) {
					require.Fail(t, "no integer of its type", "%s: x[%d] = %v", c.short(), i, v)
				}
			}
			ref, err := reference.Run(l, c.recipe, c.x, x, c.m)
			require.NoError(t, err)
			index := activationGroups(&c, l)
			for m := range c.m {
				terms := activations(&c, ref, x, index, m)
				for n := range c.n {
					require.Empty(t, inexact(&c, l, terms, n, ref.Y[m*ref.N+n]), "%s: y[%d,%d]", c.short(), m, n)
				}
			}
		}
	}
}

func activationGroups(c *cell, l *quant.Linear) []int32 {
	act := c.recipe.ActGroups(l.Weight.Groups())
	return act.Index(nil)
}

// activations returns what row m of x stands for after quantization.
func activations(c *cell, ref *reference.Result, x []float32, index []int32, m int) []float64 {
	a := make([]float64, ref.K)
	for k := range a {
		a[k] = float64(x[m*ref.K+k])
		if c.recipe.Kind != quant.Exact {
			a[k] = 0
			if code := int32(ref.Codes[m*ref.K+k]) - ref.Zeros[m]; code != 0 { // a row of zeros has any scale
				a[k] = float64(ref.Scales[m*ref.Groups+int(index[k])]) * float64(code)
			}
		}
	}
	return a
}

// inexact says why output n of activations a, which should be want, can round.
func inexact(c *cell, l *quant.Linear, a []float64, n int, want float64) string {
	unit := float64(c.unit(n)) // no activation scale is below 1
	var up, down float32
	sum := 0.0
	term := func(k int) float64 {
		if a[k] == 0 {
			return 0
		}
		return a[k] * float64(l.Weight.Value(n, k))
	}
	_, plain := l.Weight.Plain()
	for k := range a {
		magnitude := math.Abs(float64(l.Weight.Value(n, k)))
		if !plain {
			g := l.Weight.Groups().Of(k)
			magnitude = float64(l.Weight.Scale(n, g)) * float64(l.Weight.Code(n, k)+l.Weight.Zero(n, g))
		}
		sum += math.Abs(a[k]) * magnitude
		up += float32(term(k))
		down += float32(term(len(a) - 1 - k))
		if math.Mod(term(k), unit) != 0 {
			return fmt.Sprintf("term %d, %v, is no multiple of %v", k, term(k), unit)
		}
	}
	if l.HasBias() {
		up, down = up+l.Bias[n], down+l.Bias[n]
		sum += math.Abs(float64(l.Bias[n]))
	}
	switch {
	case sum >= unit*(1<<24):
		return fmt.Sprintf("the magnitudes sum to %v of %v", sum/unit, 1<<24)
	case float64(up) != want || up != down:
		return fmt.Sprintf("%v, %v in float32, %v backwards", want, up, down)
	}
	return ""
}

// What an exact row is for: every recipe gives integer codes that stand for x
// itself, its largest one at the end of the range.
func TestExactRowsReachTheirRange(t *testing.T) {
	for _, r := range recipes()[1:] {
		t.Run(fmt.Sprint(r, r.Group), func(t *testing.T) {
			c := cell{n: 1, k: 96, m: 9, bits: 4, kind: quant.Uniform, size: 32, scales: types[0], recipe: r, x: types[0], exact: true}
			l := c.build()
			ref, err := reference.Run(l, r, c.x, c.input(l, c.m), c.m)
			require.NoError(t, err)
			want := int8(127)
			if r.Kind == quant.Int4FlatQuant || r.Kind == quant.Int4TokenAscend {
				want = 7
			}
			for m := range c.m {
				codes := ref.Codes[m*c.k : (m+1)*c.k]
				if m%5 == 3 {
					require.Equal(t, slices.Max(codes), slices.Min(codes), "row %d is zero", m)
					continue
				}
				require.True(t, slices.Max(codes) == want || slices.Min(codes) <= -want, "row %d has codes of %d to %d", m, slices.Min(codes), slices.Max(codes))
			}
			if r.Kind == quant.Int8TokenAsym {
				require.NotEqual(t, slices.Min(ref.Zeros), slices.Max(ref.Zeros), "zero points move")
			}
		})
	}
}

func TestTheSameCellIsTheSameLayer(t *testing.T) {
	for _, c := range sampleCells(Options{Seed: 5}) {
		a, b := c.build(), c.build()
		require.True(t, sameLinear(a, b))
		require.Equal(t, c.input(a, 3), c.input(b, 3))
		require.NoError(t, a.Check())
		d := c
		d.seed++
		require.False(t, sameLinear(a, d.build()), "another seed, another layer")
	}
}
