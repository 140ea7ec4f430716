package checkpoint_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// labelled is a bundled checkpoint whose configuration says compressed-tensors.
func labelled(t *testing.T, from string) (dir string) {
	dir = filepath.Join(t.TempDir(), from)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(bundled, from))))
	for _, other := range []string{"quantize_config.json", "quant_config.json"} {
		_ = os.Remove(filepath.Join(dir, other))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized",
		"config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "group_size": 128, "strategy": "group"}}}}}`), 0o600))
	return dir
}

// TestLabelOfAnotherFormat: layers whose tensors are of another format than the configuration
// says are never left out in silence.
func TestLabelOfAnotherFormat(t *testing.T) {
	for _, from := range []string{"gptq-w4-g128", "awq-gemm-g128", "auto-round-gptq"} {
		_, err := checkpoint.Open(t.Context(), labelled(t, from), checkpoint.Options{})
		require.ErrorIs(t, err, quant.ErrFormat, from)
		require.ErrorContains(t, err, "compressed-tensors, which has no module here (")
		require.ErrorContains(t, err, ".qweight, gptq, awq or auto-round (bad file format)")
	}
}

// TestOneLayerOfAnotherFormat is refused by name, and the others are read.
func TestOneLayerOfAnotherFormat(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(bundled, "ctensors-w3a16"))))
	f, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	require.NoError(t, err)
	all := []safetensors.Data{{Name: "model.layers.9.mlp.up_proj.qweight", Type: safetensors.I32, Shape: []int64{1, 1}, Bytes: make([]byte, 4)}}
	for _, tensor := range f.Tensors() {
		b, err := f.Read(nil, tensor.Name)
		require.NoError(t, err)
		all = append(all, safetensors.Data{Name: tensor.Name, Type: tensor.Type, Shape: tensor.Shape, Bytes: b})
	}
	require.NoError(t, f.Close())
	require.NoError(t, safetensors.WriteFile(filepath.Join(dir, "model.safetensors"), nil, all...))
	m, err := checkpoint.Open(t.Context(), dir, checkpoint.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	require.NotEmpty(t, m.Modules())
	require.Len(t, m.Refused(), 1)
	require.Equal(t, "model.layers.9.mlp.up_proj", m.Refused()[0].Name)
	require.Contains(t, m.Refused()[0].Why, "up_proj.qweight is of another format (gptq, awq or auto-round) than compressed-tensors")
}
