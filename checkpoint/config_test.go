package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func gptqDir(t testing.TB) *dir {
	d := newDir(t)
	d.gptq("model.layers.0.mlp.up_proj", 64, 96, 32)
	d.gptq("model.layers.1.mlp.up_proj", 64, 96, 32)
	return d
}

// Every place where a GPTQ configuration is found in published models.
func TestConfigPlaces(t *testing.T) {
	bare := strings.Replace(gptqConfig, `"quant_method":"gptq",`, "", 1)
	for name, text := range map[string]string{
		"config.json":          `{"quantization_config":` + gptqConfig + `}`,
		"quantize_config.json": bare,
		"quant_config.json":    gptqConfig,
	} {
		m := gptqDir(t).file(name, text).open(Options{})
		require.Equal(t, "gptq", m.Format(), name)
		require.Len(t, m.Modules(), 2)
		require.Empty(t, m.Warnings())
		require.Equal(t, dtype.Invalid, m.DType())
	}
	nested := gptqDir(t).file("config.json", `{"model_type":"llava","vision_config":{"x":1},"text_config":{"torch_dtype":"float16","quantization_config":`+gptqConfig+`}}`).open(Options{})
	require.Equal(t, "gptq", nested.Format())
	require.Equal(t, dtype.F16, nested.DType())
}

// AWQ's are in the same places, under two spellings of every key.
func TestAWQConfigPlaces(t *testing.T) {
	const config = `{"quant_method":"awq","bits":4,"group_size":32,"version":"gemm","zero_point":true}`
	for name, text := range map[string]string{
		"config.json":          `{"quantization_config":` + config + `}`,
		"quant_config.json":    `{"zero_point":true,"q_group_size":32,"w_bit":4,"version":"GEMM"}`,
		"quantize_config.json": config,
	} {
		d := newDir(t).file(name, text)
		d.raw("m.qweight", "I32", make([]byte, 4*64*2), 64, 2)
		d.raw("m.qzeros", "I32", make([]byte, 4*2*2), 2, 2)
		d.floats("m.scales", dtype.F16, 2, 16)
		m := d.open(Options{})
		require.Equal(t, "awq", m.Format(), name)
		require.Equal(t, []string{"m"}, names(m.Modules()))
		require.Empty(t, m.Warnings())
		var l quant.Linear
		_, err := m.Load(t.Context(), &l, "m")
		require.NoError(t, err)
		require.Equal(t, [2]int{16, 64}, [2]int{l.Weight.N(), l.Weight.K()})
	}
}

func TestConfigContradictions(t *testing.T) {
	m := gptqDir(t).file("config.json", `{"quantization_config":`+gptqConfig+`}`).
		file("quantize_config.json", `{"bits":8,"group_size":32,"sym":true}`).open(Options{})
	require.Equal(t, 4, m.Modules()[0].Bits, "config.json counts")
	require.Len(t, m.Warnings(), 1)
	require.Contains(t, m.Warnings()[0], "quantize_config.json says bits is 8, but ")
	require.Contains(t, m.Warnings()[0], "config.json: quantization_config says 4, which counts")

	err := gptqDir(t).file("config.json", `{"quantization_config":`+gptqConfig+`}`).file("quant_config.json", `{"w_bit":4,"q_group_size":128,"zero_point":true,"version":"GEMM"}`).fails()
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "quant_config.json: quant_method is awq, want gptq as ")
}

func TestModelConfig(t *testing.T) {
	d := newDir(t)
	d.floats("lm_head.weight", dtype.F32, 4, 4)
	for text, want := range map[string]dtype.DType{
		`{}`:                           dtype.Invalid,
		`{"torch_dtype":"float16"}`:    dtype.F16,
		`{"dtype":"torch.bfloat16"}`:   dtype.BF16,
		`{"dtype":{"text":"float16"}}`: dtype.Invalid,
		`{"torch_dtype":null}`:         dtype.Invalid,
		`{"dtype":"float32","time":[0.0,Infinity],"quantization_config":null}`: dtype.F32,
		`{"quantization_config":{}}`: dtype.Invalid,
	} {
		m := d.file("config.json", text).open(Options{})
		require.Equal(t, want, m.DType(), text)
		require.Empty(t, m.Warnings(), text)
		require.Equal(t, "dense", m.Format())
	}
	m := d.file("config.json", `{"torch_dtype":"float8_e4m3fn"}`).open(Options{})
	require.Equal(t, dtype.Invalid, m.DType())
	require.Contains(t, m.Warnings()[0], `torch_dtype is "float8_e4m3fn"`)

	for text, want := range map[string]string{
		`[]`:                              `config.json: text that begins with "[]", want one JSON object`,
		`{"model_type":1}`:                "model_type is 1, want a string",
		`{"quantization_config":[]}`:      "quantization_config is [], want an object",
		`{"quantization_config":{"x":1}}`: "quant_method is absent",
		`{"quantization_config":{"quant_method":4}}`:            "quant_method is 4",
		`{"text_config":{"a":1,"a":2}}`:                         `text_config: key "a" twice`,
		`{"text_config":{"quantization_config":{"x":1,"x":2}}}`: `key "x" twice`,
	} {
		err := d.file("config.json", text).fails()
		require.ErrorIs(t, err, quant.ErrFormat, text)
		require.ErrorContains(t, err, want)
	}
}

func TestConfigFilesThatAreNone(t *testing.T) {
	d := newDir(t)
	d.floats("lm_head.weight", dtype.F32, 4, 4)
	path := filepath.Join(d.path, "config.json")
	require.NoError(t, os.Mkdir(path, 0o700))
	require.ErrorContains(t, d.fails(), "config.json: a d---------, want a file")
	require.NoError(t, os.Remove(path))
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(module.MaxConfig+1))
	require.NoError(t, f.Close())
	require.ErrorContains(t, d.fails(), "config.json: size is more, want at most 16 MiB")
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink("config.json", path))
	require.Error(t, d.fails(), "a link to itself")
}

// Each format that is not read is named, with its scheme, the number of its
// layers and whether it will be.
func TestRefusedFormats(t *testing.T) {
	for _, c := range []struct{ config, tensor, want string }{
		{`{"quant_method":"fp8","fmt":"e4m3","weight_block_size":[128, 128]}`, "weight_scale_inv", `fp8 (fmt "e4m3", weight_block_size [128, 128]): not read yet (2 layers, the first is m.0`},
		{`{"quant_method":"bitsandbytes","load_in_4bit":true,"bnb_4bit_quant_type":"nf4"}`, "weight.absmax", `bitsandbytes (load_in_4bit true, bnb_4bit_quant_type "nf4"): not read yet (2 layers, the first is m.0`},
		{`{"quant_method":"hqq"}`, "W_q", "hqq: not read yet (2 layers, the first is m.0"},
		{`{"quant_method":"torchao"}`, "weight_scale", "torchao: not read yet (2 layers, the first is m.0"},
		{`{"quant_method":"quark"}`, "weight_scale", "quark: not read yet (2 layers, the first is m.0"},
		{`{"quant_method":"MXFP4"}`, "up_proj_blocks", "mxfp4: not read yet (2 layers, the first is m.0"},
		{`{"quant_method":"exl3","bits":3.0}`, "trellis", "exl3 (bits 3.0): not planned (2 layers, the first is m.0"},
		{`{"quant_method":"aqlm"}`, "codebooks", "aqlm: not planned (2 layers, the first is m.0"},
		{`{"quant_method":"` + strings.Repeat("z", 999) + `"}`, "x", strings.Repeat("z", 40) + ": not planned (0 layers)"},
	} {
		d := newDir(t).file("config.json", `{"quantization_config":`+c.config+`}`)
		for i := range 2 {
			d.raw(fmt.Sprintf("m.%d.%s", i, c.tensor), "U8", []byte{0}, 1)
		}
		err := d.fails()
		require.ErrorIs(t, err, quant.ErrUnsupported, c.config)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, d.path)
	}
	for file, c := range map[string][2]string{
		"hf_quant_config.json": {`{"producer":{"name":"modelopt"},"quantization":{"quant_algo":"NVFP4"}}`, `modelopt (quantization {"quant_algo":"NVFP4"})`},
	} {
		d := newDir(t).file(file, c[0])
		d.floats("lm_head.weight", dtype.F32, 4, 4)
		err := d.fails()
		require.ErrorIs(t, err, quant.ErrUnsupported, file)
		require.ErrorContains(t, err, c[1])
	}
	err := gptqDir(t).file("config.json", `{"quantization_config":{"quant_method":"gptq","bits":4,"group_size":32,"checkpoint_format":"marlin"}}`).fails()
	require.ErrorContains(t, err, "config.json: quantization_config: checkpoint_format is marlin (gptq: 2 layers, the first is model.layers.0.mlp.up_proj)")
	for file, text := range map[string]string{
		"quantize_config.json": `{"bits":4,"group_size":0}`,
		"quant_config.json":    `{"quant_method":"compressed-tensors","config_groups":{"group_0":{"targets":["Linear"],"weights":{"group_size":0}}}}`,
	} {
		err := gptqDir(t).file("config.json", `{}`).file(file, text).fails()
		require.ErrorContains(t, err, file+": ")
		require.ErrorContains(t, err, "group_size is ")
		require.NotContains(t, err.Error(), "quantization_config")
	}
}

// Tensors that only quantized models have, without a word in the configuration.
func TestQuantizedWithoutConfig(t *testing.T) {
	err := gptqDir(t).file("config.json", `{"model_type":"llama"}`).fails()
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "not configured, yet there are tensors such as model.layers.0.mlp.up_proj.qweight (2 layers, the first is model.layers.0.mlp.up_proj)")
}

func TestConfigWithoutQuantizedTensors(t *testing.T) {
	d := newDir(t).file("config.json", `{"quantization_config":`+gptqConfig+`}`)
	d.floats("a.weight", dtype.F16, 4, 4)
	m := d.open(Options{})
	require.Equal(t, []string{"a"}, names(m.Modules()))
	require.False(t, m.Modules()[0].Quantized)
	require.Contains(t, m.Warnings()[0], "says gptq, but no module is quantized so")
}

func FuzzOpenConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"llama","torch_dtype":"bfloat16","quantization_config":`+gptqConfig+`}`), []byte(gptqConfig))
	f.Add([]byte(`{"text_config":{"dtype":"half","compression_config":{"config_groups":{}}},"x":-Infinity}`), []byte(`{"w_bit":4}`))
	f.Add([]byte(`{"quantization_config":{"quant_method":"awq","version":"gemm"}}`), []byte{})
	f.Fuzz(func(t *testing.T, config, other []byte) {
		files := []configFile{{"d/config.json", config}}
		if len(other) > 0 {
			files = append(files, configFile{"d/quantize_config.json", other})
		}
		s, err := parseSettings(files)
		if err != nil {
			require.ErrorIs(t, err, quant.ErrFormat)
			return
		}
		if s.quant != nil {
			require.NotEmpty(t, s.quant.method)
			require.Less(t, len(scheme(s.quant)), 120*len(schemeKeys))
		}
	})
}
