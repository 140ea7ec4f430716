package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

const ctInt8 = `{"quantization_config":{"quant_method":"compressed-tensors","format":"int-quantized","config_groups":{"group_0":{"targets":["Linear"],"weights":{"num_bits":8,"type":"int","symmetric":true,"strategy":"channel"}}}}}`

// Experts that are stored one by one are modules like others, in the order of
// their numbers.
func TestSeparateExperts(t *testing.T) {
	g := newDir(t).file("config.json", withGPTQ("mixtral"))
	var want []string
	for _, e := range []string{"0", "3", "7", "10"} {
		for _, p := range []string{"w1", "w2", "w3"} {
			want = append(want, "model.layers.0.block_sparse_moe.experts."+e+"."+p)
			g.gptq(want[len(want)-1], 32, 64, 32)
		}
	}
	m := g.open(Options{})
	require.Equal(t, want, names(m.Modules()))
	var l quant.Linear
	_, err := m.Load(t.Context(), &l, "model.layers.0.block_sparse_moe.experts.7.w1")
	require.NoError(t, err)

	c := newDir(t).file("config.json", ctInt8)
	want = nil
	for _, e := range []string{"0", "3", "10"} {
		for _, p := range []string{"down_proj", "gate_proj", "up_proj"} {
			want = append(want, "model.layers.0.mlp.experts."+e+"."+p)
			c.slim(want[len(want)-1], 4, 8)
		}
	}
	c.slim("model.layers.0.mlp.shared_experts.gate_proj", 4, 8)
	m = c.open(Options{})
	require.Equal(t, append(want, "model.layers.0.mlp.shared_experts.gate_proj"), names(m.Modules()))
	_, err = m.Load(t.Context(), &l, "model.layers.0.mlp.experts.3.gate_proj")
	require.NoError(t, err)
}

// stack adds int8 codes of three experts of [2, 4]: expert e has e everywhere,
// its scales are e+1.
func (d *dir) stack(weight, scale string) {
	b := make([]byte, 3*2*4)
	scales := make([]byte, 3*2*4)
	for i := range b {
		b[i] = byte(i / 8)
	}
	for i := range 6 {
		dtype.F32.Put(scales, i, float32(i/2+1))
	}
	d.raw(weight, "I8", b, 3, 2, 4)
	d.raw(scale, "F32", scales, 3, 2, 1)
}

// Every way to name a stack gives experts of the same names.
func TestStackedExperts(t *testing.T) {
	for _, c := range [][3]string{
		{"gate_up_proj.weight", "gate_up_proj.weight_scale", "gate_up_proj"},
		{"gate_up_proj", "gate_up_proj_scale", "gate_up_proj"},
		{"down_proj_weight", "down_proj_weight_scale", "down_proj"},
		{"w13_weight", "w13_weight_scale", "w13"},
		{"w2_weight.weight", "w2_weight.weight_scale", "w2"},
	} {
		d := newDir(t).file("config.json", ctInt8)
		d.stack("m.mlp.experts."+c[0], "m.mlp.experts."+c[1])
		d.raw("m.mlp.experts."+c[2]+"_bias", "F16", []byte{0, 0x3c, 0, 0x40, 0, 0x42, 0, 0x44, 0, 0x45, 0, 0x46}, 3, 2) // 1 2 3 4 5 6
		m := d.open(Options{})
		require.Equal(t, []string{"m.mlp.experts.0." + c[2], "m.mlp.experts.1." + c[2], "m.mlp.experts.2." + c[2]}, names(m.Modules()))
		require.Empty(t, m.Refused())
		require.Empty(t, m.Skipped())
		require.Empty(t, m.Warnings())
		for e := range 3 {
			var l quant.Linear
			_, err := m.Load(t.Context(), &l, fmt.Sprintf("m.mlp.experts.%d.%s", e, c[2]))
			require.NoError(t, err)
			require.NoError(t, l.Check())
			require.Equal(t, [2]int{2, 4}, [2]int{l.Weight.N(), l.Weight.K()})
			require.Equal(t, float32(e*(e+1)), l.Weight.Value(1, 3))
			require.Equal(t, []float32{float32(2*e + 1), float32(2*e + 2)}, l.Bias)
		}
		var l quant.Linear
		for _, name := range []string{"m.mlp.experts.3." + c[2], "m.mlp.experts.01." + c[2], "m.mlp.experts." + c[2]} {
			_, err := m.Load(t.Context(), &l, name)
			require.ErrorIs(t, err, quant.ErrUnsupported, name)
		}
	}
}

// The description of a modelslim model names the stack, not its experts.
func TestStackedModelslim(t *testing.T) {
	d := newDir(t).file("config.json", attention("mixtral", ""))
	d.stack("m.experts.w13_weight", "m.experts.w13_weight_scale")
	d.file("quant_model_description.json", `{"m.experts.w13_weight":"W8A8_DYNAMIC","m.experts.w13_weight_scale":"W8A8_DYNAMIC"}`)
	m := d.open(Options{})
	require.Equal(t, []string{"m.experts.0.w13", "m.experts.1.w13", "m.experts.2.w13"}, names(m.Modules()))
	require.Equal(t, quant.Int8TokenAscend, m.Modules()[2].Recipe.Kind)
	require.Equal(t, "m.experts.1.w1", m.Fused()[1].Parts[0].Name)
	require.True(t, m.Fused()[1].Stored)
	require.Equal(t, quant.Range{Start: 1, End: 2}, m.Fused()[1].Parts[1].Rows)
}

// Sizes that are stored as numbers: one pair for all experts, a pair for each,
// or those of the stack.
func TestStackedShapes(t *testing.T) {
	numbers := func(v ...uint64) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, x)
		}
		return b
	}
	const config = `{"quantization_config":{"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"group_0":{"targets":["Linear"],"weights":{"num_bits":4,"type":"int","symmetric":true,"strategy":"channel"}}}}}`
	build := func(shape []byte, dims ...int64) *dir {
		d := newDir(t).file("config.json", config)
		words := make([]byte, 2*3*4)
		for i := range words {
			words[i] = byte(0x11 * (i / 12)) // codes 0 and 1
		}
		d.raw("m.experts.down_proj.weight_packed", "I32", words, 2, 3, 1)
		d.floats("m.experts.down_proj.weight_scale", dtype.F16, 2, 3, 1)
		d.raw("m.experts.down_proj.weight_shape", "I64", shape, dims...)
		return d
	}
	for _, d := range []*dir{build(numbers(3, 8), 2), build(numbers(2, 3, 8), 3), build(numbers(3, 8, 3, 8), 2, 2)} {
		m := d.open(Options{})
		require.Len(t, m.Modules(), 2)
		for e := range 2 {
			var l quant.Linear
			_, err := m.Load(t.Context(), &l, fmt.Sprintf("m.experts.%d.down_proj", e))
			require.NoError(t, err)
			require.Equal(t, e, l.Weight.Code(2, 7))
		}
	}
	for want, d := range map[string]*dir{
		"weight_shape: element 0 is 3, want 2, as m.experts.down_proj.weight_packed [2 3 1] has": build(numbers(3, 3, 8), 3),
		"weight_shape: shape is [4], want [2], [3] or [2 2]":                                     build(numbers(2, 2, 3, 8), 4),
		"m.experts.1.down_proj.weight_packed: shape is [3 1]":                                    build(numbers(3, 8, 3, 80), 2, 2),
	} {
		err := d.fails()
		require.ErrorIs(t, err, quant.ErrFormat)
		require.ErrorContains(t, err, want)
	}
}

// Stacks that are not read are refused with the number of experts.
func TestRefusedStacks(t *testing.T) {
	d := newDir(t).file("config.json", ctInt8)
	d.slim("m.q_proj", 4, 8)
	d.raw("m.mlp.experts.gate_up_proj", "I8", make([]byte, 3*4*8), 3, 4, 8) // [E, K, 2N]
	d.floats("m.mlp.experts.gate_up_proj_scale", dtype.F32, 3, 1, 8)
	d.floats("m.mlp.experts.down_proj", dtype.BF16, 3, 4, 4)
	d.floats("m.mlp.experts.down_proj_bias", dtype.BF16, 3, 4)
	m := d.open(Options{})
	require.Equal(t, []string{"m.q_proj"}, names(m.Modules()))
	why := reasons(m.Refused())
	require.Len(t, why, 2)
	require.Equal(t, "3 experts in one tensor of [3 4 8], input first as the scales [3 1 8] say, which is not read: only [experts, N, K] is", why["m.mlp.experts.gate_up_proj"])
	require.Contains(t, why["m.mlp.experts.down_proj"], "3 experts in one tensor, BF16 [3 4 4]: reading it needs to know how this architecture lays them")

	d = newDir(t).file("config.json", `{"quantization_config":{"quant_method":"mxfp4"}}`)
	for _, p := range []string{"gate_up_proj", "down_proj"} {
		for _, layer := range []string{"0", "1"} {
			d.raw("model.layers."+layer+".mlp.experts."+p+"_blocks", "U8", make([]byte, 4*2*16), 4, 2, 1, 16)
			d.raw("model.layers."+layer+".mlp.experts."+p+"_scales", "U8", make([]byte, 4*2), 4, 2, 1)
		}
	}
	err := d.fails()
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "mxfp4: not read yet (4 layers, the first is model.layers.0.mlp.experts.down, 16 experts in tensors of several; it needs weights of 4-bit floats with a power of two for each 32 of them)")
}

// One wrong tensor of a stack, one error that names it.
func TestBadStacks(t *testing.T) {
	for want, build := range map[string]func(d *dir){
		"m.experts.w2_weight_scale: shape is [2 2 1], want 3 experts first, as m.experts.w2_weight [3 2 4] has": func(d *dir) {
			d.raw("m.experts.w2_weight", "I8", make([]byte, 24), 3, 2, 4)
			d.floats("m.experts.w2_weight_scale", dtype.F32, 2, 2, 1)
		},
		"m.experts.w2_weight: shape is [0 2 4], want experts of 1 to 2^30 rows and columns": func(d *dir) {
			d.raw("m.experts.w2_weight", "I8", nil, 0, 2, 4)
			d.floats("m.experts.w2_weight_scale", dtype.F32, 0, 2, 1)
		},
		"m.experts.1.w2.weight: tensor is in m.experts.w2_weight as well, want an expert stored once": func(d *dir) {
			d.stack("m.experts.w2_weight", "m.experts.w2_weight_scale")
			d.slim("m.experts.1.w2", 2, 4)
		},
		"m.experts.w2_weight_scale: tensor is a second one beside m.experts.w2.weight_scale, want one weight_scale of the experts": func(d *dir) {
			d.stack("m.experts.w2_weight", "m.experts.w2_weight_scale")
			d.floats("m.experts.w2.weight_scale", dtype.F32, 3, 2, 1)
		},
	} {
		d := newDir(t).file("config.json", ctInt8)
		build(d)
		err := d.fails()
		require.ErrorIs(t, err, quant.ErrFormat)
		require.ErrorContains(t, err, want)
	}
	d := newDir(t).file("config.json", ctInt8)
	d.raw("m.experts.w2_weight", "I8", make([]byte, 5000), 5000, 1, 1)
	d.floats("m.experts.w2_weight_scale", dtype.F32, 5000, 1, 1)
	err := d.fails()
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "m.experts.w2_weight: experts is 5000, want at most 4096")
}

// FuzzStackedName takes any name apart: what is a stack's stays one, and never
// is that of an expert.
func FuzzStackedName(f *testing.F) {
	for _, s := range []string{"m.experts.gate_up_proj", "experts.w13_weight.weight_packed", "a.experts.3.w1.weight", "x.shared_experts.up_proj.weight", "experts.w2_weight_scale", "experts."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		experts, projection, suffix, ok := splitStacked(name)
		if !ok {
			return
		}
		require.True(t, strings.HasPrefix(name, experts+"."+projection))
		s := stack{experts: experts, projection: projection}
		_, _, _, again := splitStacked(s.name(7, suffix))
		require.False(t, again, "an expert's tensor is no stack")
	})
}

// FuzzStacks takes apart a file whose tensors have any types and shapes: what
// is seen of an expert can be read, and lies inside its stack.
func FuzzStacks(f *testing.F) {
	f.Add(uint8(0), uint16(3), uint16(2), uint16(4), uint16(3), uint16(1), []byte{3, 0, 0, 0, 0, 0, 0, 0}, uint8(3))
	f.Add(uint8(1), uint16(2), uint16(3), uint16(1), uint16(2), uint16(1), []byte{2}, uint8(2))
	f.Add(uint8(6), uint16(4), uint16(1), uint16(8), uint16(4), uint16(9), []byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, flags uint8, e, n, k, scales, groups uint16, numbers []byte, sizes uint8) {
		var data []safetensors.Data
		add := func(name string, typ safetensors.Type, b []byte, shape ...int64) {
			want := int64(typ.Bits()) / 8
			for _, d := range shape {
				want *= d
			}
			if want <= 1<<18 {
				full := make([]byte, want)
				copy(full, b)
				data = append(data, safetensors.Data{Name: name, Type: typ, Shape: shape, Bytes: full})
			}
		}
		weight, typ := "weight", safetensors.Type("I8")
		if flags&1 != 0 {
			weight, typ = "weight_packed", "I32"
		}
		in := []string{"experts.w2.", "experts.w2_", "experts.w2_weight.", "a.experts.down_proj_"}[flags>>1&3]
		add(in+weight, typ, nil, int64(e), int64(n), int64(k))
		add(in+"weight_scale", "F32", nil, int64(scales), int64(n), int64(groups))
		add(in+"bias", "F16", nil, int64(scales))
		add(in+"weight_shape", "I64", numbers, int64(sizes&7))
		var file bytes.Buffer
		if safetensors.Write(&file, nil, data...) != nil {
			return
		}
		src, err := safetensors.New(bytes.NewReader(file.Bytes()), int64(file.Len()), "f")
		require.NoError(t, err)
		u, _, err := unstack(src)
		if err != nil {
			require.True(t, errors.Is(err, quant.ErrFormat) || errors.Is(err, quant.ErrUnsupported), "%v", err)
			return
		}
		names := u.Names()
		require.True(t, slices.IsSorted(names))
		for _, name := range names {
			info, ok := u.Lookup(name)
			require.True(t, ok, name)
			size := int64(info.Type.Bits()) / 8
			for _, d := range info.Shape {
				size *= d
			}
			require.Equal(t, size, info.Bytes, name)
			b, err := u.Read(nil, name)
			require.NoError(t, err)
			require.Len(t, b, int(size))
			require.NoError(t, u.ReadAt(b, name, 0))
			require.True(t, has(src, u.Origin(name)))
		}
	})
}
