package asm

import (
	"math/rand/v2"
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

var needsAMX = []cpuid.FeatureID{
	cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI,
	cpuid.AMXTILE, cpuid.AMXINT8,
}

func init() {
	for _, rows := range []int{16, 32, MostTileRows} {
		integerKernels = append(integerKernels,
			kernel{name: "DotW8AMX", bits: 8, tiles: true, rows: rows, columns: 16, needs: needsAMX, run: DotW8AMX},
			kernel{name: "DotW8AMXx2", bits: 8, tiles: true, rows: rows, columns: 32, needs: needsAMX, run: DotW8AMXx2},
			kernel{name: "DotP4AMX", bits: 4, apart: true, less: true, tiles: true, rows: rows, columns: 16, needs: needsAMX, run: DotP4AMX},
			kernel{name: "DotP4AMXx2", bits: 4, apart: true, less: true, tiles: true, rows: rows, columns: 32, needs: needsAMX, run: DotP4AMXx2},
		)
	}
}

// An unpacked tile is the tile that packing codes apart, less their zero point,
// makes.
func TestUnpackW4AMX(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	rng, m := rand.New(rand.NewPCG(12, 13)), newMemory(t)
	for range 300 {
		p := randomProblem(rng, kernel{bits: 4, less: true, rows: 1, columns: 16})
		part := p.whole()
		part.less = false // codes as they are packed
		c := m.lay(rng, p, part)
		p.kernel.apart = true
		want := make([]byte, p.tileBytes())
		p.pack(want, 0)
		got := m.take("unpacked", len(want), rng.Uint32N(2) == 0)
		UnpackW4AMX(pointer(got), c)
		require.Equal(t, want, got, p)
	}
}
