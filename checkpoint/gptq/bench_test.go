package gptq

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
	for _, bits := range []int{3, 4} {
		for _, sym := range []bool{true, false} {
			b.Run(fmt.Sprintf("bits=%d/sym=%t", bits, sym), func(b *testing.B) {
				const n, k, size = 4096, 14336, 128
				r := rand.New(rand.NewPCG(1, 2))
				words := func(count int, fill uint32) []uint32 {
					w := make([]uint32, count)
					for i := range w {
						if w[i] = fill; fill == 0 {
							w[i] = r.Uint32()
						}
					}
					return w
				}
				t := tensors{}
				t.ints("m.qweight", words(k*bits/32*n, 0), int64(k*bits/32), n)
				l := random(1, 32, size, bits, size, true)
				l.write(t, "pattern", -1)
				z := t["pattern.qzeros"].Bytes
				zeros := make([]byte, 0, k/size*n*bits/8)
				for len(zeros) < cap(zeros) {
					zeros = append(zeros, z...)
				}
				if !sym {
					for i := range zeros {
						zeros[i] = byte(r.Uint32())
					}
				}
				t.put("m.qzeros", safetensors.I32, zeros, k/size, int64(n*bits/32))
				t.put("m.scales", safetensors.F16, make([]byte, 2*k/size*n), k/size, n)

				path := filepath.Join(b.TempDir(), "model.safetensors")
				require.NoError(b, safetensors.WriteFile(path, nil, t["m.qweight"], t["m.qzeros"], t["m.scales"]))
				file, err := safetensors.Open(path)
				require.NoError(b, err)
				defer file.Close()
				f, err := Open(settingsJSON(bits, size, fmt.Sprintf(`,"sym":%t`, sym)), file)
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
