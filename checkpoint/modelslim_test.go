package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// slimDir is a model of one W8A16 module and a plain head.
func slimDir(t *testing.T) *dir {
	d := newDir(t)
	d.slim("model.layers.0.mlp.up_proj", 4, 8)
	d.floats("lm_head.weight", dtype.BF16, 4, 4)
	return d
}

// slim adds a module of int8 codes, 1 everywhere.
func (d *dir) slim(name string, n, k int64) {
	d.raw(name+".weight", "I8", []byte(strings.Repeat("\x01", int(n*k))), n, k)
	d.floats(name+".weight_scale", dtype.F32, n, 1)
}

const slimDescription = `{"model_quant_type":"W8A16","version":"1.0.0","group_size":0,
	"model.layers.0.mlp.up_proj.weight":"W8A16","model.layers.0.mlp.up_proj.weight_scale":"W8A16","lm_head.weight":"FLOAT"}`

// The description is found by its name, whatever config.json says or lacks.
func TestModelslimPlaces(t *testing.T) {
	for file, config := range map[string]string{
		"quant_model_description.json":                        "",
		"quant_model_description_w8a16.json":                  `{"model_type":"llama","torch_dtype":"bfloat16"}`,
		"quant_model_description_w4a4_flatquant_dynamic.json": `{"quantization_config":{"quant_method":"ascend"}}`,
		"quant_model_description_x.json":                      `{"quantize":"w8a16","quantization_config":{"group_size":0,"kv_quant_type":null,"reduce_quant_type":null,"model_quant_type":"W8A16"}}`,
	} {
		d := slimDir(t).file(file, slimDescription)
		if config != "" {
			d.file("config.json", config)
		}
		m := d.open(Options{})
		require.Equal(t, "modelslim", m.Format(), file)
		require.Equal(t, []string{"lm_head", "model.layers.0.mlp.up_proj"}, names(m.Modules()))
		require.Empty(t, m.Warnings(), file)
		require.Equal(t, "W8A16", m.Modules()[1].Detail)
		require.False(t, m.Modules()[0].Quantized)
		var l quant.Linear
		_, err := m.Load(t.Context(), &l, "model.layers.0.mlp.up_proj")
		require.NoError(t, err)
		require.Equal(t, 129, l.Weight.Code(3, 7))
	}
}

func TestModelslimContradictions(t *testing.T) {
	err := slimDir(t).file("quant_model_description.json", slimDescription).file("quant_model_description_w8a16.json", slimDescription).fails()
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "quant_model_description_w8a16.json: a second one beside ")
	require.ErrorContains(t, err, "quant_model_description.json, want one description of the tensors")

	err = slimDir(t).file("quant_model_description.json", slimDescription).file("config.json", `{"quantization_config":`+gptqConfig+`}`).fails()
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "quant_model_description.json: quant_method is modelslim, want gptq as ")
	require.ErrorContains(t, err, "config.json: quantization_config says")

	err = slimDir(t).file("config.json", `{"quantization_config":{"quant_method":"modelslim"}}`).fails()
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "no file quant_model_description*.json, want the description of a modelslim model, as ")

	err = slimDir(t).file("quant_model_description.json", `{"model.layers.0.mlp.up_proj.weight":"W8A8"}`).fails()
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "W8A8 (it needs a recipe with one fixed scale and offset for all activations): 1 layer, model.layers.0.mlp.up_proj")
}

// A module that the description calls a float, or does not know, is not read as
// one: its type says otherwise.
func TestModelslimUndescribed(t *testing.T) {
	for _, kind := range []string{`,"a.weight":"FLOAT"`, ``} {
		d := slimDir(t).file("quant_model_description.json", slimDescription[:len(slimDescription)-1]+kind+"}")
		d.slim("a", 4, 8)
		m := d.open(Options{})
		require.Equal(t, "a weight of type I8, without quantization settings that cover it", reasons(m.Refused())["a"])
	}
}

// The largest mixtures have a line of the description for each of a million
// tensors: more than other configurations may have.
func TestModelslimLargeDescription(t *testing.T) {
	filler := strings.Repeat(" ", 17<<20)
	m := slimDir(t).file("quant_model_description.json", slimDescription+filler).open(Options{})
	require.Len(t, m.Modules(), 2)
	err := slimDir(t).file("quant_model_description.json", slimDescription+strings.Repeat(filler, 4)).fails()
	require.ErrorContains(t, err, "size is more, want at most 64 MiB")
}

// The writer calls shards and index after the type, not "model".
func TestModelslimShards(t *testing.T) {
	d := slimDir(t).file("quant_model_description.json", slimDescription)
	const one, two = "quant_model_weight_w8a16-00001-of-00002.safetensors", "quant_model_weight_w8a16-00002-of-00002.safetensors"
	require.NoError(t, safetensors.WriteFile(filepath.Join(d.path, one), nil, d.tensors[0], d.tensors[2]))
	require.NoError(t, safetensors.WriteFile(filepath.Join(d.path, two), nil, d.tensors[1]))
	index := `{"metadata":{"total_size":1},"weight_map":{"` + d.tensors[0].Name + `":"` + one + `","` + d.tensors[1].Name + `":"` + two + `","` + d.tensors[2].Name + `":"` + one + `"}}`
	d.file("quant_model_weight_w8a16.safetensors.index.json", index)
	m, err := Open(t.Context(), d.path, Options{})
	require.NoError(t, err)
	require.Len(t, m.Modules(), 2)
	require.NoError(t, m.Close())

	d.file("other.safetensors.index.json", index)
	_, err = Open(t.Context(), d.path, Options{})
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "2 of them, the first two other.safetensors.index.json and quant_model_weight_w8a16.safetensors.index.json, want one index")
	require.NoError(t, os.Rename(filepath.Join(d.path, "other.safetensors.index.json"), filepath.Join(d.path, "model.safetensors.index.json")))
	m, err = Open(t.Context(), d.path, Options{})
	require.NoError(t, err, "the usual name counts")
	require.NoError(t, m.Close())
}
