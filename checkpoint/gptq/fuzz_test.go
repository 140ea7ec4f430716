package gptq

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// known requires an error that says what is wrong with a file.
func known(t *testing.T, err error) {
	t.Helper()
	require.True(t, errors.Is(err, quant.ErrFormat) || errors.Is(err, quant.ErrUnsupported), "%v", err)
}

// FuzzConfig opens a fixed model with any configuration, and loads what opens.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"bits":4,"group_size":32,"sym":false,"desc_act":true,"format":"gptq_v2"}`))
	f.Add([]byte(`{"bits":4,"group_size":32,"dynamic":{"-:lm.*":{},"+:layers":{"group_size":32.0}},"meta":{"x":NaN}}`))
	f.Add([]byte(`{"bits":4,"group_size":32,"pack_dtype":"torch.int32","lm_head":true,"checkpoint_format":"gptq"}`))
	src := model()
	f.Fuzz(func(t *testing.T, config []byte) {
		format, err := Open(config, src)
		if err != nil {
			known(t, err)
			return
		}
		for _, m := range format.Modules() {
			var l quant.Linear
			_, err := format.Load(t.Context(), &l, m.Name, nil)
			require.NoError(t, err, "the tensors are sound and their shapes were checked")
			require.NoError(t, l.Check())
			require.Equal(t, [2]int{m.N, m.K}, [2]int{l.Weight.N(), l.Weight.K()})
		}
	})
}

// FuzzLoad loads a small layer of any bytes and shapes.
func FuzzLoad(f *testing.F) {
	l := random(1, 32, 64, 4, 32, false)
	l.index = make([]int, l.k)
	l.bias = make([]float32, l.n)
	src := tensors{}
	l.write(src, "m", -1)
	bytes := func(name string) []byte { return src["m."+name].Bytes }
	f.Add(uint8(4), int32(32), uint8(0), uint16(8), uint16(32), uint16(2), bytes("qweight"), bytes("qzeros"), bytes("scales"), bytes("g_idx"), bytes("bias"))
	f.Add(uint8(3), int32(-1), uint8(3), uint16(3), uint16(32), uint16(1), make([]byte, 384), make([]byte, 12), make([]byte, 64), []byte{}, []byte{})
	f.Add(uint8(8), int32(7), uint8(1), uint16(2), uint16(4), uint16(2), make([]byte, 32), make([]byte, 8), make([]byte, 16), make([]byte, 32), []byte{})
	f.Add(uint8(2), int32(16), uint8(2), uint16(1), uint16(16), uint16(1), make([]byte, 64), []byte{255, 255, 255, 255}, make([]byte, 64), make([]byte, 64), make([]byte, 32))
	f.Fuzz(func(t *testing.T, bits uint8, size int32, flags uint8, rows, cols, groups uint16, qweight, qzeros, scales, index, bias []byte) {
		src := tensors{}
		put := func(name string, typ safetensors.Type, b []byte, shape ...int64) {
			want := int64(typ.Bits()) / 8
			for _, d := range shape {
				want *= d
			}
			if want <= 1<<20 { // what safetensors guarantees: bytes that fit the shape
				full := make([]byte, want)
				copy(full, b)
				src.put("m."+name, typ, full, shape...)
			}
		}
		float := []safetensors.Type{"F16", "BF16", "F32", "I32"}[flags>>2&3]
		k := int64(rows) * 32 / int64(max(bits, 1))
		put("qweight", "I32", qweight, int64(rows), int64(cols))
		put("qzeros", "I32", qzeros, int64(groups), int64(cols)*int64(bits)/32)
		put("scales", float, scales, int64(groups), int64(cols))
		if len(index) > 0 {
			put("g_idx", "I32", index, k)
		}
		if len(bias) > 0 {
			put("bias", float, bias, int64(cols))
		}
		format, err := Open(settingsJSON(int(bits), int(size), []string{``, `,"sym":false`, `,"sym":false,"format":"gptq_v2"`, `,"desc_act":true`}[flags&3]), src)
		if err != nil {
			known(t, err)
			return
		}
		var s module.Scratch
		var dst quant.Linear
		for _, m := range format.Modules() {
			if _, err := format.Load(t.Context(), &dst, m.Name, &s); err != nil {
				known(t, err)
				continue
			}
			require.NoError(t, dst.Check())
			w := &dst.Weight
			require.NotEqual(t, dtype.Invalid, w.ScaleType())
			lo, hi := w.ZeroRange()
			require.True(t, lo >= 0 && hi < 1<<m.Bits, "zero points %d to %d", lo, hi)
		}
	})
}
