//go:build interop && gptqmodel

package interop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/quantize"
	"github.com/bitlane/bitlane/dtype"
)

// GPTQ models that we write are dequantized by GPTQModel, on a CPU, to our weights, bit
// for bit. BITLANE_PYTHON names a Python that has gptqmodel; see make interop-gptqmodel.
func TestGPTQModelReadsOurModels(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	var models []string
	write := func(o quantize.Options) {
		path := filepath.Join(dir, fmt.Sprint("m", len(models)))
		_, err := quantize.Model(t.Context(), "../testdata/dense-bf16", path, o)
		require.NoError(t, err)
		models = append(models, path)
	}
	for i, bits := range []int{2, 3, 4, 8} {
		var keep []string
		if bits == 3 {
			keep = []string{"*up_proj"} // N=48 fills no whole words
		}
		for j, format := range []string{quantize.GPTQ, quantize.GPTQv2} {
			for k, asymmetric := range []bool{false, true} {
				write(quantize.Options{Format: format, Settings: quantize.Settings{Bits: bits, Group: []int{-1, 32, 64, 128}[(i+j+k)%4], Asymmetric: asymmetric},
					Keep: keep, Scales: []dtype.DType{dtype.F16, dtype.BF16}[(i+j)%2]})
			}
		}
	}
	write(quantize.Options{Format: quantize.GPTQv2, ShardSize: 30000, Keep: []string{"*.q_proj"}, Overrides: []quantize.Override{
		{Glob: "*.0.mlp.down_*", Settings: quantize.Settings{Bits: 2, Group: 64, Asymmetric: true}}, {Glob: "*.mlp.*", Settings: quantize.Settings{Bits: 8, Group: -1}},
	}, Quantize: []string{"model.layers.0.mlp.up_proj"}})
	cmd := python(t.Context(), "read_gptq.py", append([]string{out}, models...)...)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, string(text))
	for _, path := range models {
		sameWeights(t, path, open(t, filepath.Join(out, filepath.Base(path)+".safetensors")))
	}
	_, err = os.Stat(filepath.Join(models[0], "quantize_config.json"))
	require.NoError(t, err)
}
