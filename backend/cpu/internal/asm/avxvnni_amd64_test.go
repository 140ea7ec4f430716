package asm

import "github.com/klauspost/cpuid/v2"

// The twins VNNI256 run where AVX-512 does, and stand for the kernels of
// AVX-VNNI: asmcheck compares them.
var (
	needsAVXVNNI = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVXVNNI}
	needsVNNI256 = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI}
)

func init() {
	integerKernels = append(integerKernels,
		kernel{name: "DotW4AVXVNNIx1", bits: 4, rows: 1, columns: 16, needs: needsAVXVNNI, run: DotW4AVXVNNIx1},
		kernel{name: "DotW4AVXVNNIx2", bits: 4, rows: 2, columns: 16, needs: needsAVXVNNI, run: DotW4AVXVNNIx2},
		kernel{name: "DotW4AVXVNNIx3", bits: 4, rows: 3, columns: 16, needs: needsAVXVNNI, run: DotW4AVXVNNIx3},
		kernel{name: "DotW4AVXVNNIx4", bits: 4, rows: 4, columns: 16, needs: needsAVXVNNI, run: DotW4AVXVNNIx4},
		kernel{name: "DotW4AVXVNNIx5", bits: 4, rows: 5, columns: 16, needs: needsAVXVNNI, run: DotW4AVXVNNIx5},
		kernel{name: "DotW4AVXVNNIx6", bits: 4, rows: 6, columns: 16, needs: needsAVXVNNI, run: DotW4AVXVNNIx6},
		kernel{name: "DotW8AVXVNNIx1", bits: 8, rows: 1, columns: 16, needs: needsAVXVNNI, run: DotW8AVXVNNIx1},
		kernel{name: "DotW8AVXVNNIx2", bits: 8, rows: 2, columns: 16, needs: needsAVXVNNI, run: DotW8AVXVNNIx2},
		kernel{name: "DotW8AVXVNNIx3", bits: 8, rows: 3, columns: 16, needs: needsAVXVNNI, run: DotW8AVXVNNIx3},
		kernel{name: "DotW8AVXVNNIx4", bits: 8, rows: 4, columns: 16, needs: needsAVXVNNI, run: DotW8AVXVNNIx4},
		kernel{name: "DotW8AVXVNNIx5", bits: 8, rows: 5, columns: 16, needs: needsAVXVNNI, run: DotW8AVXVNNIx5},
		kernel{name: "DotW8AVXVNNIx6", bits: 8, rows: 6, columns: 16, needs: needsAVXVNNI, run: DotW8AVXVNNIx6},
		kernel{name: "DotP4AVXVNNIx1", bits: 4, apart: true, rows: 1, columns: 16, needs: needsAVXVNNI, run: DotP4AVXVNNIx1},
		kernel{name: "DotP4AVXVNNIx2", bits: 4, apart: true, rows: 2, columns: 16, needs: needsAVXVNNI, run: DotP4AVXVNNIx2},
		kernel{name: "DotP4AVXVNNIx3", bits: 4, apart: true, rows: 3, columns: 16, needs: needsAVXVNNI, run: DotP4AVXVNNIx3},
		kernel{name: "DotP4AVXVNNIx4", bits: 4, apart: true, rows: 4, columns: 16, needs: needsAVXVNNI, run: DotP4AVXVNNIx4},
		kernel{name: "DotP4AVXVNNIx5", bits: 4, apart: true, rows: 5, columns: 16, needs: needsAVXVNNI, run: DotP4AVXVNNIx5},
		kernel{name: "DotP4AVXVNNIx6", bits: 4, apart: true, rows: 6, columns: 16, needs: needsAVXVNNI, run: DotP4AVXVNNIx6},
		kernel{name: "DotW4VNNI256x1", bits: 4, rows: 1, columns: 16, needs: needsVNNI256, run: DotW4VNNI256x1},
		kernel{name: "DotW4VNNI256x2", bits: 4, rows: 2, columns: 16, needs: needsVNNI256, run: DotW4VNNI256x2},
		kernel{name: "DotW4VNNI256x3", bits: 4, rows: 3, columns: 16, needs: needsVNNI256, run: DotW4VNNI256x3},
		kernel{name: "DotW4VNNI256x4", bits: 4, rows: 4, columns: 16, needs: needsVNNI256, run: DotW4VNNI256x4},
		kernel{name: "DotW4VNNI256x5", bits: 4, rows: 5, columns: 16, needs: needsVNNI256, run: DotW4VNNI256x5},
		kernel{name: "DotW4VNNI256x6", bits: 4, rows: 6, columns: 16, needs: needsVNNI256, run: DotW4VNNI256x6},
		kernel{name: "DotW8VNNI256x1", bits: 8, rows: 1, columns: 16, needs: needsVNNI256, run: DotW8VNNI256x1},
		kernel{name: "DotW8VNNI256x2", bits: 8, rows: 2, columns: 16, needs: needsVNNI256, run: DotW8VNNI256x2},
		kernel{name: "DotW8VNNI256x3", bits: 8, rows: 3, columns: 16, needs: needsVNNI256, run: DotW8VNNI256x3},
		kernel{name: "DotW8VNNI256x4", bits: 8, rows: 4, columns: 16, needs: needsVNNI256, run: DotW8VNNI256x4},
		kernel{name: "DotW8VNNI256x5", bits: 8, rows: 5, columns: 16, needs: needsVNNI256, run: DotW8VNNI256x5},
		kernel{name: "DotW8VNNI256x6", bits: 8, rows: 6, columns: 16, needs: needsVNNI256, run: DotW8VNNI256x6},
		kernel{name: "DotP4VNNI256x1", bits: 4, apart: true, rows: 1, columns: 16, needs: needsVNNI256, run: DotP4VNNI256x1},
		kernel{name: "DotP4VNNI256x2", bits: 4, apart: true, rows: 2, columns: 16, needs: needsVNNI256, run: DotP4VNNI256x2},
		kernel{name: "DotP4VNNI256x3", bits: 4, apart: true, rows: 3, columns: 16, needs: needsVNNI256, run: DotP4VNNI256x3},
		kernel{name: "DotP4VNNI256x4", bits: 4, apart: true, rows: 4, columns: 16, needs: needsVNNI256, run: DotP4VNNI256x4},
		kernel{name: "DotP4VNNI256x5", bits: 4, apart: true, rows: 5, columns: 16, needs: needsVNNI256, run: DotP4VNNI256x5},
		kernel{name: "DotP4VNNI256x6", bits: 4, apart: true, rows: 6, columns: 16, needs: needsVNNI256, run: DotP4VNNI256x6},
	)
}
