//go:build interop

package interop_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/quantize"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Models that we write are decompressed by compressed-tensors to our weights, bit for
// bit: a product of a scale and an integer, rounded once to the type of the scales.
func TestTheyReadOurModels(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	var models []string
	write := func(o quantize.Options) {
		o.Format = quantize.CompressedTensors
		path := filepath.Join(dir, fmt.Sprint("m", len(models)))
		_, err := quantize.Model(t.Context(), "../testdata/dense-bf16", path, o)
		require.NoError(t, err)
		models = append(models, path)
	}
	types := []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}
	for bits := 2; bits <= 8; bits++ {
		for i := range 4 {
			write(quantize.Options{Settings: quantize.Settings{Bits: bits, Group: []int{-1, 32}[i/2], Asymmetric: i%2 == 1}, Scales: types[(bits+i)%3]})
		}
		write(quantize.Options{Settings: quantize.Settings{Bits: bits, Group: 64, Parity: true, Asymmetric: true}})
	}
	write(quantize.Options{ShardSize: 30000, Keep: []string{"*.q_proj"}, Overrides: []quantize.Override{
		{Glob: "*.0.mlp.down_*", Settings: quantize.Settings{Bits: 3, Asymmetric: true}}, {Glob: "*.mlp.*", Settings: quantize.Settings{Bits: 8, Group: -1}},
	}})
	// Overrides that match the same layer, in another order than that of their text.
	write(quantize.Options{Overrides: []quantize.Override{
		{Glob: "*.mlp.down_proj", Settings: quantize.Settings{Bits: 8}}, {Glob: "*.layers.0.*", Settings: quantize.Settings{Bits: 3}},
	}})
	cmd := python(t.Context(), "read_models.py", append([]string{out}, models...)...)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Run())
	var files []string
	for _, path := range models {
		files = append(files, sameWeights(t, path, open(t, filepath.Join(out, filepath.Base(path)+".safetensors")))...)
	}
	for path, r := range readByReference(t, files...) {
		require.Empty(t, r.Error, path)
		require.Equal(t, "pt", r.Metadata["format"])
	}
}

// sameWeights compares every quantized layer of the model in dir with what others
// make of it, and returns the files of the model.
func sameWeights(t *testing.T, dir string, theirs file) []string {
	m, err := checkpoint.Open(t.Context(), dir, checkpoint.Options{})
	require.NoError(t, err)
	defer m.Close()
	layers := 0
	for _, mod := range m.Modules() {
		if !mod.Quantized {
			continue
		}
		layers++
		var l quant.Linear
		_, err := m.Load(t.Context(), &l, mod.Name)
		require.NoError(t, err)
		want, _ := theirs.floats(mod.Name)
		require.Len(t, want, mod.N*mod.K)
		for i, v := range want {
			got := l.Weight.ScaleType().Round(l.Weight.Value(i/mod.K, i%mod.K))
			require.True(t, math.Float32bits(v) == math.Float32bits(got), "%s: %s [%d, %d] is %v, want %v", dir, mod.Name, i/mod.K, i%mod.K, got, v)
		}
	}
	require.Len(t, theirs.Tensors(), layers)
	return m.Files().Files()
}

// Asymmetric round to nearest, in three types and all widths.
func TestAsymmetricRTN(t *testing.T) {
	for _, path := range glob(t, "rtnasym-*.safetensors") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := open(t, path)
			n, k := f.shape("w")
			_, xt := f.floats("w")
			_, groups := f.shape("scales")
			var bits int
			_, err := fmt.Sscanf(filepath.Base(path)[len("rtnasym-"):], "w%d", &bits)
			require.NoError(t, err)
			var w quant.Weight
			require.NoError(t, quant.RTN{Bits: bits, Group: k / groups, Asymmetric: true}.Quantize(&w, "w", xt, n, k, f.bytes("w")))
			sameCodes(t, f, &w)
			zeros := f.bytes("zeros")
			for i := range n * groups {
				require.Equal(t, int(zeros[4*i]), w.Zero(i/groups, i%groups), "zero [%d, %d]", i/groups, i%groups)
			}
		})
	}
}
