package checkpoint

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/gptq"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// A quantized model gives its quantized modules and, as plain layers, every
// other linear one.
func TestQuantizedModel(t *testing.T) {
	d := newDir(t).file("config.json", `{"model_type":"mixtral","torch_dtype":"bfloat16","quantization_config":`+gptqConfig+`}`)
	for _, layer := range []string{"model.layers.10", "model.layers.2"} {
		d.gptq(layer+".mlp.up_proj", 64, 96, 32)
		d.floats(layer+".mlp.up_proj.bias", dtype.F16, 64)
		d.floats(layer+".input_layernorm.weight", dtype.F16, 96)
	}
	gate := d.floats("model.layers.2.mlp.gate.weight", dtype.BF16, 8, 96)
	head := d.floats("lm_head.weight", dtype.F16, 128, 96)
	d.floats("lm_head.bias", dtype.F32, 128)
	ignored := d.floats("model.layers.2.attn.q_proj.weight", dtype.F32, 96, 96)
	d.floats("model.embed_tokens.weight", dtype.F16, 128, 96)
	d.raw("model.layers.2.experts.w", "F16", make([]byte, 2*4*3*2), 4, 3, 2)
	d.raw("model.odd.weight", "I8", make([]byte, 6), 2, 3)
	m := d.open(Options{})

	require.Equal(t, "gptq", m.Format())
	require.Equal(t, dtype.BF16, m.DType())
	require.Empty(t, m.Warnings())
	require.Equal(t, []string{"lm_head", "model.layers.2.attn.q_proj", "model.layers.2.mlp.gate", "model.layers.2.mlp.up_proj", "model.layers.10.mlp.up_proj"}, names(m.Modules()))
	require.Equal(t, map[string]string{
		"model.embed_tokens":              "an embedding or norm by its name (*embed_tokens*)",
		"model.layers.2.input_layernorm":  "not a linear layer's weight: F16 [96]",
		"model.layers.10.input_layernorm": "not a linear layer's weight: F16 [96]",
	}, reasons(m.Skipped()))
	require.Equal(t, map[string]string{
		"model.odd":                "a weight of type I8, without quantization settings that cover it",
		"model.layers.2.experts.w": "4 experts in one tensor, F16 [4 3 2]: reading it needs to know how this architecture lays them (input or output first, gate and up apart or in turns)",
	}, reasons(m.Refused()))

	for name, want := range map[string][]float32{"lm_head": head, "model.layers.2.mlp.gate": gate, "model.layers.2.attn.q_proj": ignored} {
		var l quant.Linear
		found, err := m.Load(t.Context(), &l, name)
		require.NoError(t, err)
		require.Empty(t, found)
		require.NoError(t, l.Check())
		require.Equal(t, dtype.BF16, l.DType)
		require.Equal(t, name, l.Name)
		require.Equal(t, name == "lm_head", l.HasBias())
		for i, v := range want {
			require.Equal(t, v, l.Weight.Value(i/96, i%96))
		}
	}
	require.Equal(t, module.Module{Name: "lm_head", Format: "dense", Detail: "float16", N: 128, K: 96, Bias: true, Plain: dtype.F16, Bytes: 2*128*96 + 4*128}, m.Modules()[0])

	var l quant.Linear
	_, err := m.Load(t.Context(), &l, "model.layers.2.mlp.up_proj")
	require.NoError(t, err)
	require.Equal(t, 4, l.Weight.Bits())
	require.True(t, l.HasBias())
	require.Equal(t, dtype.BF16, l.DType)
	require.Equal(t, -8*l.Weight.Scale(3, 1), l.Weight.Value(3, 40))

	_, err = m.Load(t.Context(), &l, "model.odd")
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "type I8")
	_, err = m.Load(t.Context(), &l, "nothing")
	require.ErrorIs(t, err, quant.ErrUnsupported)

	require.Len(t, m.Tensors(), len(d.tensors))
	b, err := m.ReadTensor(nil, "model.embed_tokens.weight")
	require.NoError(t, err)
	require.Len(t, b, 2*128*96)
	_, err = m.ReadTensor(nil, "nothing")
	require.Error(t, err)
}

func TestCompressedTensorsModel(t *testing.T) {
	const config = `{"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{"g":{"targets":["Linear"],"weights":{"num_bits":4,"type":"int","symmetric":true,"strategy":"group","group_size":32}}},"ignore":["lm_head"]}`
	for _, key := range []string{"quantization_config", "compression_config"} {
		d := newDir(t).file("config.json", fmt.Sprintf(`{"dtype":"float16",%q:%s}`, key, config))
		d.raw("m.up_proj.weight_packed", "I32", make([]byte, 64*32/2), 64, 4)
		d.raw("m.up_proj.weight_shape", "I64", append([]byte{64, 7: 0, 8: 32}, make([]byte, 7)...), 2)
		d.floats("m.up_proj.weight_scale", dtype.F16, 64, 1)
		d.floats("lm_head.weight", dtype.F16, 16, 32)
		m := d.open(Options{})
		require.Equal(t, "compressed-tensors", m.Format())
		require.Equal(t, []string{"lm_head", "m.up_proj"}, names(m.Modules()))
		require.Empty(t, m.Skipped())
		var l quant.Linear
		for _, mod := range m.Modules() {
			_, err := m.Load(t.Context(), &l, mod.Name)
			require.NoError(t, err)
			require.Equal(t, dtype.F16, l.DType)
			require.Equal(t, [2]int{mod.N, mod.K}, [2]int{l.Weight.N(), l.Weight.K()})
		}
	}
}

// Options for GPTQ arrive there.
func TestGPTQOptions(t *testing.T) {
	d := newDir(t).file("quantize_config.json", strings.Replace(gptqConfig, `"sym":true`, `"sym":false`, 1))
	d.gptq("m", 8, 32, 32)
	d.tensors[1].Bytes = []byte{0x7f, 0x77, 0x77, 0x77}
	for _, c := range []struct {
		o    []gptq.Option
		want int
	}{{nil, 0}, {[]gptq.Option{gptq.UnmaskedZeros}, 16}} {
		m := d.open(Options{GPTQ: c.o})
		var l quant.Linear
		_, err := m.Load(t.Context(), &l, "m")
		require.NoError(t, err)
		require.Equal(t, c.want, l.Weight.Zero(0, 0))
	}
}

func TestPlainDamage(t *testing.T) {
	for typ, bits := range map[dtype.DType][2]float32{dtype.F16: {0, float32(math.Inf(1))}, dtype.BF16: {0, float32(math.NaN())}, dtype.F32: {0, float32(math.Inf(-1))}} {
		d := newDir(t)
		d.floats("lm_head.weight", typ, 4, 6)
		typ.Put(d.tensors[0].Bytes, 15, bits[1])
		m := d.open(Options{})
		_, err := m.Load(t.Context(), new(quant.Linear), "lm_head")
		require.ErrorIs(t, err, quant.ErrFormat)
		require.ErrorContains(t, err, "lm_head.weight: weight of output feature 2, input feature 3")
	}
	d := newDir(t)
	d.floats("a.weight", dtype.F32, 4, 128)
	dtype.F32.Put(d.tensors[0].Bytes, 200, float32(math.NaN()))
	d.floats("b.weight", dtype.F32, 4, 128)
	d.floats("b.bias", dtype.F32, 4)
	dtype.F32.Put(d.tensors[2].Bytes, 1, float32(math.NaN()))
	m := d.open(Options{})
	_, err := m.Load(t.Context(), new(quant.Linear), "a")
	require.ErrorIs(t, err, quant.ErrRange)
	require.ErrorContains(t, err, "a.weight")
	_, err = m.Load(t.Context(), new(quant.Linear), "b")
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "b.bias: element 1")
}

func TestContext(t *testing.T) {
	d := newDir(t)
	d.floats("lm_head.weight", dtype.F32, 3, 5)
	m := d.open(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.Load(ctx, new(quant.Linear), "lm_head")
	require.ErrorIs(t, err, context.Canceled)
	_, err = Open(ctx, d.path, Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestUseAfterClose(t *testing.T) {
	d := newDir(t)
	d.floats("lm_head.weight", dtype.F32, 3, 5)
	d.floats("a.weight", dtype.F32, 3, 128)
	m, err := Open(t.Context(), d.write(), Options{})
	require.NoError(t, err)
	require.NoError(t, m.Close())
	for _, name := range []string{"lm_head", "a"} {
		_, err = m.Load(t.Context(), new(quant.Linear), name)
		require.Error(t, err)
	}
}

func TestConcurrentLoads(t *testing.T) {
	d := newDir(t).file("config.json", `{"quantization_config":`+gptqConfig+`}`)
	for i := range 4 {
		d.gptq(fmt.Sprint("q.", i), 64, int64(32*(i+1)), 32)
		d.floats(fmt.Sprintf("p.%d.weight", i), dtype.F16, 16, int64(i+1))
	}
	m := d.open(Options{})
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			var l quant.Linear
			for j := range 3 * len(m.Modules()) {
				mod := &m.Modules()[(i+j)%len(m.Modules())]
				if _, errs[i] = m.Load(t.Context(), &l, mod.Name); errs[i] != nil {
					return
				}
				if errs[i] = l.Check(); errs[i] != nil || l.Weight.K() != mod.K {
					errs[i] = fmt.Errorf("%s: K=%d, want %d: %w", mod.Name, l.Weight.K(), mod.K, errs[i])
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// Loading into one Linear again and again takes no more memory.
func TestLoadReusesMemory(t *testing.T) {
	d := newDir(t).file("config.json", `{"quantization_config":`+gptqConfig+`}`)
	d.gptq("q", 256, 1024, 32)
	d.floats("lm_head.weight", dtype.F16, 512, 1024)
	m := d.open(Options{})
	var l quant.Linear
	var s module.Scratch
	m.scratch.New = func() any { return &s } // a pool forgets when it likes, and more so under the race detector
	load := func() {
		for _, name := range []string{"q", "lm_head"} {
			_, err := m.Load(t.Context(), &l, name)
			require.NoError(t, err)
		}
	}
	load()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		load()
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/10, uint64(32<<10), "the layers are 128 KB and 1 MB")
}

func TestDirectoryErrors(t *testing.T) {
	empty := t.TempDir()
	fails := func(path string) error {
		_, err := Open(t.Context(), path, Options{})
		require.Error(t, err)
		return err
	}
	err := fails(filepath.Join(empty, "nowhere"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "nowhere: no such directory")

	err = fails(empty)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "an empty directory, want model.safetensors, or model.safetensors.index.json with the files that it names (bad file format)")

	file := filepath.Join(empty, "model.gguf")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.ErrorContains(t, fails(file), "a gguf file, which is not read yet")
	upper := filepath.Join(t.TempDir(), "A.GGUF")
	require.NoError(t, os.WriteFile(upper, nil, 0o600))
	require.ErrorContains(t, fails(upper), "a gguf file, which is not read yet")
	err = fails(empty)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "no safetensors files in it, but model.gguf (GGUF, which is not read yet: it needs its container and its blocks), want model.safetensors, or model.safetensors.index.json")

	err = fails(newDir(t).file("config.json", "{}").file("merges.txt", "").path)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "no safetensors files in it, but config.json and 1 more, want model.safetensors, or ")
	err = fails(newDir(t).file("pytorch_model-00001-of-00002.bin", "").file("pytorch_model-00002-of-00002.bin", "").path)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "but pytorch_model-00001-of-00002.bin and 1 more (PyTorch's pickles, which are not read")
	require.ErrorContains(t, fails(newDir(t).file("model.ONNX", "").path), "but model.ONNX (ONNX, which is not read), want ")

	training := newDir(t).file("training_args.bin", "").file("optimizer.pt", "").file("scheduler.pt", "").file("rng_state_0.pth", "")
	err = fails(training.path)
	require.ErrorContains(t, err, "no safetensors files in it, but optimizer.pt and 3 more, want ")
	require.ErrorIs(t, err, quant.ErrFormat, "nothing of another format")
	require.ErrorContains(t, fails(training.file("z.onnx", "").path), "but z.onnx (ONNX, which is not read), want ")
	require.ErrorContains(t, fails(training.file("model.bin", "").path), "but model.bin (PyTorch's pickles, which are not read")

	other := newDir(t).file("pytorch_model.bin", "").file("README.md", "")
	require.ErrorContains(t, fails(other.path), "but pytorch_model.bin (PyTorch's pickles, which are not read: they are programs), want ")
	require.ErrorContains(t, fails(filepath.Join(other.path, "README.md")), "a file, want a model directory (give "+other.path+")")

	indexed := newDir(t).file("model.safetensors.index.json", `{"weight_map":{"a":"missing.safetensors"}}`)
	require.ErrorContains(t, fails(indexed.path), "missing.safetensors")
	require.ErrorContains(t, fails(newDir(t).file("model.safetensors", "x").path), "model.safetensors")
	require.ErrorContains(t, fails(filepath.Join(file, "below")), "below")
}

// A directory that has the model in another one.
func TestDirectoryAboveAModel(t *testing.T) {
	above := t.TempDir()
	make := func(names ...string) {
		for _, name := range names {
			path := filepath.Join(above, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
			require.NoError(t, os.WriteFile(path, nil, 0o666))
		}
	}
	fails := func(want string) {
		t.Helper()
		_, err := Open(t.Context(), above, Options{})
		require.ErrorIs(t, err, quant.ErrFormat)
		require.ErrorContains(t, err, want)
	}
	const files = "want model.safetensors, or model.safetensors.index.json with the files that it names"
	make("data/x")
	fails("no safetensors files in it, but data (a directory), " + files + " (bad file format)")
	make("model/model-1.safetensors")
	fails("no safetensors files in it, but model (a directory with a model in it) and 1 more, " + files + " (give " + filepath.Join(above, "model") + ")")
	make("bert/config.json")
	fails("but bert (a directory with a model in it) and 2 more, ")
	make("config.json") // of the model that is missing
	fails("but bert (a directory) and 3 more, " + files + " (bad file format)")
}

func TestLoadToNothing(t *testing.T) {
	d := newDir(t)
	d.floats("lm_head.weight", dtype.F32, 3, 5)
	m, err := Open(t.Context(), d.write(), Options{})
	require.NoError(t, err)
	_, err = m.Load(t.Context(), nil, "lm_head")
	require.ErrorIs(t, err, quant.ErrShape)
	require.ErrorContains(t, err, "lm_head")
	require.ErrorIs(t, m.LoadPlain(t.Context(), nil, "lm_head"), quant.ErrShape)
	require.NoError(t, m.Close())
	require.NoError(t, m.Close(), "closing again does nothing")
}
