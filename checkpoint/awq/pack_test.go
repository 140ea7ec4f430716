package awq

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

func (t tensors) words(name string, v []uint32, shape ...int64) {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], x)
	}
	t.put(name, safetensors.I32, b, shape...)
}

var floatTypes = map[dtype.DType]safetensors.Type{dtype.F16: "F16", dtype.BF16: "BF16", dtype.F32: "F32"}

func (t tensors) floats(name string, d dtype.DType, v []float32, shape ...int64) {
	b := make([]byte, d.Size()*len(v))
	dtype.Encode(d, b, v)
	t.put(name, floatTypes[d], b, shape...)
}

// truth is a layer whose numbers are known.
type truth struct {
	n, k, size int // size of a group, -1: one
	scales     dtype.DType
	codes      [][]int // [n][k]
	zeros      [][]int // [n][group]
	s          [][]float32
	bias       []float32
}

func (l *truth) groups() int {
	if l.size < 0 {
		return 1
	}
	return (l.k + l.size - 1) / l.size
}

// random makes a layer with arbitrary codes, zeros in 0..15 unless sym, and
// scales that are exact in every type.
func random(seed uint64, n, k, size int, sym bool) *truth {
	r := rand.New(rand.NewPCG(seed, 1))
	l := &truth{n: n, k: k, size: size, scales: dtype.F16}
	for range n {
		row := make([]int, k)
		for i := range row {
			row[i] = r.IntN(16)
		}
		z, s := make([]int, l.groups()), make([]float32, l.groups())
		for g := range z {
			z[g] = 8
			if !sym {
				z[g] = r.IntN(16)
			}
			s[g] = float32(1+r.IntN(127)) / 64
		}
		l.codes, l.zeros, l.s = append(l.codes, row), append(l.zeros, z), append(l.s, s)
	}
	return l
}

// gemmWord has the columns 0 to 7 as AutoAWQ packs them.
func gemmWord(columns []int) uint32 {
	var word uint32
	for i, c := range []int{0, 2, 4, 6, 1, 3, 5, 7} {
		word |= uint32(columns[c]) << (4 * i)
	}
	return word
}

func transposed[T any](m [][]T) [][]T {
	out := make([][]T, len(m[0]))
	for i := range out {
		for _, row := range m {
			out[i] = append(out[i], row[i])
		}
	}
	return out
}

// write stores the layer; words is the width of gemv's zero points, 0 for as
// many as there must be.
func (l *truth) write(t tensors, name string, v Version, words int) {
	g := l.groups()
	n, k := int64(l.n), int64(l.k)
	if words == 0 {
		words = (g + 7) / 8
	}
	pad := func(row []float32) []float32 { // what is beyond the groups is anything
		return append(slices.Clone(row), slices.Repeat([]float32{7}, 8*words-g)...)
	}
	switch v {
	case GEMM:
		var q, z []uint32
		for _, row := range transposed(l.codes) {
			for c := 0; c < l.n; c += 8 {
				q = append(q, gemmWord(row[c:]))
			}
		}
		for _, row := range transposed(l.zeros) {
			for c := 0; c < l.n; c += 8 {
				z = append(z, gemmWord(row[c:]))
			}
		}
		t.words(name+".qweight", q, k, n/8)
		t.words(name+".qzeros", z, int64(g), n/8)
		t.floats(name+".scales", l.scales, slices.Concat(transposed(l.s)...), int64(g), n)
	case GEMV:
		plain := func(row []int, words int) []uint32 {
			out := make([]uint32, words)
			for i := range out {
				out[i] = 0xdcba9876
			}
			for i, v := range row {
				out[i/8] = out[i/8]&^(15<<(i%8*4)) | uint32(v)<<(i%8*4)
			}
			return out
		}
		var q, z []uint32
		var s []float32
		for i, row := range l.codes {
			q = append(q, plain(row, l.k/8)...)
			z = append(z, plain(l.zeros[i], words)...)
			s = append(s, pad(l.s[i])...)
		}
		t.words(name+".qweight", q, n, k/8)
		t.words(name+".qzeros", z, n, int64(words))
		t.floats(name+".scales", l.scales, s, n, int64(8*words))
	case GEMVFast:
		var s, z [][]float32
		for i := range l.codes {
			scaled := make([]float32, g)
			for j, zero := range l.zeros[i] {
				scaled[j] = -float32(zero) * l.s[i][j]
			}
			s, z = append(s, pad(l.s[i])), append(z, pad(scaled))
		}
		t.put(name+".qweight", safetensors.I16, l.fast(), n/4, k)
		t.floats(name+".scales", l.scales, slices.Concat(transposed(s)...), int64(8*words), n)
		t.floats(name+".qzeros", l.scales, slices.Concat(transposed(z)...), int64(8*words), n)
	}
	if l.bias != nil {
		t.floats(name+".bias", l.scales, l.bias, n)
	}
}

// fast packs codes in three steps, as the format is defined: 32 features are
// put in the order 0 1 8 9 16 17 24 25 2 3 …, the eight of each word in the
// order 0 2 4 6 1 3 5 7, and blocks of 64 of four outputs follow each other,
// four codes in 16 bits.
func (l *truth) fast() []byte {
	var out []byte
	for n := 0; n < l.n; n += 4 {
		for k := 0; k < l.k; k += 64 {
			var block []int
			for i := range 4 {
				for half := 0; half < 64; half += 32 {
					from := l.codes[n+i][k+half:][:32]
					var first []int
					for b := range 4 {
						for a := range 4 {
							first = append(first, from[8*a+2*b], from[8*a+2*b+1])
						}
					}
					for ; len(first) > 0; first = first[8:] {
						for _, j := range []int{0, 2, 4, 6, 1, 3, 5, 7} {
							block = append(block, first[j])
						}
					}
				}
			}
			for ; len(block) > 0; block = block[4:] {
				out = binary.LittleEndian.AppendUint16(out, uint16(block[0]|block[1]<<4|block[2]<<8|block[3]<<12))
			}
		}
	}
	return out
}

// check compares a loaded layer with the truth, number by number.
func (l *truth) check(t *testing.T, got *quant.Linear) {
	t.Helper()
	w := &got.Weight
	require.Equal(t, [3]int{l.n, l.k, 4}, [3]int{w.N(), w.K(), w.Bits()})
	require.Equal(t, l.scales, w.ScaleType())
	require.NoError(t, got.Check())
	require.Equal(t, l.groups(), w.Groups().Count())
	for n := range l.n {
		for k := range l.k {
			g := w.Groups().Of(k)
			if l.size > 0 && g != k/l.size || w.Code(n, k) != l.codes[n][k] || w.Zero(n, g) != l.zeros[n][g] || w.Scale(n, g) != l.s[n][g] {
				require.FailNow(t, "wrong number", "row %d, feature %d, group %d: code %d, zero %d, scale %v; want %d, %d, %v",
					n, k, g, w.Code(n, k), w.Zero(n, g), w.Scale(n, g), l.codes[n][k], l.zeros[n][g], l.s[n][g])
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
func settingsJSON(size int, version, extra string) []byte {
	return fmt.Appendf(nil, `{"quant_method":"awq","bits":4,"group_size":%d,"version":%q%s}`, size, version, extra)
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
