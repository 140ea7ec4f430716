package autoround

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// known requires an error that says what is wrong with a file.
func known(t *testing.T, err error) {
	t.Helper()
	require.True(t, errors.Is(err, quant.ErrFormat) || errors.Is(err, quant.ErrUnsupported), "%v", err)
}

// memory is a checkpoint in memory: one module called m.
type memory map[string]safetensors.Data

func (t memory) Lookup(name string) (safetensors.Tensor, bool) {
	d, ok := t[name]
	return safetensors.Tensor{Name: name, Type: d.Type, Shape: d.Shape, Bytes: int64(len(d.Bytes))}, ok
}

func (t memory) Read(dst []byte, name string) ([]byte, error) {
	return append(dst[:0], t[name].Bytes...), nil
}

func (t memory) ReadAt(dst []byte, name string, off int64) error {
	if d := t[name]; off < 0 || off+int64(len(dst)) > int64(len(d.Bytes)) {
		return io.ErrUnexpectedEOF
	}
	copy(dst, t[name].Bytes[off:])
	return nil
}

func (t memory) Names() (names []string) {
	for n := range t {
		names = append(names, n)
	}
	return names
}

func (t memory) put(name string, typ safetensors.Type, b []byte, shape ...int64) {
	want := int64(typ.Bits()) / 8
	for _, d := range shape {
		want *= d
	}
	if want <= 1<<20 { // what safetensors guarantees: bytes that fit the shape
		full := make([]byte, want)
		copy(full, b)
		t[name] = safetensors.Data{Name: name, Type: typ, Shape: shape, Bytes: full}
	}
}

// FuzzConfig opens a fixed model with any configuration, and loads what opens.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"quant_method":"auto-round","bits":4,"group_size":16,"sym":true,"packing_format":"auto_round:auto_gptq","extra_config":{".*m$":{"bits":16},"m":{"bits":4}}}`))
	f.Add([]byte(`{"quant_method":"intel/auto-round","bits":4.0,"group_size":16,"backend":"autoround:exllamav2","data_type":"int","act_bits":null}`))
	f.Add([]byte(`{"bits":4,"group_size":-1,"sym":false,"packing_format":"auto_round:auto_awq","rotation_config":{},"act_bits":8,"extra_config":{"[am]":{"group_size":16,"act_bits":16}}}`))
	f.Add([]byte(`{"bits":8,"group_size":16,"data_type":"rtn_int_sym","extra_config":{"m|a":{"bits":4,"group_size":16}}}`))
	src := memory{} // two modules, of which both layouts have 16 outputs and 32 features
	eights := []byte{0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88}
	for name, shape := range map[string][2]int64{"m": {4, 16}, "awq": {32, 2}} {
		src.put(name+".qweight", "I32", []byte{1, 2, 3, 4}, shape[0], shape[1])
		src.put(name+".qzeros", "I32", eights, 2, 2)
		src.put(name+".scales", "F16", []byte{0, 0x3c}, 2, 16)
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		format, err := Open(config, src)
		if err != nil {
			known(t, err)
			return
		}
		require.Equal(t, len(src)/3, len(format.Modules())+len(format.Refused()))
		for _, m := range format.Modules() {
			var l quant.Linear
			_, err := format.Load(t.Context(), &l, m.Name, nil)
			require.NoError(t, err, "the tensors are sound and their shapes were checked")
			require.NoError(t, l.Check())
			require.Equal(t, [2]int{16, 32}, [2]int{l.Weight.N(), l.Weight.K()})
		}
	})
}

// FuzzLoad loads a small layer of any shapes, which decide over the layout.
func FuzzLoad(f *testing.F) {
	f.Add(uint8(4), int16(16), uint8(0), uint16(4), uint16(16), uint16(2), uint16(16), uint32(0x88888888))
	f.Add(uint8(4), int16(16), uint8(2), uint16(32), uint16(2), uint16(2), uint16(16), uint32(0x88888888))
	f.Add(uint8(4), int16(-1), uint8(7), uint16(32), uint16(2), uint16(1), uint16(16), uint32(0x12345678))
	f.Add(uint8(3), int16(7), uint8(5), uint16(3), uint16(32), uint16(5), uint16(32), uint32(0))
	f.Fuzz(func(t *testing.T, bits uint8, size int16, flags uint8, rows, cols, groups, outputs uint16, fill uint32) {
		src := memory{}
		b := make([]byte, 4*64)
		for i := 0; i < len(b); i += 4 {
			binary.LittleEndian.PutUint32(b[i:], fill)
		}
		src.put("m.qweight", "I32", b, int64(rows), int64(cols))
		src.put("m.qzeros", "I32", b, int64(groups), int64(outputs)*int64(bits)/32)
		src.put("m.scales", "F16", b, int64(groups), int64(outputs))
		packing := []string{"auto_round:auto_gptq", "auto_round", "auto_round:auto_awq", "gptq:cuda"}[flags&3]
		format, err := Open(fmt.Appendf(nil, `{"bits":%d,"group_size":%d,"sym":%t,"packing_format":%q}`, bits, size, flags&4 == 0, packing), src)
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
			require.Equal(t, [3]int{m.N, m.K, m.Bits}, [3]int{dst.Weight.N(), dst.Weight.K(), dst.Weight.Bits()})
		}
	})
}
