package gptq

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// tensors is a checkpoint in memory.
type tensors map[string]safetensors.Data

func (t tensors) Lookup(name string) (safetensors.Tensor, bool) {
	d, ok := t[name]
	return safetensors.Tensor{Name: name, Type: d.Type, Shape: d.Shape, Bytes: int64(len(d.Bytes))}, ok
}

func (t tensors) Read(dst []byte, name string) ([]byte, error) {
	d, ok := t[name]
	if !ok {
		return nil, fmt.Errorf("%s: no such tensor", name)
	}
	return append(dst[:0], d.Bytes...), nil
}

func (t tensors) ReadAt(dst []byte, name string, off int64) error {
	if d := t[name]; off < 0 || off+int64(len(dst)) > int64(len(d.Bytes)) {
		return io.ErrUnexpectedEOF
	}
	copy(dst, t[name].Bytes[off:])
	return nil
}

func (t tensors) Names() []string {
	var names []string
	for n := range t {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (t tensors) put(name string, typ safetensors.Type, b []byte, shape ...int64) {
	t[name] = safetensors.Data{Name: name, Type: typ, Shape: shape, Bytes: b}
}

func (t tensors) ints(name string, v []uint32, shape ...int64) {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], x)
	}
	t.put(name, safetensors.I32, b, shape...)
}

func (t tensors) floats(name string, d dtype.DType, v []float32, shape ...int64) {
	b := make([]byte, d.Size()*len(v))
	dtype.Encode(d, b, v)
	t.put(name, map[dtype.DType]safetensors.Type{dtype.F16: "F16", dtype.BF16: "BF16", dtype.F32: "F32"}[d], b, shape...)
}

// stream packs values one bit at a time, as the format is defined.
func stream(values []int, bits int) []uint32 {
	words := make([]uint32, (len(values)*bits+31)/32)
	for i, v := range values {
		for j := range bits {
			bit := i*bits + j
			words[bit/32] |= uint32(v>>j&1) << (bit % 32)
		}
	}
	return words
}

// truth is a layer whose numbers are known.
type truth struct {
	n, k, bits, size int // size of a group, -1: one
	scales           dtype.DType
	codes            [][]int // [n][k]
	zeros            [][]int // [group][n]
	s                [][]float32
	index            []int // [k]; nil: k/size
	bias             []float32
}

func (l *truth) groups() int {
	if l.size < 0 {
		return 1
	}
	return (l.k + l.size - 1) / l.size
}

func (l *truth) group(k int) int {
	switch {
	case l.index != nil:
		return l.index[k]
	case l.size < 0:
		return 0
	}
	return k / l.size
}

// random makes a layer with arbitrary codes, zeros in 0..2^bits-1 unless sym,
// and scales that are exact in every type.
func random(seed uint64, n, k, bits, size int, sym bool) *truth {
	r := rand.New(rand.NewPCG(seed, 1))
	l := &truth{n: n, k: k, bits: bits, size: size, scales: dtype.F16}
	for range n {
		row := make([]int, k)
		for i := range row {
			row[i] = r.IntN(1 << bits)
		}
		l.codes = append(l.codes, row)
	}
	for range l.groups() {
		z, s := make([]int, n), make([]float32, n)
		for i := range z {
			z[i] = 1 << (bits - 1)
			if !sym {
				z[i] = r.IntN(1 << bits)
			}
			s[i] = float32(1+r.IntN(127)) / 64
		}
		l.zeros, l.s = append(l.zeros, z), append(l.s, s)
	}
	return l
}

// write stores the layer; stored is what is added to a zero before it is cut
// to the bits: -1 for version 1, 0 for version 2.
func (l *truth) write(t tensors, name string, stored int) {
	kw, nw := l.k*l.bits/32, l.n*l.bits/32
	q := make([]uint32, kw*l.n)
	for n, row := range l.codes {
		for r, w := range stream(row, l.bits) {
			q[r*l.n+n] = w
		}
	}
	t.ints(name+".qweight", q, int64(kw), int64(l.n))
	var z []uint32
	var s []float32
	for g, row := range l.zeros {
		cut := make([]int, l.n)
		for i, v := range row {
			cut[i] = (v + stored) & (1<<l.bits - 1)
		}
		z = append(z, stream(cut, l.bits)...)
		s = append(s, l.s[g]...)
	}
	ng := int64(l.groups())
	t.ints(name+".qzeros", z, ng, int64(nw))
	t.floats(name+".scales", l.scales, s, ng, int64(l.n))
	if l.index != nil {
		idx := make([]uint32, l.k)
		for i, g := range l.index {
			idx[i] = uint32(int32(g))
		}
		t.ints(name+".g_idx", idx, int64(l.k))
	}
	if l.bias != nil {
		t.floats(name+".bias", l.scales, l.bias, int64(l.n))
	}
}

// check compares a loaded layer with the truth, number by number.
func (l *truth) check(t *testing.T, got *quant.Linear) {
	t.Helper()
	w := &got.Weight
	require.Equal(t, [3]int{l.n, l.k, l.bits}, [3]int{w.N(), w.K(), w.Bits()})
	require.Equal(t, l.scales, w.ScaleType())
	require.NoError(t, got.Check())
	for n := range l.n {
		for k := range l.k {
			g, want := w.Groups().Of(k), l.group(k)
			u, z, v := w.Code(n, k), w.Zero(n, g), w.Scale(n, g)
			if u != l.codes[n][k] || z != l.zeros[want][n] || v != l.s[want][n] {
				require.FailNow(t, "wrong number", "row %d, feature %d: code %d, zero %d, scale %v; want %d, %d, %v",
					n, k, u, z, v, l.codes[n][k], l.zeros[want][n], l.s[want][n])
			}
		}
	}
	if l.bias == nil {
		require.False(t, got.HasBias())
	} else {
		require.Equal(t, l.bias, got.Bias)
	}
}

// settingsJSON is a configuration; extra is more of its text.
func settingsJSON(bits, size int, extra string) []byte {
	return fmt.Appendf(nil, `{"quant_method":"gptq","bits":%d,"group_size":%d%s}`, bits, size, extra)
}

func open(t *testing.T, config []byte, src safetensors.Source, o ...Option) module.Format {
	t.Helper()
	f, err := Open(config, src, o...)
	require.NoError(t, err)
	return f
}

func loadOne(t *testing.T, f module.Format, name string) (*quant.Linear, []module.Finding) {
	t.Helper()
	var l quant.Linear
	found, err := f.Load(t.Context(), &l, name, nil)
	require.NoError(t, err)
	return &l, found
}
