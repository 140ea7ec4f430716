package modelslim

import (
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// BenchmarkLoad loads a 4096×14336 layer from a file in the page cache; the
// bytes are those of its tensors in the file, one for each code.
func BenchmarkLoad(b *testing.B) {
	for _, kind := range []string{"W4A4_FLATQUANT_DYNAMIC", "W8A8_DYNAMIC", "W8A16"} {
		b.Run(kind, func(b *testing.B) {
			const n, k, group = 14336, 4096, 128
			src := newTensors()
			codes := make([]byte, n*k)
			r := rand.New(rand.NewPCG(1, 2))
			for i := 0; i < len(codes); i += 8 {
				binary.LittleEndian.PutUint64(codes[i:], r.Uint64())
			}
			groups := 1
			switch kind {
			case "W4A4_FLATQUANT_DYNAMIC":
				for i, c := range codes {
					codes[i] = byte(int8(c<<4) >> 4)
				}
				src.transform("m", kind, dtype.BF16, 64, 64, 0.9)
			case "W8A16":
				groups = k / group
			}
			src.put("m.weight", kind, safetensors.I8, codes, n, k)
			src.floats("m.weight_scale", kind, dtype.F32, make([]float32, n*groups), n, int64(groups))
			src.floats("m.weight_offset", kind, dtype.F32, make([]float32, n*groups), n, int64(groups))
			path := filepath.Join(b.TempDir(), "model.safetensors")
			var data []safetensors.Data
			for _, name := range src.Names() {
				data = append(data, src.data[name])
			}
			require.NoError(b, safetensors.WriteFile(path, nil, data...))
			file, err := safetensors.Open(path)
			require.NoError(b, err)
			defer file.Close()
			f, err := Open(src.description(`"group_size":128`), file)
			require.NoError(b, err)

			var dst quant.Linear
			var s module.Scratch
			b.SetBytes(f.Modules()[0].Bytes)
			for b.Loop() {
				if _, err := f.Load(b.Context(), &dst, "m", &s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
