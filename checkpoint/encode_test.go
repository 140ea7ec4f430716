package checkpoint

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/ctensors"
	"github.com/bitlane/bitlane/checkpoint/gptq"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// The bundled checkpoints, which the independent generator packed: every layer is
// loaded and encoded again, to the bytes of the file.
func TestEncodersGiveTheBundledBytes(t *testing.T) {
	layers := 0
	for _, dir := range []string{"gptq-w4-g128", "gptq-w2-v1-asym", "gptq-w3-v2-asym", "gptq-w8-actorder", "ctensors-w4a16-asym", "ctensors-w3a16"} {
		m, err := Open(t.Context(), filepath.Join("../testdata", dir), Options{})
		require.NoError(t, err)
		defer m.Close()
		for _, mod := range m.Modules() {
			if !mod.Quantized {
				continue
			}
			var l quant.Linear
			_, err := m.Load(t.Context(), &l, mod.Name)
			require.NoError(t, err)
			var tensors []safetensors.Data
			if m.Format() == "gptq" {
				e := gptq.Encoder{Version: 1}
				if mod.Detail == "v2" {
					e.Version = 2
				}
				tensors, err = e.Encode(mod.Name, &l.Weight)
				if lo, _ := l.Weight.ZeroRange(); e.Version == 1 && lo == 0 {
					require.ErrorContains(t, err, "readers of version 1 disagree about 0")
					continue
				}
			} else {
				tensors, err = new(ctensors.Encoder).Encode(mod.Name, &l.Weight)
			}
			require.NoError(t, err)
			layers++
			for _, d := range tensors {
				info, ok := m.Files().Lookup(d.Name)
				if !ok && strings.HasSuffix(d.Name, ".g_idx") {
					continue // ours is stored always
				}
				require.True(t, ok, d.Name)
				require.Equal(t, info.Shape, d.Shape)
				require.Equal(t, info.Type, d.Type)
				b, err := m.ReadTensor(nil, d.Name)
				require.NoError(t, err)
				require.Equal(t, b, d.Bytes, "%s: %s", dir, d.Name)
			}
		}
	}
	require.GreaterOrEqual(t, layers, 14)
}
