package quant_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func TestLinearCheck(t *testing.T) {
	form := quant.Form{N: 3, K: 6, Bits: 4, Scales: dtype.F16, Groups: quant.OneGroup(6)}
	tests := []struct {
		name  string
		plain bool
		spoil func(*quant.Linear)
		class error
		text  string
	}{
		{"nothing in it", false, func(l *quant.Linear) { *l = quant.Linear{Name: "up"} }, quant.ErrShape, "up: weight is empty"},
		{"bias length", false, func(l *quant.Linear) { l.ResizeBias(2) }, quant.ErrShape, "up: bias is 2 elements, want 3 elements"},
		{"bias NaN", false, func(l *quant.Linear) { l.Bias = []float32{0, nan32, 0} }, quant.ErrRange, "up: bias[1] is NaN, want a finite number"},
		{"bias infinite", false, func(l *quant.Linear) { l.Bias = []float32{0, 0, -inf32} }, quant.ErrRange, "up: bias[2] is -Inf"},
		{"scale", false, func(l *quant.Linear) { l.Weight.SetScale(2, 0, 1e6) }, quant.ErrRange, "up: scale of row 2, group 0 is +Inf"},
		{"recipe of plain", true, func(l *quant.Linear) { l.Recipe.Kind = quant.Int8Token }, quant.ErrUnsupported, "up: recipe of a plain weight is int8-token, want exact"},
		{"no transform", false, func(l *quant.Linear) { l.Recipe.Kind = quant.Int4FlatQuant }, quant.ErrUnsupported, "up: recipe is int4-flatquant, want another recipe: the layer has no transform ("},
		{"no recipe", false, func(l *quant.Linear) { l.Transform = &quant.Transform{} }, quant.ErrUnsupported, "up: recipe is exact, want int4-flatquant, which the layer's transform is for ("},
		{"transform", false, func(l *quant.Linear) {
			l.Recipe.Kind, l.Transform = quant.Int4FlatQuant, &quant.Transform{L: 2, R: 2}
		}, quant.ErrShape, "up: transform is 2 x 2, want L·R = K = 6"},
		{"recipe", false, func(l *quant.Linear) { l.Recipe.Kind = 99 }, quant.ErrUnsupported, "up: recipe is RecipeKind(99)"},
		{"part without ranges", false, func(l *quant.Linear) { l.FullN = 9 }, quant.ErrShape, "up: N of the whole layer is 9, want 3, there being no ranges"},
		{"range outside", false, func(l *quant.Linear) { l.FullK, l.KRanges = 8, []quant.Range{{4, 10}} }, quant.ErrShape, "up: range is [4,10), want a non-empty part of [0,8)"},
		{"ranges of another size", false, func(l *quant.Linear) { l.FullK, l.KRanges = 12, []quant.Range{{4, 9}} }, quant.ErrShape, "up: ranges of K is 5, want 6 in all"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := form
			if tt.plain {
				f = quant.Form{N: 3, K: 6, Plain: dtype.BF16}
			}
			l := randomLinear(t, rand.New(rand.NewPCG(41, 42)), "up", f, true)
			tt.spoil(l)
			err := l.Check()
			require.ErrorIs(t, err, tt.class)
			require.ErrorContains(t, err, tt.text)
			var field *quant.FieldError
			require.True(t, errors.As(err, &field))
			require.Equal(t, "up", field.Name)
		})
	}
}

// A reused layer keeps its memory and nothing else.
func TestLinearReset(t *testing.T) {
	f := quant.Form{N: 3, K: 16, Bits: 4, Scales: dtype.F16, Zeros: true, Groups: quant.OneGroup(16)}
	l := randomLinear(t, rand.New(rand.NewPCG(43, 44)), "up", f, true)
	l.Recipe, l.FullN, l.NRanges = quant.Recipe{Kind: quant.Int8Token}, 6, []quant.Range{{0, 3}}
	require.Zero(t, testing.AllocsPerRun(5, func() {
		l.Reset("down")
		if l.Weight.Reset(f) != nil {
			panic("a form that was right before")
		}
		l.ResizeBias(3)
	}))
	l.Reset("down")
	require.ErrorContains(t, l.Check(), "down: weight is empty")
	require.False(t, l.HasBias())
	require.Zero(t, l.Weight.Bytes())
	require.NoError(t, l.Weight.Reset(f))
	require.NoError(t, l.Check())
	require.Equal(t, quant.Recipe{}, l.Recipe)
	require.Zero(t, l.Weight.Value(2, 15))
	n, k := l.Full()
	require.Equal(t, [2]int{3, 16}, [2]int{n, k})
}

func TestAxisString(t *testing.T) {
	require.Equal(t, "N K Axis(7)", quant.AxisN.String()+" "+quant.AxisK.String()+" "+quant.Axis(7).String())
}

func TestFieldError(t *testing.T) {
	err := quant.Errorf(quant.ErrShape, "q", "K", "8", "%d", 7)
	require.EqualError(t, err, "q: K is 7, want 8 (shape mismatch)")
	require.ErrorIs(t, err, quant.ErrShape)
	require.NotErrorIs(t, err, quant.ErrFormat)
	require.EqualError(t, quant.Errorf(quant.ErrFormat, "", "", "", "cut short"), "cut short (bad file format)")
	require.EqualError(t, &quant.FieldError{Has: "odd"}, "odd")
}

func TestRanges(t *testing.T) {
	require.Equal(t, "3..7", quant.Range{Start: 3, End: 8}.String())
	require.Equal(t, 6, quant.TotalLen([]quant.Range{{0, 2}, {1, 5}}))
	require.NoError(t, quant.CheckRanges([]quant.Range{{4, 8}, {0, 8}}, 8))
	for _, bad := range [][]quant.Range{nil, {{3, 3}}, {{5, 4}}, {{-1, 2}}, {{0, 9}}} {
		require.ErrorIs(t, quant.CheckRanges(bad, 8), quant.ErrShape, "%v", bad)
	}
}

// TestNil is that what is nil is an error, not a panic.
func TestNil(t *testing.T) {
	_, concat := quant.Concat("x", nil, &quant.Linear{})
	_, packed := quant.PackRTN(nil)
	for _, err := range []error{
		(*quant.Linear)(nil).Check(), concat, packed,
		quant.RTN{Bits: 4, Group: 4}.Quantize(nil, "x", dtype.F32, 1, 4, make([]byte, 16)),
	} {
		require.ErrorIs(t, err, quant.ErrShape)
	}
}
