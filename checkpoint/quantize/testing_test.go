package quantize

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// input is a model directory that a test builds.
type input struct {
	t       testing.TB
	dir     string
	tensors []safetensors.Data
}

func newInput(t testing.TB) *input {
	in := &input{t: t, dir: filepath.Join(t.TempDir(), "in")}
	require.NoError(t, os.Mkdir(in.dir, 0o777))
	return in
}

func (in *input) file(name, text string) *input {
	path := filepath.Join(in.dir, name)
	require.NoError(in.t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(in.t, os.WriteFile(path, []byte(text), 0o666))
	return in
}

func (in *input) floats(name string, t dtype.DType, shape ...int64) *input {
	n := int64(1)
	for _, s := range shape {
		n *= s
	}
	r := rand.New(rand.NewPCG(uint64(n), uint64(len(name))))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	b := make([]byte, len(v)*t.Size())
	dtype.Encode(t, b, v)
	in.tensors = append(in.tensors, safetensors.Data{Name: name, Type: safetensors.TypeOf(t), Shape: shape, Bytes: b})
	return in
}

// write stores the tensors in one file, with a metadata key of its own.
func (in *input) write() string {
	require.NoError(in.t, safetensors.WriteFile(filepath.Join(in.dir, "model.safetensors"), map[string]string{"by": "test"}, in.tensors...))
	return in.dir
}

const llamaConfig = `{
  "architectures": ["LlamaForCausalLM"],
  "model_type": "llama",
  "rope_theta": 1e6,
  "some_limit": Infinity,
  "torch_dtype": "bfloat16"
}
`

// llama is a decoder of two layers, with a tokenizer and a licence.
func llama(t testing.TB) *input {
	in := newInput(t).file("config.json", llamaConfig).file("tokenizer.json", "{}").file("sub/dir/LICENSE", "free")
	in.floats("model.embed_tokens.weight", dtype.BF16, 32, 64).floats("lm_head.weight", dtype.BF16, 32, 64).floats("model.norm.weight", dtype.BF16, 64)
	for _, l := range []string{"model.layers.0.", "model.layers.1."} {
		in.floats(l+"self_attn.q_proj.weight", dtype.BF16, 64, 64).floats(l+"self_attn.q_proj.bias", dtype.BF16, 64)
		in.floats(l+"mlp.up_proj.weight", dtype.BF16, 128, 64).floats(l+"mlp.down_proj.weight", dtype.BF16, 64, 128)
		in.floats(l+"mlp.gate.weight", dtype.BF16, 4, 64).floats(l+"input_layernorm.weight", dtype.BF16, 64)
	}
	return in
}

// quantized writes in beside itself and opens the result.
func quantized(t testing.TB, in string, o Options) (*Report, *checkpoint.Model) {
	t.Helper()
	out := filepath.Join(filepath.Dir(in), "out")
	r, err := Model(t.Context(), in, out, o)
	require.NoError(t, err)
	m, err := checkpoint.Open(t.Context(), out, checkpoint.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { m.Close() })
	require.Empty(t, m.Refused())
	require.Empty(t, m.Warnings())
	require.Equal(t, []string{"in", "out"}, entries(t, filepath.Dir(in)), "nothing else is left")
	return r, m
}

func entries(t testing.TB, dir string) (names []string) {
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// sameWeight compares codes, scales and zero points bit for bit.
func sameWeight(t testing.TB, want, got *quant.Weight, name string) {
	t.Helper()
	require.Equal(t, want.Form(), got.Form(), name)
	for n := range want.N() {
		require.Equal(t, want.Row(n), got.Row(n), name)
		require.Equal(t, want.ScaleRow(n), got.ScaleRow(n), name)
		require.True(t, slices.Equal(want.ZeroRow(n), got.ZeroRow(n)), name)
	}
}
