package awq

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// BenchmarkLoad loads a 4096×14336 layer from a file in the page cache; the
// bytes are those of its tensors, packed.
func BenchmarkLoad(b *testing.B) {
	for _, version := range []Version{GEMM, GEMV, GEMVFast} {
		for _, sym := range []bool{true, false} {
			b.Run(fmt.Sprintf("%v/sym=%t", version, sym), func(b *testing.B) {
				const n, k, size = 14336, 4096, 128
				r := rand.New(rand.NewPCG(1, 2))
				codes := make([]byte, n*k/2)
				for i := range codes {
					codes[i] = byte(r.Uint32())
				}
				// 64 outputs, repeated: the rest need not be drawn one by one.
				few := tensors{}
				random(1, 64, k, size, sym).write(few, "m", version, 0)
				var data []safetensors.Data
				for _, name := range []string{"m.qzeros", "m.scales"} {
					d := few[name]
					d.Bytes, d.Shape[0], d.Shape[1] = widen(d, version, n/64)
					data = append(data, d)
				}
				w := safetensors.Data{Name: "m.qweight", Type: few["m.qweight"].Type, Bytes: codes}
				switch version {
				case GEMM:
					w.Shape = []int64{k, n / 8}
				case GEMV:
					w.Shape = []int64{n, k / 8}
				case GEMVFast:
					w.Shape = []int64{n / 4, k}
				}
				path := filepath.Join(b.TempDir(), "model.safetensors")
				require.NoError(b, safetensors.WriteFile(path, nil, append(data, w)...))
				file, err := safetensors.Open(path)
				require.NoError(b, err)
				defer file.Close()
				f, err := Open(settingsJSON(size, version.String(), ""), file)
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
}

// widen repeats a tensor along N.
func widen(d safetensors.Data, v Version, times int) (b []byte, rows, cols int64) {
	rows, cols = d.Shape[0], d.Shape[1]*int64(times)
	if v == GEMV {
		rows, cols = rows*int64(times), d.Shape[1]
		for range times {
			b = append(b, d.Bytes...)
		}
		return b, rows, cols
	}
	pitch := len(d.Bytes) / int(rows)
	for r := range int(rows) {
		for range times {
			b = append(b, d.Bytes[r*pitch:][:pitch]...)
		}
	}
	return b, rows, cols
}
