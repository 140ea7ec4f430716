package modelslim

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// A layer by hand: codes −8 −1 0 7 with scale 0.5 are −4 −0.5 0 3.5; with
// scale 2, 1 2 −3 4 are 2 4 −6 8.
func TestFlatQuantByHand(t *testing.T) {
	const kind = "W4A4_FLATQUANT_DYNAMIC"
	src := newTensors()
	src.int8s("m.q.weight", kind, []int{-8, -1, 0, 7, 1, 2, -3, 4}, 2, 4)
	src.floats("m.q.weight_scale", kind, dtype.F32, []float32{0.5, 2}, 2, 1)
	src.floats("m.q.weight_offset", kind, dtype.F32, []float32{0, 0}, 2, 1)
	src.floats("m.q.bias", "FLOAT", dtype.BF16, []float32{1.5, -2}, 2)
	src.floats("m.q.left_trans", kind, dtype.BF16, []float32{1, 2, 3, 4}, 2, 2)
	src.floats("m.q.right_trans", kind, dtype.BF16, []float32{5, 6, 7, 8}, 2, 2)
	src.floats("m.q.clip_ratio", kind, dtype.F32, []float32{0.5}, 1)
	src.floats("m.norm.weight", "FLOAT", dtype.BF16, []float32{1}, 1)
	f := src.open(t, `"model_quant_type":"W4A4_FLATQUANT_DYNAMIC","version":"1.0.0","group_size":0,"metadata":{},"optional":{}`)
	require.Equal(t, "modelslim", f.Name())
	require.Empty(t, f.Refused())
	require.Empty(t, f.(module.Warner).Warnings())
	require.Equal(t, []module.Module{{
		Name: "m.q", Format: "modelslim", Detail: kind, N: 2, K: 4, Bits: 4, GroupSize: -1, Symmetric: true, Bias: true,
		Scales: dtype.F32, Recipe: quant.Recipe{Kind: quant.Int4FlatQuant}, Bytes: 8 + 8 + 8 + 4 + 8 + 8 + 4, Quantized: true,
	}}, f.Modules())

	l := load(t, f, "m.q")
	require.Equal(t, []byte{0x70, 0xf8, 0, 0, 0, 0, 0, 0}, l.Weight.Row(0)) // codes 0 7 8 15
	require.Equal(t, []byte{0xa9, 0xc5, 0, 0, 0, 0, 0, 0}, l.Weight.Row(1)) // codes 9 10 5 12
	want := [][]float32{{-4, -0.5, 0, 3.5}, {2, 4, -6, 8}}
	for n, row := range want {
		for k, v := range row {
			require.Equal(t, v, l.Weight.Value(n, k))
		}
	}
	require.Equal(t, []float32{1.5, -2}, l.Bias)
	require.Equal(t, quant.Recipe{Kind: quant.Int4FlatQuant}, l.Recipe)
	require.True(t, l.Weight.Symmetric())
	require.Equal(t, &quant.Transform{
		L: 2, R: 2, Type: dtype.BF16, Clip: 0.5,
		P1: []float32{1, 3, 2, 4}, // the transpose of left_trans
		P2: []float32{5, 6, 7, 8},
	}, l.Transform)
}

// x = 1 2 3 4 as a matrix of 2 × 2 with left_trans 1 1 / 0 1: the product from
// the left is 1 2 / 4 6, the scale 6/7, the codes 1 2 5 7.
func TestFlatQuantRowByHand(t *testing.T) {
	const kind = "W4A4_FLATQUANT_DYNAMIC"
	src := newTensors()
	src.layer("m", kind, 1, 4, 1)
	src.transform("m", kind, dtype.F32, 2, 2, 1)
	src.floats("m.left_trans", kind, dtype.F32, []float32{1, 1, 0, 1}, 2, 2)
	l := load(t, src.open(t, ""), "m")
	codes, row, tmp := make([]int8, 4), make([]float32, 4), make([]float32, 4)
	l.Transform.Apply(dtype.F32, row, []float32{1, 2, 3, 4}, tmp)
	require.Equal(t, []float32{1, 2, 4, 6}, row)
	require.Equal(t, float32(6)/7, l.Transform.QuantizeRow(codes, row))
	require.Equal(t, []int8{1, 2, 5, 7}, codes)
}

// Factors that are wider than the model's type are rounded to it: 1 + 2⁻⁹ is 1
// in bfloat16.
func TestTransformHasTheModelsType(t *testing.T) {
	const kind = "W4A4_FLATQUANT_DYNAMIC"
	src := newTensors()
	src.layer("m", kind, 1, 4, 1)
	src.transform("m", kind, dtype.F32, 2, 2, 0.875)
	src.floats("m.right_trans", kind, dtype.F32, []float32{1 + 0x1p-9, 0, 0, 1}, 2, 2)
	l := load(t, src.open(t, ""), "m")
	require.Equal(t, dtype.F32, l.Transform.Type)
	require.Equal(t, float32(1+0x1p-9), l.Transform.P2[0])
	l = load(t, src.open(t, "", ModelType(dtype.BF16)), "m")
	require.Equal(t, dtype.BF16, l.Transform.Type)
	require.Equal(t, float32(1), l.Transform.P2[0])

	src.transform("m", kind, dtype.F16, 2, 2, 0.875)
	l = load(t, src.open(t, "", ModelType(dtype.F32)), "m")
	require.Equal(t, dtype.F16, l.Transform.Type, "a narrower type stays")
}

// Factors that FlatQuant would not have chosen are read, and said to be odd.
func TestOddFactors(t *testing.T) {
	const kind = "W4A4_FLATQUANT_DYNAMIC"
	for _, c := range []struct {
		k, l, r int
		want    string
	}{
		{16, 2, 8, "2 x 8 features; FlatQuant makes 16 of 4 x 4"},
		{6, 2, 3, "2 x 3 features; FlatQuant has no factors of 6"},
	} {
		src := newTensors()
		src.layer("m", kind, 2, c.k, 1)
		src.transform("m", kind, dtype.BF16, c.l, c.r, 1)
		var l quant.Linear
		findings, err := src.open(t, "").Load(t.Context(), &l, "m", nil)
		require.NoError(t, err)
		require.NoError(t, l.Check())
		require.Equal(t, []module.Finding{{Module: "m", Tensor: "m.left_trans", Text: c.want}}, findings)
	}
}

func TestScalesOfRowsAndGroups(t *testing.T) {
	src := newTensors()
	src.int8s("a.weight", "W8A8_DYNAMIC", []int{-128, -1, 0, 127}, 2, 2)
	src.floats("a.weight_scale", "W8A8_DYNAMIC", dtype.BF16, []float32{0.5, 2}, 2)
	src.int8s("b.weight", "W8A16", []int{-128, -1, 0, 127, 5, 6}, 2, 3)
	src.floats("b.weight_scale", "W8A16", dtype.F32, []float32{1, 2, 3, 4}, 2, 2)
	src.floats("b.weight_offset", "W8A16", dtype.F32, []float32{0, 0, -0, 0}, 2, 2)
	src.int8s("d.weight", "W4A4_DYNAMIC", []int{-8, 7, 1, 0}, 1, 4)
	src.floats("d.weight_scale", "W4A4_DYNAMIC", dtype.F32, []float32{2, 3}, 1, 2)
	src.int8s("c.weight", "W8A16", []int{1, 2, 3}, 1, 3)
	src.floats("c.weight_scale", "W8A16", dtype.F16, []float32{3}, 1, 1)
	f := src.open(t, `"group_size":2`)
	l := load(t, f, "a")
	require.Equal(t, quant.Recipe{Kind: quant.Int8TokenAscend}, l.Recipe)
	require.Equal(t, []float32{-64, -0.5}, []float32{l.Weight.Value(0, 0), l.Weight.Value(0, 1)})
	require.Equal(t, []float32{0, 254}, []float32{l.Weight.Value(1, 0), l.Weight.Value(1, 1)})
	require.Nil(t, l.Transform)

	l = load(t, f, "b")
	require.Equal(t, quant.Recipe{}, l.Recipe)
	require.Equal(t, 2, l.Weight.Groups().Count(), "the last group is shorter")
	require.Equal(t, []float32{-128, -1, 0}, []float32{l.Weight.Value(0, 0), l.Weight.Value(0, 1), l.Weight.Value(0, 2)})
	require.Equal(t, []float32{381, 15, 24}, []float32{l.Weight.Value(1, 0), l.Weight.Value(1, 1), l.Weight.Value(1, 2)})
	require.Equal(t, 2, f.Modules()[1].GroupSize)

	l = load(t, f, "d")
	require.Equal(t, quant.Recipe{Kind: quant.Int4TokenAscend}, l.Recipe)
	require.Equal(t, []byte{0xf0, 0x89, 0, 0, 0, 0, 0, 0}, l.Weight.Row(0))
	require.Equal(t, float32(3), l.Weight.Value(0, 2))

	l = load(t, f, "c")
	require.Equal(t, 1, l.Weight.Groups().Count())
	require.Equal(t, -1, f.Modules()[2].GroupSize)
	require.Equal(t, dtype.F16, l.Weight.ScaleType())
}

// A layer after another, through the same memory and in pieces.
func TestManyRowsReused(t *testing.T) {
	src := newTensors()
	src.layer("large", "W4A4_FLATQUANT_DYNAMIC", 700, 1000, 1)
	src.transform("large", "W4A4_FLATQUANT_DYNAMIC", dtype.BF16, 20, 50, 1)
	src.layer("small", "W8A8_DYNAMIC", 3, 5, 1)
	f := src.open(t, "")
	var l quant.Linear
	var s module.Scratch
	for range 2 {
		for _, name := range []string{"large", "small"} {
			_, err := f.Load(t.Context(), &l, name, &s)
			require.NoError(t, err)
			require.NoError(t, l.Check())
			b, half := src.data[name+".weight"].Bytes, 1<<(l.Weight.Bits()-1)
			for i, v := range b {
				if got := l.Weight.Code(i/l.Weight.K(), i%l.Weight.K()) - half; got != int(int8(v)) {
					require.Equal(t, int(int8(v)), got, "element %d of %s", i, name)
				}
			}
			require.Equal(t, name == "small", l.Transform == nil)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Load(ctx, &l, "large", &s)
	require.ErrorIs(t, err, context.Canceled)
	_, err = f.Load(t.Context(), &l, "huge", &s)
	require.ErrorIs(t, err, quant.ErrUnsupported)
}
