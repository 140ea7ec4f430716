package modelslim

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// tensors is a checkpoint in memory, with the type of each tensor.
type tensors struct {
	data  map[string]safetensors.Data
	types map[string]string
}

func newTensors() tensors {
	return tensors{map[string]safetensors.Data{}, map[string]string{}}
}

func (t tensors) Lookup(name string) (safetensors.Tensor, bool) {
	d, ok := t.data[name]
	return safetensors.Tensor{Name: name, Type: d.Type, Shape: d.Shape, Bytes: int64(len(d.Bytes))}, ok
}

func (t tensors) Read(dst []byte, name string) ([]byte, error) {
	d, ok := t.data[name]
	if !ok {
		return nil, fmt.Errorf("%s: no such tensor", name)
	}
	return append(dst[:0], d.Bytes...), nil
}

func (t tensors) ReadAt(dst []byte, name string, off int64) error {
	if d := t.data[name]; off < 0 || off+int64(len(dst)) > int64(len(d.Bytes)) {
		return io.ErrUnexpectedEOF
	}
	copy(dst, t.data[name].Bytes[off:])
	return nil
}

func (t tensors) Names() []string { return slices.Sorted(maps.Keys(t.data)) }

func (t tensors) put(name, kind string, typ safetensors.Type, b []byte, shape ...int64) {
	t.data[name] = safetensors.Data{Name: name, Type: typ, Shape: shape, Bytes: b}
	if t.types[name] = kind; kind == "" {
		delete(t.types, name)
	}
}

func (t tensors) int8s(name, kind string, v []int, shape ...int64) {
	b := make([]byte, len(v))
	for i, x := range v {
		b[i] = byte(x)
	}
	t.put(name, kind, safetensors.I8, b, shape...)
}

func (t tensors) floats(name, kind string, d dtype.DType, v []float32, shape ...int64) {
	b := make([]byte, d.Size()*len(v))
	dtype.Encode(d, b, v)
	t.put(name, kind, map[dtype.DType]safetensors.Type{dtype.F16: "F16", dtype.BF16: "BF16", dtype.F32: "F32"}[d], b, shape...)
}

// layer adds a module of a type, with random codes and scales.
func (t tensors) layer(name, kind string, n, k, groups int) {
	r := rand.New(rand.NewPCG(uint64(n), uint64(k)))
	half := 128
	if strings.HasPrefix(kind, "W4") {
		half = 8
	}
	codes := make([]int, n*k)
	for i := range codes {
		codes[i] = r.IntN(2*half) - half
	}
	scales := make([]float32, n*groups)
	for i := range scales {
		scales[i] = r.Float32() + 0.5
	}
	t.int8s(name+".weight", kind, codes, int64(n), int64(k))
	t.floats(name+".weight_scale", kind, dtype.F32, scales, int64(n), int64(groups))
	t.floats(name+".weight_offset", kind, dtype.F32, make([]float32, len(scales)), int64(n), int64(groups))
}

// transform adds FlatQuant's tensors: the identity, but for one element beside
// the diagonal of the left one.
func (t tensors) transform(name, kind string, d dtype.DType, l, r int, clip float32) {
	identity := func(n int) []float32 {
		p := make([]float32, n*n)
		for i := range n {
			p[i*n+i] = 1
		}
		return p
	}
	left := identity(l)
	if l > 1 {
		left[1] = 0.5 // row 0, column 1
	}
	t.floats(name+".left_trans", kind, d, left, int64(l), int64(l))
	t.floats(name+".right_trans", kind, d, identity(r), int64(r), int64(r))
	t.floats(name+".clip_ratio", kind, dtype.F32, []float32{clip}, 1)
}

// description returns the description of all tensors, with header keys.
func (t tensors) description(header string) []byte {
	b, err := json.Marshal(t.types)
	if err != nil {
		panic(err)
	}
	if header != "" {
		b = append([]byte("{"+header+","), b[1:]...)
	}
	return b
}

func (t tensors) open(test testing.TB, header string, options ...Option) module.Format {
	test.Helper()
	f, err := Open(t.description(header), t, options...)
	require.NoError(test, err)
	return f
}

func load(t testing.TB, f module.Format, name string) *quant.Linear {
	t.Helper()
	var l quant.Linear
	findings, err := f.Load(t.Context(), &l, name, nil)
	require.NoError(t, err)
	require.Empty(t, findings)
	require.NoError(t, l.Check())
	return &l
}
