package checkpoint

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
)

// dir is a model directory that a test builds.
type dir struct {
	t       testing.TB
	path    string
	tensors []safetensors.Data
}

func newDir(t testing.TB) *dir { return &dir{t: t, path: t.TempDir()} }

func (d *dir) file(name, text string) *dir {
	require.NoError(d.t, os.WriteFile(filepath.Join(d.path, name), []byte(text), 0o600))
	return d
}

// floats adds a tensor of small random numbers; every call for a name and
// shape gives the same ones.
func (d *dir) floats(name string, t dtype.DType, shape ...int64) []float32 {
	n := int64(1)
	for _, s := range shape {
		n *= s
	}
	r := rand.New(rand.NewPCG(uint64(n), uint64(len(name))))
	v := make([]float32, n)
	for i := range v {
		v[i] = t.Round(float32(r.NormFloat64()))
	}
	b := make([]byte, len(v)*t.Size())
	dtype.Encode(t, b, v)
	d.raw(name, map[dtype.DType]safetensors.Type{dtype.F16: "F16", dtype.BF16: "BF16", dtype.F32: "F32"}[t], b, shape...)
	return v
}

func (d *dir) raw(name string, t safetensors.Type, b []byte, shape ...int64) {
	d.tensors = append(d.tensors, safetensors.Data{Name: name, Type: t, Shape: shape, Bytes: b})
}

// gptq adds a 4-bit symmetric GPTQ module of zero codes: every weight is −8·scale.
func (d *dir) gptq(name string, n, k, size int64) {
	groups := (k + size - 1) / size
	zeros := make([]byte, groups*n/2)
	for i := range zeros {
		zeros[i] = 0x77
	}
	d.raw(name+".qweight", "I32", make([]byte, k*n/2), k/8, n)
	d.raw(name+".qzeros", "I32", zeros, groups, n/8)
	d.floats(name+".scales", dtype.F16, groups, n)
}

func (d *dir) write() string {
	require.NoError(d.t, safetensors.WriteFile(filepath.Join(d.path, "model.safetensors"), nil, d.tensors...))
	return d.path
}

func (d *dir) open(o Options) *Model {
	d.t.Helper()
	m, err := Open(d.t.Context(), d.write(), o)
	require.NoError(d.t, err)
	d.t.Cleanup(func() { require.NoError(d.t, m.Close()) })
	return m
}

func (d *dir) fails() error {
	d.t.Helper()
	_, err := Open(d.t.Context(), d.write(), Options{})
	require.Error(d.t, err)
	return err
}

func names(mods []module.Module) []string {
	var out []string
	for _, m := range mods {
		out = append(out, m.Name)
	}
	return out
}

func reasons(refused []module.Refused) map[string]string {
	out := map[string]string{}
	for _, r := range refused {
		out[r.Name] = r.Why
	}
	return out
}

const gptqConfig = `{"quant_method":"gptq","bits":4,"group_size":32,"sym":true}`
