package asm

import (
	"math/rand/v2"
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

var needsAVX2 = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C}

func init() {
	integerKernels = append(integerKernels,
		kernel{name: "DotW4AVX2x1", bits: 4, rows: 1, columns: 16, needs: needsAVX2, run: DotW4AVX2x1},
		kernel{name: "DotW4AVX2x2", bits: 4, rows: 2, columns: 16, needs: needsAVX2, run: DotW4AVX2x2},
		kernel{name: "DotW4AVX2x3", bits: 4, rows: 3, columns: 16, needs: needsAVX2, run: DotW4AVX2x3},
		kernel{name: "DotW4AVX2x4", bits: 4, rows: 4, columns: 16, needs: needsAVX2, run: DotW4AVX2x4},
		kernel{name: "DotW4AVX2x5", bits: 4, rows: 5, columns: 16, needs: needsAVX2, run: DotW4AVX2x5},
		kernel{name: "DotW4AVX2x6", bits: 4, rows: 6, columns: 16, needs: needsAVX2, run: DotW4AVX2x6},
		kernel{name: "DotP4AVX2x1", bits: 4, apart: true, rows: 1, columns: 16, needs: needsAVX2, run: DotP4AVX2x1},
		kernel{name: "DotP4AVX2x2", bits: 4, apart: true, rows: 2, columns: 16, needs: needsAVX2, run: DotP4AVX2x2},
		kernel{name: "DotP4AVX2x3", bits: 4, apart: true, rows: 3, columns: 16, needs: needsAVX2, run: DotP4AVX2x3},
		kernel{name: "DotP4AVX2x4", bits: 4, apart: true, rows: 4, columns: 16, needs: needsAVX2, run: DotP4AVX2x4},
		kernel{name: "DotP4AVX2x5", bits: 4, apart: true, rows: 5, columns: 16, needs: needsAVX2, run: DotP4AVX2x5},
		kernel{name: "DotP4AVX2x6", bits: 4, apart: true, rows: 6, columns: 16, needs: needsAVX2, run: DotP4AVX2x6},
		kernel{name: "DotW8AVX2x1", bits: 8, wide: true, rows: 1, columns: 16, needs: needsAVX2, run: DotW8AVX2x1},
		kernel{name: "DotW8AVX2x2", bits: 8, wide: true, rows: 2, columns: 16, needs: needsAVX2, run: DotW8AVX2x2},
		kernel{name: "DotW8AVX2x3", bits: 8, wide: true, rows: 3, columns: 16, needs: needsAVX2, run: DotW8AVX2x3},
		kernel{name: "DotW8AVX2x4", bits: 8, wide: true, rows: 4, columns: 16, needs: needsAVX2, run: DotW8AVX2x4},
		kernel{name: "DotW8AVX2x5", bits: 8, wide: true, rows: 5, columns: 16, needs: needsAVX2, run: DotW8AVX2x5},
		kernel{name: "DotW8AVX2x6", bits: 8, wide: true, rows: 6, columns: 16, needs: needsAVX2, run: DotW8AVX2x6},
		kernel{name: "DotP8AVX2x1", bits: 8, apart: true, wide: true, rows: 1, columns: 16, needs: needsAVX2, run: DotP8AVX2x1},
		kernel{name: "DotP8AVX2x2", bits: 8, apart: true, wide: true, rows: 2, columns: 16, needs: needsAVX2, run: DotP8AVX2x2},
		kernel{name: "DotP8AVX2x3", bits: 8, apart: true, wide: true, rows: 3, columns: 16, needs: needsAVX2, run: DotP8AVX2x3},
		kernel{name: "DotP8AVX2x4", bits: 8, apart: true, wide: true, rows: 4, columns: 16, needs: needsAVX2, run: DotP8AVX2x4},
		kernel{name: "DotP8AVX2x5", bits: 8, apart: true, wide: true, rows: 5, columns: 16, needs: needsAVX2, run: DotP8AVX2x5},
		kernel{name: "DotP8AVX2x6", bits: 8, apart: true, wide: true, rows: 6, columns: 16, needs: needsAVX2, run: DotP8AVX2x6},
	)
}

// An unpacked tile is the tile that packing codes apart makes.
func TestUnpackAVX2(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2) {
		t.Skip("the processor lacks AVX2")
	}
	rng, m := rand.New(rand.NewPCG(10, 11)), newMemory(t)
	for i := range 600 {
		k := kernel{bits: 4 << (i % 2), wide: i%2 == 1, rows: 1, columns: 16}
		p := randomProblem(rng, k)
		c := m.lay(rng, p, p.whole())
		p.kernel.apart = true
		want := make([]byte, p.tileBytes())
		p.pack(want, 0)
		got := m.take("unpacked", len(want), rng.Uint32N(2) == 0)
		if k.wide {
			UnpackW8AVX2(pointer(got), c)
		} else {
			UnpackW4AVX2(pointer(got), c)
		}
		require.Equal(t, want, got, p)
	}
}
