package asm

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

var needsVNNI = []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI}

func init() {
	integerKernels = append(integerKernels,
		kernel{name: "DotW4VNNIx1", bits: 4, rows: 1, columns: 16, needs: needsVNNI, run: DotW4VNNIx1},
		kernel{name: "DotW4VNNIx2", bits: 4, rows: 2, columns: 16, needs: needsVNNI, run: DotW4VNNIx2},
		kernel{name: "DotW4VNNIx3", bits: 4, rows: 3, columns: 16, needs: needsVNNI, run: DotW4VNNIx3},
		kernel{name: "DotW4VNNIx4", bits: 4, rows: 4, columns: 16, needs: needsVNNI, run: DotW4VNNIx4},
		kernel{name: "DotW4VNNIx5", bits: 4, rows: 5, columns: 16, needs: needsVNNI, run: DotW4VNNIx5},
		kernel{name: "DotW4VNNIx6", bits: 4, rows: 6, columns: 16, needs: needsVNNI, run: DotW4VNNIx6},
		kernel{name: "DotW4VNNIx7", bits: 4, rows: 7, columns: 16, needs: needsVNNI, run: DotW4VNNIx7},
		kernel{name: "DotW4VNNIx8", bits: 4, rows: 8, columns: 16, needs: needsVNNI, run: DotW4VNNIx8},
		kernel{name: "DotW4VNNIx9", bits: 4, rows: 9, columns: 16, needs: needsVNNI, run: DotW4VNNIx9},
		kernel{name: "DotW4VNNIx10", bits: 4, rows: 10, columns: 16, needs: needsVNNI, run: DotW4VNNIx10},
		kernel{name: "DotW4VNNIx11", bits: 4, rows: 11, columns: 16, needs: needsVNNI, run: DotW4VNNIx11},
		kernel{name: "DotW4VNNIx12", bits: 4, rows: 12, columns: 16, needs: needsVNNI, run: DotW4VNNIx12},
		kernel{name: "DotW8VNNIx1", bits: 8, rows: 1, columns: 16, needs: needsVNNI, run: DotW8VNNIx1},
		kernel{name: "DotW8VNNIx2", bits: 8, rows: 2, columns: 16, needs: needsVNNI, run: DotW8VNNIx2},
		kernel{name: "DotW8VNNIx3", bits: 8, rows: 3, columns: 16, needs: needsVNNI, run: DotW8VNNIx3},
		kernel{name: "DotW8VNNIx4", bits: 8, rows: 4, columns: 16, needs: needsVNNI, run: DotW8VNNIx4},
		kernel{name: "DotW8VNNIx5", bits: 8, rows: 5, columns: 16, needs: needsVNNI, run: DotW8VNNIx5},
		kernel{name: "DotW8VNNIx6", bits: 8, rows: 6, columns: 16, needs: needsVNNI, run: DotW8VNNIx6},
		kernel{name: "DotW8VNNIx7", bits: 8, rows: 7, columns: 16, needs: needsVNNI, run: DotW8VNNIx7},
		kernel{name: "DotW8VNNIx8", bits: 8, rows: 8, columns: 16, needs: needsVNNI, run: DotW8VNNIx8},
		kernel{name: "DotW8VNNIx9", bits: 8, rows: 9, columns: 16, needs: needsVNNI, run: DotW8VNNIx9},
		kernel{name: "DotW8VNNIx10", bits: 8, rows: 10, columns: 16, needs: needsVNNI, run: DotW8VNNIx10},
		kernel{name: "DotW8VNNIx11", bits: 8, rows: 11, columns: 16, needs: needsVNNI, run: DotW8VNNIx11},
		kernel{name: "DotW8VNNIx12", bits: 8, rows: 12, columns: 16, needs: needsVNNI, run: DotW8VNNIx12},
		kernel{name: "DotW8VNNIx1x2", bits: 8, rows: 1, columns: 32, needs: needsVNNI, run: DotW8VNNIx1x2},
		kernel{name: "DotW8VNNIx2x2", bits: 8, rows: 2, columns: 32, needs: needsVNNI, run: DotW8VNNIx2x2},
		kernel{name: "DotW8VNNIx3x2", bits: 8, rows: 3, columns: 32, needs: needsVNNI, run: DotW8VNNIx3x2},
		kernel{name: "DotW8VNNIx4x2", bits: 8, rows: 4, columns: 32, needs: needsVNNI, run: DotW8VNNIx4x2},
		kernel{name: "DotW8VNNIx5x2", bits: 8, rows: 5, columns: 32, needs: needsVNNI, run: DotW8VNNIx5x2},
		kernel{name: "DotW8VNNIx6x2", bits: 8, rows: 6, columns: 32, needs: needsVNNI, run: DotW8VNNIx6x2},
		kernel{name: "DotW8VNNIx7x2", bits: 8, rows: 7, columns: 32, needs: needsVNNI, run: DotW8VNNIx7x2},
		kernel{name: "DotW8VNNIx8x2", bits: 8, rows: 8, columns: 32, needs: needsVNNI, run: DotW8VNNIx8x2},
		kernel{name: "DotW8VNNIx9x2", bits: 8, rows: 9, columns: 32, needs: needsVNNI, run: DotW8VNNIx9x2},
		kernel{name: "DotW8VNNIx10x2", bits: 8, rows: 10, columns: 32, needs: needsVNNI, run: DotW8VNNIx10x2},
		kernel{name: "DotW8VNNIx11x2", bits: 8, rows: 11, columns: 32, needs: needsVNNI, run: DotW8VNNIx11x2},
		kernel{name: "DotW8VNNIx12x2", bits: 8, rows: 12, columns: 32, needs: needsVNNI, run: DotW8VNNIx12x2},
		kernel{name: "DotS4VNNIx7", bits: 4, rows: 7, columns: 16, needs: needsVNNI, run: DotS4VNNIx7},
		kernel{name: "DotS4VNNIx8", bits: 4, rows: 8, columns: 16, needs: needsVNNI, run: DotS4VNNIx8},
		kernel{name: "DotS4VNNIx9", bits: 4, rows: 9, columns: 16, needs: needsVNNI, run: DotS4VNNIx9},
		kernel{name: "DotS4VNNIx10", bits: 4, rows: 10, columns: 16, needs: needsVNNI, run: DotS4VNNIx10},
		kernel{name: "DotS4VNNIx11", bits: 4, rows: 11, columns: 16, needs: needsVNNI, run: DotS4VNNIx11},
		kernel{name: "DotS4VNNIx12", bits: 4, rows: 12, columns: 16, needs: needsVNNI, run: DotS4VNNIx12},
		kernel{name: "DotS8VNNIx7", bits: 8, rows: 7, columns: 16, needs: needsVNNI, run: DotS8VNNIx7},
		kernel{name: "DotS8VNNIx8", bits: 8, rows: 8, columns: 16, needs: needsVNNI, run: DotS8VNNIx8},
		kernel{name: "DotS8VNNIx9", bits: 8, rows: 9, columns: 16, needs: needsVNNI, run: DotS8VNNIx9},
		kernel{name: "DotS8VNNIx10", bits: 8, rows: 10, columns: 16, needs: needsVNNI, run: DotS8VNNIx10},
		kernel{name: "DotS8VNNIx11", bits: 8, rows: 11, columns: 16, needs: needsVNNI, run: DotS8VNNIx11},
		kernel{name: "DotS8VNNIx12", bits: 8, rows: 12, columns: 16, needs: needsVNNI, run: DotS8VNNIx12},
		kernel{name: "DotP4VNNIx1", bits: 4, apart: true, rows: 1, columns: 16, needs: needsVNNI, run: DotP4VNNIx1},
		kernel{name: "DotP4VNNIx2", bits: 4, apart: true, rows: 2, columns: 16, needs: needsVNNI, run: DotP4VNNIx2},
		kernel{name: "DotP4VNNIx3", bits: 4, apart: true, rows: 3, columns: 16, needs: needsVNNI, run: DotP4VNNIx3},
		kernel{name: "DotP4VNNIx4", bits: 4, apart: true, rows: 4, columns: 16, needs: needsVNNI, run: DotP4VNNIx4},
		kernel{name: "DotP4VNNIx5", bits: 4, apart: true, rows: 5, columns: 16, needs: needsVNNI, run: DotP4VNNIx5},
		kernel{name: "DotP4VNNIx6", bits: 4, apart: true, rows: 6, columns: 16, needs: needsVNNI, run: DotP4VNNIx6},
		kernel{name: "DotP4VNNIx1x2", bits: 4, apart: true, rows: 1, columns: 32, needs: needsVNNI, run: DotP4VNNIx1x2},
		kernel{name: "DotP4VNNIx2x2", bits: 4, apart: true, rows: 2, columns: 32, needs: needsVNNI, run: DotP4VNNIx2x2},
		kernel{name: "DotP4VNNIx3x2", bits: 4, apart: true, rows: 3, columns: 32, needs: needsVNNI, run: DotP4VNNIx3x2},
		kernel{name: "DotP4VNNIx4x2", bits: 4, apart: true, rows: 4, columns: 32, needs: needsVNNI, run: DotP4VNNIx4x2},
		kernel{name: "DotP4VNNIx5x2", bits: 4, apart: true, rows: 5, columns: 32, needs: needsVNNI, run: DotP4VNNIx5x2},
		kernel{name: "DotP4VNNIx6x2", bits: 4, apart: true, rows: 6, columns: 32, needs: needsVNNI, run: DotP4VNNIx6x2},
		kernel{name: "DotP4VNNIx7x2", bits: 4, apart: true, rows: 7, columns: 32, needs: needsVNNI, run: DotP4VNNIx7x2},
		kernel{name: "DotP4VNNIx8x2", bits: 4, apart: true, rows: 8, columns: 32, needs: needsVNNI, run: DotP4VNNIx8x2},
		kernel{name: "DotP4VNNIx9x2", bits: 4, apart: true, rows: 9, columns: 32, needs: needsVNNI, run: DotP4VNNIx9x2},
		kernel{name: "DotP4VNNIx10x2", bits: 4, apart: true, rows: 10, columns: 32, needs: needsVNNI, run: DotP4VNNIx10x2},
		kernel{name: "DotP4VNNIx11x2", bits: 4, apart: true, rows: 11, columns: 32, needs: needsVNNI, run: DotP4VNNIx11x2},
		kernel{name: "DotP4VNNIx12x2", bits: 4, apart: true, rows: 12, columns: 32, needs: needsVNNI, run: DotP4VNNIx12x2},
	)
}

// An unpacked tile is the tile that packing codes apart makes.
func TestUnpackW4VNNI(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI) {
		t.Skip("the processor lacks AVX-512 VNNI")
	}
	rng, m, cases := rand.New(rand.NewPCG(10, 11)), newMemory(t), 300
	if *casesFlag > 0 {
		cases = *casesFlag
	}
	for range cases {
		p := randomProblem(rng, kernel{bits: 4, rows: 1, columns: 16})
		c := m.lay(rng, p, p.whole())
		p.kernel.apart = true
		want := make([]byte, p.tileBytes())
		p.pack(want, 0)
		got := m.take("unpacked", len(want), rng.Uint32N(2) == 0)
		UnpackW4VNNI(unsafe.Pointer(unsafe.SliceData(got)), c)
		require.Equal(t, want, got, p)
	}
}
