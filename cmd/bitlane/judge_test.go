package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

// A run that is wrong anywhere, in y, a code, a scale or a zero point, is not
// accepted, also in rows that the reference computes in a later block.
func TestJudgeFindsWhatIsWrong(t *testing.T) {
	const n, k, m, first = 3, 32, 2, 5
	var l quant.Linear
	l.Name = "layer"
	groups := quant.OneGroup(k)
	require.NoError(t, l.Weight.Reset(quant.Form{N: n, K: k, Bits: 4, Scales: dtype.F32, Groups: groups}))
	for row := range n {
		codes := make([]uint8, k)
		for i := range codes {
			codes[i] = uint8((3*i + row) % 16)
		}
		l.Weight.PackRow(row, codes)
		l.Weight.SetScale(row, 0, 0.5)
	}
	recipe := quant.Recipe{Kind: quant.Int8TokenAsym}
	x := randomInput(1, "layer", m, k, dtype.F32)
	truth, err := reference.Run(&l, recipe, dtype.F32, x, m)
	require.NoError(t, err)
	bound := reference.Bound{Depth: 8}

	right := func() *output {
		o := &output{result: &runResult{Accepted: true}, m: first + m, yt: dtype.F32,
			y: make([]byte, 4*n*(first+m)), codes: make([]int8, k*(first+m)), scales: make([]float32, first+m), zeros: make([]int32, first+m)}
		for i, y := range truth.Y {
			dtype.F32.Put(o.y, first*n+i, float32(y))
		}
		copy(o.codes[first*k:], truth.Codes)
		copy(o.scales[first:], truth.Scales)
		copy(o.zeros[first:], truth.Zeros)
		return o
	}
	o := right()
	o.judgeRows(truth, recipe.Kind, first, bound)
	require.True(t, o.result.Accepted, o.result.Wrong)
	require.Less(t, o.result.OverBound, 1.0)

	last := first + m - 1
	for name, spoil := range map[string]func(o *output){
		"y[6][2]":                  func(o *output) { dtype.F32.Put(o.y, last*n+2, float32(truth.Y[m*n-1])+1) },
		"float32 y[6][1] is NaN":   func(o *output) { dtype.F32.Put(o.y, last*n+1, float32(math.NaN())) },
		"code [6][4]":              func(o *output) { o.codes[last*k+4]++ },
		"scale [6][0]":             func(o *output) { o.scales[last] = math.Nextafter32(o.scales[last], 9) },
		"scale [5][0] is NaN":      func(o *output) { o.scales[first] = float32(math.NaN()) },
		"zero point of row 6 is 9": func(o *output) { o.zeros[last] = 9 },
	} {
		o := right()
		spoil(o)
		o.judgeRows(truth, recipe.Kind, first, bound)
		require.False(t, o.result.Accepted, name)
		require.Contains(t, o.result.Wrong, name)
	}
}
