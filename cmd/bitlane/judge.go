package main

import (
	"context"
	"fmt"
	"math"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

// output is what one run gave.
type output struct {
	result *runResult
	m      int
	yt     dtype.DType
	y      []byte    // [m, N] in yt
	codes  []int8    // [m, K]; nil where the layer shows none
	scales []float32 // [m, activation groups]
	zeros  []int32   // [m]
}

// judgedRows is how many rows the reference computes at once: it holds tens of
// bytes for each output.
const judgedRows = 64

// judge holds all outputs, which share the rows of x, to the acceptance rule
// of docs/numerics.md and their codes to the recipe.
func (t *trial) judge(ctx context.Context, outputs []output) error {
	most := 0
	for _, o := range outputs {
		most = max(most, o.m)
	}
	k := t.spec.K
	num := t.kernel.Numerics(t.spec)
	bound := reference.Bound{Depth: num.Depth, WeightRound: num.WeightRound, FlushBelow: num.FlushBelow, CodeSlack: num.CodeSlack}
	for first := 0; first < most; first += judgedRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := min(judgedRows, most-first)
		truth, err := reference.Run(t.linear, t.spec.Recipe, t.spec.X, t.x[first*k:(first+rows)*k], rows)
		if err != nil {
			return err
		}
		for _, o := range outputs {
			o.judgeRows(truth, t.spec.Recipe.Kind, first, bound)
		}
	}
	return nil
}

// judgeRows holds rows first, first+1, ... to truth, which begins with first.
func (o *output) judgeRows(truth *reference.Result, kind quant.RecipeKind, first int, b reference.Bound) {
	n, k, groups := truth.N, truth.K, truth.Groups
	for row := 0; row < truth.M && first+row < o.m; row++ {
		at := first + row
		for col := range n {
			y := o.yt.At(o.y, at*n+col)
			if o.yt == dtype.F32 {
				// Beside a y or a reference that is not finite there is no distance, and JSON has no
				// infinity: whether it is right is for Accept to say.
				if ratio := truth.Ratio(row, col, y, b); !math.IsInf(ratio, 1) {
					o.result.OverBound = max(o.result.OverBound, ratio)
				}
			}
			if !truth.Accept(row, col, y, o.yt, b) {
				o.wrong("%v y[%d][%d] is %v, the reference %v, the bound %.3g", o.yt, at, col, y, truth.Y[row*n+col], truth.Bound(row, col, b))
			}
		}
		if o.codes == nil {
			continue
		}
		if z, want := o.zeros[at], truth.Zeros[row]; z != want {
			o.wrong("activation zero point of row %d is %d, the recipe gives %d", at, z, want)
		}
		for g := range groups {
			if s, want := o.scales[at*groups+g], truth.Scales[row*groups+g]; s != want && (s == s || want == want) {
				o.wrong("activation scale [%d][%d] is %v, the recipe gives %v", at, g, s, want)
			}
		}
		for i := range k {
			lo, hi := reference.Interval(kind, truth.Codes[row*k+i], b.CodeSlack)
			if c := int(o.codes[at*k+i]); c < lo || c > hi {
				o.wrong("activation code [%d][%d] is %d, the recipe gives %d..%d", at, i, c, lo, hi)
			}
		}
	}
}

// wrong keeps the first thing that is not accepted.
func (o *output) wrong(format string, args ...any) {
	if o.result.Accepted {
		o.result.Accepted, o.result.Wrong = false, fmt.Sprintf(format, args...)
	}
}
