package checkpoint

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// TestWrongLabels: settings that the shapes contradict are told with those that they fit.
func TestWrongLabels(t *testing.T) {
	config := func(bits, group int) string {
		return fmt.Sprintf(`{"quantization_config":{"quant_method":"gptq","bits":%d,"group_size":%d,"sym":true}}`, bits, group)
	}
	for _, c := range []struct {
		name, config, want string
	}{
		{"group size", config(4, 64), "m.qzeros: shape is [4 8], want [2 8] (K=128, N=64 from qweight; bits 4 and group_size 64 of config.json: quantization_config); the shapes are those of groups of 32"},
		{"groups for one", config(4, -1), "; the shapes are those of groups of 32"},
		{"bits", config(8, 32), "; the shapes are those of 4-bit codes"},
		{"bits and group size", config(2, 128), "; the shapes are those of 4-bit codes in groups of 32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDir(t).file("config.json", c.config)
			d.gptq("m", 64, 128, 32)
			err := d.fails()
			require.ErrorIs(t, err, quant.ErrFormat)
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("awq", func(t *testing.T) {
		d := newDir(t).file("config.json", config(4, 32))
		d.raw("m.qweight", "I32", make([]byte, 128*64/2), 128, 8)
		d.raw("m.qzeros", "I32", make([]byte, 4*64/2), 4, 8)
		d.floats("m.scales", dtype.F16, 4, 64)
		require.ErrorContains(t, d.fails(), "; the shapes are those of awq")
	})
}

// TestAllFaultsAtOnce: one look tells of every damaged layer, and in a model of
// several files of the file that each is in.
func TestAllFaultsAtOnce(t *testing.T) {
	d := newDir(t).file("config.json", `{"quantization_config":{"quant_method":"gptq","bits":4,"group_size":32,"sym":true}}`)
	for i := range 12 {
		d.gptq(fmt.Sprintf("layers.%d.up_proj", i), 64, 128, 32)
		if i != 3 {
			d.tensors[len(d.tensors)-1].Shape = []int64{2, 128}
		}
	}
	err := d.fails()
	require.ErrorIs(t, err, quant.ErrFormat)
	var first *quant.FieldError
	require.ErrorAs(t, err, &first)
	require.Equal(t, "layers.0.up_proj.scales", first.Name)
	lines := strings.Split(err.Error(), "\n")
	require.Equal(t, "11 layers are damaged or described wrongly:", lines[0])
	require.Equal(t, "  and 3 more", lines[9])
	require.Len(t, lines, 10)
	require.Contains(t, lines[4], "  layers.4.up_proj.scales: shape is [2 128], want [4 64]")

	m, err := Open(t.Context(), d.path, Options{Partial: true})
	require.NoError(t, err)
	require.Equal(t, []string{"layers.3.up_proj"}, names(m.Modules()))
	require.Len(t, m.Refused(), 11)
	require.Contains(t, m.Refused()[10].Why, "layers.11.up_proj.scales: shape is [2 128], want [4 64]")
	require.Empty(t, m.Skipped())
	_, err = m.Load(t.Context(), new(quant.Linear), "layers.3.up_proj")
	require.NoError(t, err)
	_, err = m.Load(t.Context(), new(quant.Linear), "layers.4.up_proj")
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.NoError(t, m.Close())

	split := newDir(t).file("config.json", `{"quantization_config":{"quant_method":"gptq","bits":4,"group_size":32,"sym":true}}`)
	var index []string
	for i, from := range []int{0, 18} {
		name := fmt.Sprintf("model-%d.safetensors", i)
		part := d.tensors[from : from+18]
		require.NoError(t, safetensors.WriteFile(filepath.Join(split.path, name), nil, part...))
		for _, tensor := range part {
			index = append(index, fmt.Sprintf("%q:%q", tensor.Name, name))
		}
	}
	split.file(safetensors.IndexName, `{"weight_map":{`+strings.Join(index, ",")+`}}`)
	_, err = Open(t.Context(), split.path, Options{})
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorAs(t, err, &first)
	require.ErrorContains(t, err, "\n  model-0.safetensors: layers.5.up_proj.scales: shape")
	require.ErrorContains(t, err, "\n  model-1.safetensors: layers.8.up_proj.scales: shape")
}

// TestLoadNamesTheFile of a tensor whose numbers are damaged.
func TestLoadNamesTheFile(t *testing.T) {
	d := newDir(t)
	d.raw("a.weight", "F32", make([]byte, 64), 4, 4)
	require.NoError(t, safetensors.WriteFile(filepath.Join(d.path, "one.safetensors"), nil, d.tensors...))
	d.tensors = nil
	d.raw("b.weight", "BF16", []byte{0, 0, 0xc0, 0x7f}, 2, 1)
	require.NoError(t, safetensors.WriteFile(filepath.Join(d.path, "two.safetensors"), nil, d.tensors...))
	d.file(safetensors.IndexName, `{"weight_map":{"a.weight":"one.safetensors","b.weight":"two.safetensors"}}`)
	m, err := Open(t.Context(), d.path, Options{})
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Load(t.Context(), new(quant.Linear), "b")
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "two.safetensors: b.weight: weight of output feature 1, input feature 0 is NaN")
}
