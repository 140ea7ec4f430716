package prepacked_test

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/prepacked"
	"github.com/bitlane/bitlane/quant"
)

var startLayers = flag.Int("prepacked.layers", 2, "layers of 30 MB that BenchmarkStart starts with: 34 are 1 GB")

// startModel writes a GPTQ checkpoint of layers of 4096 by 14336, 4 bits in groups of 128.
func startModel(b *testing.B, dir string) (bytes int64) {
	const n, k, group = 4096, 14336, 128
	rng := rand.New(rand.NewPCG(1, 2))
	words := func(count int) []byte {
		out := make([]byte, 4*count)
		for i := range count {
			binary.LittleEndian.PutUint32(out[4*i:], rng.Uint32()&0x77777777) // stored zero points stay below 15
		}
		return out
	}
	scales := make([]byte, 2*n*k/group)
	for i := range n * k / group {
		dtype.F16.Put(scales, i, 0.01+0.01*float32(i%17))
	}
	index := map[string]string{}
	for i := range *startLayers {
		file, name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, *startLayers), fmt.Sprintf("model.layers.%d.mlp.down_proj.", i)
		tensors := []safetensors.Data{
			{Name: name + "qweight", Type: safetensors.I32, Shape: []int64{k / 8, n}, Bytes: words(k / 8 * n)},
			{Name: name + "qzeros", Type: safetensors.I32, Shape: []int64{k / group, n / 8}, Bytes: words(k / group * n / 8)},
			{Name: name + "scales", Type: safetensors.F16, Shape: []int64{k / group, n}, Bytes: scales},
		}
		require.NoError(b, safetensors.WriteFile(filepath.Join(dir, file), nil, tensors...))
		for _, t := range tensors {
			index[t.Name] = file
			bytes += int64(len(t.Bytes))
		}
	}
	text, err := json.Marshal(map[string]any{"weight_map": index})
	require.NoError(b, err)
	require.NoError(b, os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), text, 0o600))
	config := `{"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": false, "desc_act": false}}`
	require.NoError(b, os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600))
	return bytes
}

// BenchmarkStart is the time from opening a model to the last of its layers on the device:
// without a cache, with an empty one, and with one that has them all.
func BenchmarkStart(b *testing.B) {
	model := b.TempDir()
	bytes := startModel(b, model)
	start := func(b *testing.B, each func(dev backend.Device, m *checkpoint.Model, name string) (backend.Layer, error)) {
		m, err := checkpoint.Open(b.Context(), model, checkpoint.Options{})
		require.NoError(b, err)
		dev, err := bitlane.Open(b.Context(), "cpu:0", backend.OpenOptions{})
		require.NoError(b, err)
		var layers []backend.Layer
		for _, mod := range m.Modules() {
			l, err := each(dev, m, mod.Name)
			require.NoError(b, err)
			layers = append(layers, l)
		}
		b.StopTimer()
		for _, l := range layers {
			require.NoError(b, l.Close())
		}
		require.NoError(b, dev.Close())
		require.NoError(b, m.Close())
		b.StartTimer()
	}
	request := backend.Request{X: dtype.BF16, MaxRows: 16}
	cached := func(b *testing.B, dir string, restored bool) {
		c, err := prepacked.Open(dir)
		require.NoError(b, err)
		start(b, func(dev backend.Device, m *checkpoint.Model, name string) (backend.Layer, error) {
			l, report, err := c.NewLinear(b.Context(), dev, m, prepacked.Part{Name: name}, request, bitlane.ChooseOptions{})
			if err == nil {
				require.Equal(b, restored, report.Restored)
				require.Empty(b, report.Note)
			}
			return l, err
		})
	}
	b.Run("without", func(b *testing.B) {
		b.SetBytes(bytes)
		for b.Loop() {
			var l quant.Linear
			start(b, func(dev backend.Device, m *checkpoint.Model, name string) (backend.Layer, error) {
				if _, err := m.Load(b.Context(), &l, name); err != nil {
					return nil, err
				}
				layer, _, err := bitlane.NewLinear(b.Context(), dev, &l, request, bitlane.ChooseOptions{})
				return layer, err
			})
		}
	})
	b.Run("first", func(b *testing.B) {
		b.SetBytes(bytes)
		for b.Loop() {
			b.StopTimer()
			dir := b.TempDir()
			b.StartTimer()
			cached(b, dir, false)
			b.StopTimer()
			require.NoError(b, os.RemoveAll(dir))
			b.StartTimer()
		}
	})
	b.Run("second", func(b *testing.B) {
		dir := b.TempDir()
		cached(b, dir, false)
		b.SetBytes(bytes)
		for b.Loop() {
			cached(b, dir, true)
		}
	})
}
