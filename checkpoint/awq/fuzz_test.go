package awq

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
	f.Add([]byte(`{"quant_method":"awq","bits":4,"group_size":32,"version":"gemm","zero_point":true,"modules_to_not_convert":["lm_head"]}`))
	f.Add([]byte(`{"w_bit":4,"q_group_size":32.0,"version":"GEMV_FAST","zero_point":false}`))
	f.Add([]byte(`{"bits":4,"group_size":32,"checkpoint_format":"gemv","format":"GEMV","backend":"llm-awq","sym":true,"pack_dtype":"torch.int32"}`))
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
	for i, v := range []Version{GEMM, GEMV, GEMVFast} {
		l := random(uint64(i), 16, 64, 32, false)
		l.bias = make([]float32, l.n)
		src := tensors{}
		l.write(src, "m", v, 0)
		bytes := func(name string) []byte { return src["m."+name].Bytes }
		shape := func(name string, i int) uint16 { return uint16(src["m."+name].Shape[i]) }
		f.Add(int32(32), uint8(v), shape("qweight", 0), shape("qweight", 1), shape("scales", 0), shape("scales", 1), shape("qzeros", 0), shape("qzeros", 1),
			bytes("qweight"), bytes("qzeros"), bytes("scales"), bytes("bias"))
		f.Add(int32(-1), uint8(v)|0x4c, shape("qweight", 0), shape("qweight", 1), uint16(1), uint16(16), uint16(1), uint16(2),
			bytes("qweight"), []byte{0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88}, bytes("scales"), []byte{})
	}
	f.Add(int32(1), uint8(0), uint16(3), uint16(1), uint16(3), uint16(8), uint16(3), uint16(1), []byte{0x20, 0x64, 0x31, 0x75}, []byte{1}, []byte{0, 0x3c}, []byte{})
	// The version is in the two lowest bits of flags, the float type in the next
	// two, then zero_point, the name of the zero points and I16 codes.
	f.Fuzz(func(t *testing.T, size int32, flags uint8, rows, cols, srows, scols, zrows, zcols uint16, qweight, qzeros, scales, bias []byte) {
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
		version := []string{"gemm", "gemv", "gemv_fast", "llm-awq"}[flags&3]
		codes, zeroType, zeroName, zeroPoint := safetensors.Type("I32"), safetensors.Type("I32"), "qzeros", ""
		if flags&3 >= 2 != (flags&0x40 != 0) {
			codes, zeroType = "I16", float
		}
		if flags&0x20 != 0 {
			zeroName = "scaled_zeros"
		}
		if flags&0x10 != 0 {
			zeroPoint = `,"zero_point":false`
		}
		put("qweight", codes, qweight, int64(rows), int64(cols))
		if len(qzeros) > 0 {
			put(zeroName, zeroType, qzeros, int64(zrows), int64(zcols))
		}
		put("scales", float, scales, int64(srows), int64(scols))
		if len(bias) > 0 {
			put("bias", float, bias, int64(len(bias))*8/int64(float.Bits()))
		}
		format, err := Open(settingsJSON(int(size), version, zeroPoint), src)
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
			require.Equal(t, [2]int{m.N, m.K}, [2]int{dst.Weight.N(), dst.Weight.K()})
			require.NotEqual(t, dtype.Invalid, dst.Weight.ScaleType())
			lo, hi := dst.Weight.ZeroRange()
			require.True(t, lo >= 0 && hi < 16, "zero points %d to %d", lo, hi)
		}
	})
}
