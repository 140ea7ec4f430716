package asm

import "github.com/klauspost/cpuid/v2"

var needsAVX2 = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C}

func init() {
	integerKernels = append(integerKernels,
		kernel{name: "DotW4AVX2x1", bits: 4, rows: 1, columns: 16, needs: needsAVX2, run: DotW4AVX2x1},
		kernel{name: "DotW4AVX2x2", bits: 4, rows: 2, columns: 16, needs: needsAVX2, run: DotW4AVX2x2},
		kernel{name: "DotW4AVX2x3", bits: 4, rows: 3, columns: 16, needs: needsAVX2, run: DotW4AVX2x3},
		kernel{name: "DotW4AVX2x4", bits: 4, rows: 4, columns: 16, needs: needsAVX2, run: DotW4AVX2x4},
		kernel{name: "DotW4AVX2x5", bits: 4, rows: 5, columns: 16, needs: needsAVX2, run: DotW4AVX2x5},
		kernel{name: "DotW4AVX2x6", bits: 4, rows: 6, columns: 16, needs: needsAVX2, run: DotW4AVX2x6},
	)
}
