package modelslim

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

// FuzzDescription opens a fixed model with any description, and loads what
// opens.
func FuzzDescription(f *testing.F) {
	src := newTensors()
	src.layer("m.0.q", "W4A4_FLATQUANT_DYNAMIC", 4, 16, 1)
	src.transform("m.0.q", "W4A4_FLATQUANT_DYNAMIC", dtype.BF16, 4, 4, 0.875)
	src.layer("m.0.k", "W8A8_DYNAMIC", 4, 8, 1)
	src.layer("m.0.v", "W8A16", 4, 8, 2)
	f.Add(src.description(`"group_size":4,"version":"1.0.0","model_quant_type":"W8A8_DYNAMIC","metadata":{"quarot":{"heads_rotation":{"layers":["m.0.o."]}}}`))
	f.Add([]byte(`{"m.0.q.weight":"FLOAT","m.0.k.weight":"W4A8_DYNAMIC","m.0.v.weight":"W8A16","group_size":4.0}`))
	f.Add([]byte(`{"m.0.v.weight":"W8A16","m.0.v.weight_scale":"W8A16","group_size":5,"m.0.attn.quant_type":"INT8"}`))
	f.Add([]byte(`{"m.0.k.weight":"W8A16","x":NaN,"optional":{"quarot":{}}}`))
	f.Fuzz(func(t *testing.T, desc []byte) {
		format, err := Open(desc, src)
		if err != nil {
			known(t, err)
			return
		}
		for _, m := range format.Modules() {
			var l quant.Linear
			if _, err := format.Load(t.Context(), &l, m.Name, nil); err != nil {
				known(t, err) // codes of 8 bits that are called 4-bit ones
				continue
			}
			require.NoError(t, l.Check())
			require.Equal(t, [2]int{m.N, m.K}, [2]int{l.Weight.N(), l.Weight.K()})
		}
	})
}

// FuzzLoad loads a small layer of any bytes and shapes.
func FuzzLoad(f *testing.F) {
	f.Add(uint8(0), int32(0), uint16(2), uint16(4), uint16(1), uint16(2), uint16(2), []byte{0xf8, 7, 0, 0xff, 1, 2, 3, 4}, []byte{0, 0, 128, 63}, []byte{}, []byte{0, 0, 128, 63}, []byte{})
	f.Add(uint8(1), int32(0), uint16(3), uint16(5), uint16(1), uint16(0), uint16(0), []byte{128, 127}, []byte{0, 0, 128, 63}, []byte{0, 0, 128, 63}, []byte{}, []byte{1})
	f.Add(uint8(2), int32(3), uint16(2), uint16(8), uint16(3), uint16(0), uint16(0), []byte{1}, []byte{0, 0, 192, 127}, []byte{}, []byte{}, []byte{})
	f.Add(uint8(6), int32(-1), uint16(2), uint16(8), uint16(1), uint16(1), uint16(8), []byte{1}, []byte{0, 60}, []byte{}, []byte{}, []byte{0, 60})
	f.Fuzz(func(t *testing.T, flags uint8, group int32, n, k, groups, left, right uint16, codes, scales, offset, clip, bias []byte) {
		kind := []string{"W4A4_FLATQUANT_DYNAMIC", "W8A8_DYNAMIC", "W8A16", "W4A4_DYNAMIC"}[flags&3]
		src := newTensors()
		put := func(name string, typ safetensors.Type, b []byte, shape ...int64) {
			want := int64(typ.Bits()) / 8
			for _, d := range shape {
				want *= d
			}
			if want <= 1<<18 { // what safetensors guarantees: bytes that fit the shape
				full := make([]byte, want)
				copy(full, b)
				src.put("m."+name, kind, typ, full, shape...)
			}
		}
		float := []safetensors.Type{"F32", "F16", "BF16", "I32"}[flags>>2&3]
		put("weight", "I8", codes, int64(n), int64(k))
		put("weight_scale", float, scales, int64(n), int64(groups))
		if len(offset) > 0 {
			put("weight_offset", float, offset, int64(n), int64(groups))
		}
		if flags&3 == 0 {
			put("left_trans", float, scales, int64(left), int64(left))
			put("right_trans", float, scales, int64(right), int64(right))
			put("clip_ratio", float, clip, 1)
		}
		if len(bias) > 0 {
			put("bias", float, bias, int64(n))
		}
		header := ""
		if group >= 0 {
			header = `"group_size":4`
		}
		format, err := Open(src.description(header), src, ModelType(dtype.DType(flags>>4&3)))
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
			require.Equal(t, m.Recipe, dst.Recipe)
		}
	})
}
