package ctensors

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// Tensors that contradict each other: the error names the tensor, what was
// found and what was expected.
func TestShapes(t *testing.T) {
	packed := made{n: 10, k: 100, bits: 3, strategy: "group", group: 32, asymmetric: true, order: true, bias: true}
	int8 := made{n: 10, k: 100, bits: 4, strategy: "channel", plain: true, asymmetric: true}
	tensorWise := made{n: 10, k: 100, bits: 4, strategy: "tensor", asymmetric: true}
	type shape = []int64
	for name, c := range map[string]struct {
		m      made
		suffix string
		typ    safetensors.Type
		shape  shape // nil: the tensor is not there
		bytes  []byte
		want   []string
	}{
		"packed one word short":      {m: packed, suffix: "weight_packed", typ: "I32", shape: shape{10, 8}, want: []string{"[10 10]", "[10 8]", "3-bit", "scheme \"group_0\" of quantization_config"}},
		"packed one word long":       {m: packed, suffix: "weight_packed", typ: "I32", shape: shape{10, 11}, want: []string{"[10 11]"}},
		"packed one row short":       {m: packed, suffix: "weight_packed", typ: "I32", shape: shape{9, 10}, want: []string{"[9 10]"}},
		"packed bytes":               {m: packed, suffix: "weight_packed", typ: "U8", shape: shape{10, 10}, want: []string{"type is U8", "I32"}},
		"4 bits packed short":        {m: tensorWise, suffix: "weight_packed", typ: "I32", shape: shape{10, 12}, want: []string{"[10 13] for 4-bit codes of [10 100]", "[10 12]"}},
		"no shape":                   {m: packed, suffix: "weight_shape", want: []string{"no such tensor"}},
		"shape of three":             {m: packed, suffix: "weight_shape", typ: "I64", shape: shape{3}, want: []string{"[2]", "[3]"}},
		"shape of floats":            {m: packed, suffix: "weight_shape", typ: "F32", shape: shape{2}, want: []string{"type is F32"}},
		"shape of zero":              {m: packed, suffix: "weight_shape", typ: "I32", shape: shape{2}, want: []string{"element 0 is 0"}},
		"shape negative":             {m: packed, suffix: "weight_shape", typ: "I64", shape: shape{2}, bytes: bytes.Repeat([]byte{255}, 16), want: []string{"element 0 is -1"}},
		"shape negative in 32 bits":  {m: packed, suffix: "weight_shape", typ: "I32", shape: shape{2}, bytes: bytes.Repeat([]byte{255}, 8), want: []string{"element 0 is -1"}},
		"shape of another layer":     {m: packed, suffix: "weight_shape", typ: "I32", shape: shape{2}, bytes: wordBytes([]uint32{10, 1 << 20}), want: []string{"weight_packed", "[10 1048576]"}},
		"shape too large":            {m: packed, suffix: "weight_shape", typ: "I32", shape: shape{2}, bytes: wordBytes([]uint32{10, 1<<30 + 1}), want: []string{"element 1 is 1073741825"}},
		"scales of one group less":   {m: packed, suffix: "weight_scale", typ: "F16", shape: shape{10, 3}, want: []string{"[10 4] for strategy group of 32 and a weight of [10 100] (scheme \"group_0\" of quantization_config)", "[10 3]"}},
		"scales of another height":   {m: packed, suffix: "weight_scale", typ: "F16", shape: shape{11, 4}, want: []string{"[11 4]"}},
		"scales transposed":          {m: packed, suffix: "weight_scale", typ: "F16", shape: shape{4, 10}, want: []string{"[4 10]"}},
		"scales of integers":         {m: packed, suffix: "weight_scale", typ: "I32", shape: shape{10, 4}, want: []string{"type is I32", "BF16"}},
		"no scales":                  {m: packed, suffix: "weight_scale", want: []string{"no such tensor"}},
		"groups where channel":       {m: int8, suffix: "weight_scale", typ: "F16", shape: shape{10, 4}, want: []string{"[10 1] for strategy channel", "[10 4]"}},
		"channel where tensor":       {m: tensorWise, suffix: "weight_scale", typ: "F16", shape: shape{10, 1}, want: []string{"[1] for strategy tensor"}},
		"no zero points":             {m: packed, suffix: "weight_zero_point", want: []string{"asymmetric", "no such tensor"}},
		"zero points short":          {m: packed, suffix: "weight_zero_point", typ: "I32", shape: shape{2, 4}, want: []string{"[1 4] for 3-bit zero points of [10 4] (scheme \"group_0\" of quantization_config)", "[2 4]"}},
		"zero points of one group":   {m: packed, suffix: "weight_zero_point", typ: "I32", shape: shape{1, 1}, want: []string{"[1 1]"}},
		"zero points in one row":     {m: packed, suffix: "weight_zero_point", typ: "I32", shape: shape{4}, want: []string{"[4]"}},
		"zero points of floats":      {m: packed, suffix: "weight_zero_point", typ: "F16", shape: shape{10, 4}, want: []string{"type is F16", "I32 or I8"}},
		"zero bytes of one group":    {m: packed, suffix: "weight_zero_point", typ: "I8", shape: shape{10, 1}, want: []string{"[10 4], as the scales have", "[10 1]"}},
		"packed zeros of int8":       {m: int8, suffix: "weight_zero_point", typ: "I32", shape: shape{2, 1}, want: []string{"type is I32", "want I8"}},
		"packed zeros of one tensor": {m: tensorWise, suffix: "weight_zero_point", typ: "I32", shape: shape{1, 1}, want: []string{"type is I32"}},
		"no group index":             {m: packed, suffix: "weight_g_idx", want: []string{"actorder", "no such tensor"}},
		"group index short":          {m: packed, suffix: "weight_g_idx", typ: "I32", shape: shape{99}, want: []string{"[100]", "[99]"}},
		"group index of floats":      {m: packed, suffix: "weight_g_idx", typ: "F32", shape: shape{100}, want: []string{"type is F32"}},
		"bias short":                 {m: packed, suffix: "bias", typ: "F16", shape: shape{9}, want: []string{"[10]", "[9]"}},
		"bias of integers":           {m: packed, suffix: "bias", typ: "I8", shape: shape{10}, want: []string{"type is I8"}},
		"int8 without rows":          {m: int8, suffix: "weight", typ: "I8", shape: shape{0, 100}, want: []string{"0 x 100"}},
		"int8 without columns":       {m: int8, suffix: "weight", typ: "I8", shape: shape{10, 0}, want: []string{"10 x 0"}},
		"int8 of impossible width":   {m: int8, suffix: "weight", typ: "I8", shape: shape{0, 1 << 40}, want: []string{"0 x 1073741825"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.m
			m.fill(rand.New(rand.NewPCG(41, 42)))
			if c.shape == nil {
				delete(m.tensors, c.suffix)
			} else {
				n := int64(c.typ.Bits() / 8)
				for _, d := range c.shape {
					n *= d
				}
				if c.bytes == nil {
					c.bytes = make([]byte, n)
				}
				m.put(c.suffix, c.typ, c.bytes, c.shape...)
			}
			_, err := open(t, m.config(), &m)
			require.ErrorIs(t, err, quant.ErrFormat)
			for _, w := range append(c.want, m.name+".") {
				require.Contains(t, err.Error(), w)
			}
		})
	}
}

// The other forms in which scales of a channel or a tensor are stored.
func TestScaleShapes(t *testing.T) {
	for _, c := range []struct {
		strategy string
		shape    []int64
	}{{"channel", []int64{6}}, {"tensor", []int64{}}, {"tensor", []int64{1, 1}}} {
		m := (&made{n: 6, k: 40, bits: 8, strategy: c.strategy, plain: true, asymmetric: true}).fill(rand.New(rand.NewPCG(43, 44)))
		for _, suffix := range []string{"weight_scale", "weight_zero_point"} {
			d := m.tensors[suffix]
			m.put(suffix, d.Type, d.Bytes, c.shape...)
		}
		var l quant.Linear
		_, err := m.load(t, &l, nil)
		require.NoError(t, err)
		m.check(t, &l)
	}
}

// FuzzConfig: a configuration never makes Open or Load panic, and every error
// has a class.
func FuzzConfig(f *testing.F) {
	m := named("model.layers.0.mlp.up_proj")[0]
	f.Add(m.config())
	f.Add(`{"config_groups":{"W4A16":["re:.*up_proj"]},"ignore":["re:.*head"]}`)
	f.Add(`{"format":"mixed-precision","sparsity_config":{"format":"dense"},"config_groups":{"g":{"targets":["Linear"],"format":"pack-quantized","weights":{"num_bits":4,"group_size":32,"actorder":"weight"},"input_activations":` + dynamicToken + `}}}`)
	f.Fuzz(func(t *testing.T, config string) {
		loadAll(t, config, source(t, m))
	})
}

func loadAll(t *testing.T, config string, src safetensors.Source) {
	classed := func(err error) {
		if !errors.Is(err, quant.ErrFormat) && !errors.Is(err, quant.ErrUnsupported) {
			t.Fatalf("an error without a class: %v", err)
		}
	}
	r, err := Open([]byte(config), src)
	if err != nil {
		classed(err)
		return
	}
	var l quant.Linear
	var s module.Scratch
	for _, m := range r.Modules() {
		if _, err := r.Load(context.Background(), &l, m.Name, &s); err != nil {
			classed(err)
			continue
		}
		if err := l.Check(); err != nil {
			t.Fatalf("loaded, but %v", err)
		}
		if l.Weight.N() != m.N || l.Weight.K() != m.K || l.Weight.Bits() != m.Bits {
			t.Fatalf("%dx%d of %d bits, want %dx%d of %d", l.Weight.N(), l.Weight.K(), l.Weight.Bits(), m.N, m.K, m.Bits)
		}
	}
}

// FuzzLoad: tensors of any small shape and content never make Open or Load
// panic, and what is loaded is sound. Each byte pair of shapes changes one
// dimension of one tensor; fill is repeated as content.
func FuzzLoad(f *testing.F) {
	f.Add(uint8(3), uint8(10), uint8(40), false, true, true, []byte{}, []byte{})
	f.Add(uint8(4), uint8(7), uint8(33), true, true, false, []byte{0, 1}, []byte{1, 2, 3})
	f.Add(uint8(5), uint8(3), uint8(12), false, false, true, []byte{2, 4, 9, 1}, []byte{0})
	f.Fuzz(func(t *testing.T, bits, n, k uint8, plain, asymmetric, order bool, shapes, fill []byte) {
		m := &made{n: 1 + int(n%48), k: 1 + int(k), bits: 2 + int(bits%7), strategy: []string{"group", "channel", "tensor"}[n%3], group: 16,
			plain: plain, asymmetric: asymmetric, order: order, bias: true, spaced: k%2 == 0}
		m.fill(rand.New(rand.NewPCG(uint64(n), uint64(k))))
		suffixes := []string{"weight_packed", "weight", "weight_shape", "weight_scale", "weight_zero_point", "weight_g_idx", "bias"}
		for ; len(shapes) >= 2; shapes = shapes[2:] {
			d, ok := m.tensors[suffixes[int(shapes[0]>>1)%len(suffixes)]]
			if !ok || len(d.Shape) == 0 {
				continue
			}
			d.Shape[int(shapes[0]&1)%len(d.Shape)] = int64(shapes[1] % 64)
		}
		for suffix, d := range m.tensors {
			size := int64(d.Type.Bits() / 8)
			for _, dim := range d.Shape {
				size *= dim
			}
			if size > 1<<20 {
				return
			}
			b := make([]byte, size)
			copy(b, d.Bytes)
			if len(fill) > 0 && suffix != "weight_shape" {
				for i := range b {
					b[i] ^= fill[i%len(fill)]
				}
			}
			d.Bytes = b
			m.tensors[suffix] = d
		}
		loadAll(t, m.config(), source(t, m))
	})
}
