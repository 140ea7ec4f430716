package gptq

import (
	"context"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func TestDamagedNumbers(t *testing.T) {
	fresh := func() (tensors, *truth) {
		l := random(4, 32, 64, 4, 32, true)
		l.index = make([]int, l.k)
		l.bias = make([]float32, l.n)
		src := tensors{}
		l.write(src, "m", -1)
		return src, l
	}
	for _, c := range []struct {
		name string
		do   func(src tensors, l *truth)
		want string
	}{
		{"g_idx too large", func(src tensors, l *truth) { l.index[5] = 2; l.write(src, "m", -1) }, "m.g_idx: element 5 is 2, want a group, 0..1"},
		{"g_idx negative", func(src tensors, l *truth) { l.index[63] = -1; l.write(src, "m", -1) }, "m.g_idx: element 63 is -1"},
		{"scale NaN", func(src tensors, l *truth) { l.s[1][3] = float32(math.NaN()); l.write(src, "m", -1) }, "m.scales: element [1, 3] is NaN, want a finite number"},
		{"scale Inf", func(src tensors, l *truth) {
			l.scales, l.s[0][31] = dtype.BF16, float32(math.Inf(-1))
			l.write(src, "m", -1)
		}, "m.scales: element [0, 31] is -Inf"},
		{"scale Inf float32", func(src tensors, l *truth) {
			l.scales, l.s[0][0] = dtype.F32, float32(math.Inf(1))
			l.write(src, "m", -1)
		}, "m.scales: element [0, 0] is +Inf"},
		{"bias NaN", func(src tensors, l *truth) { l.bias[2] = float32(math.NaN()); l.write(src, "m", -1) }, "m.bias: element 2 is NaN"},
		{"bias shape", func(src tensors, l *truth) { src.floats("m.bias", dtype.F16, make([]float32, 31), 31) }, "m.bias: shape is [31], want [32]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, l := fresh()
			c.do(src, l)
			_, err := open(t, settingsJSON(4, 32, `,"sym":true`), src).Load(t.Context(), new(quant.Linear), "m", nil)
			require.ErrorIs(t, err, quant.ErrFormat)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// failing fails to read one tensor.
type failing struct {
	safetensors.Source
	name string
}

func (f failing) Read(dst []byte, name string) ([]byte, error) {
	if name == f.name {
		return nil, io.ErrUnexpectedEOF
	}
	return f.Source.Read(dst, name)
}

func (f failing) ReadAt(dst []byte, name string, off int64) error {
	if name == f.name {
		return io.ErrUnexpectedEOF
	}
	return f.Source.ReadAt(dst, name, off)
}

func TestReadErrorsAndContext(t *testing.T) {
	l := random(4, 32, 64, 4, 32, false)
	l.index, l.bias = make([]int, l.k), make([]float32, l.n)
	src := tensors{}
	l.write(src, "m", -1)
	for name := range src {
		_, err := open(t, settingsJSON(4, 32, `,"sym":false`), failing{src, name}).Load(t.Context(), new(quant.Linear), "m", nil)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
	}
	f := open(t, settingsJSON(4, 32, `,"sym":false`), src)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Load(ctx, new(quant.Linear), "m", nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = f.Load(t.Context(), new(quant.Linear), "x", nil)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "x: module is unknown")
}
