package asm

import "github.com/klauspost/cpuid/v2"

var needsAVX512 = []cpuid.FeatureID{
	cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL,
}

func init() {
	exactKernels = append(exactKernels,
		exactKernel{name: "GemvW4AVX512", lines: []lineKind{lines4}, rows: 1, tiles: 1, needs: needsAVX512, run: GemvW4AVX512},
		exactKernel{name: "GemvW8AVX512", lines: []lineKind{lines8}, rows: 1, tiles: 1, needs: needsAVX512, run: GemvW8AVX512},
		exactKernel{name: "GemvF32AVX512", lines: []lineKind{linesF32}, rows: 1, tiles: 1, needs: needsAVX512, run: GemvF32AVX512},
		exactKernel{name: "GemvF16AVX512", lines: []lineKind{linesF16}, rows: 1, tiles: 1, needs: needsAVX512, run: GemvF16AVX512},
		exactKernel{name: "GemvBF16AVX512", lines: []lineKind{linesBF16}, rows: 1, tiles: 1, needs: needsAVX512, run: GemvBF16AVX512},
		exactKernel{name: "GemmAVX512x1", lines: lineKinds, unpacked: true, rows: 1, tiles: 1, needs: needsAVX512, run: GemmAVX512x1},
		exactKernel{name: "GemmAVX512x2", lines: lineKinds, unpacked: true, rows: 2, tiles: 1, needs: needsAVX512, run: GemmAVX512x2},
		exactKernel{name: "GemmAVX512x3", lines: lineKinds, unpacked: true, rows: 3, tiles: 1, needs: needsAVX512, run: GemmAVX512x3},
		exactKernel{name: "GemmAVX512x4", lines: lineKinds, unpacked: true, rows: 4, tiles: 1, needs: needsAVX512, run: GemmAVX512x4},
		exactKernel{name: "GemmAVX512x5", lines: lineKinds, unpacked: true, rows: 5, tiles: 1, needs: needsAVX512, run: GemmAVX512x5},
		exactKernel{name: "GemmAVX512x6", lines: lineKinds, unpacked: true, rows: 6, tiles: 1, needs: needsAVX512, run: GemmAVX512x6},
		exactKernel{name: "GemmAVX512x7", lines: lineKinds, unpacked: true, rows: 7, tiles: 1, needs: needsAVX512, run: GemmAVX512x7},
		exactKernel{name: "GemmAVX512x8", lines: lineKinds, unpacked: true, rows: 8, tiles: 1, needs: needsAVX512, run: GemmAVX512x8},
		exactKernel{name: "GemmAVX512x9", lines: lineKinds, unpacked: true, rows: 9, tiles: 1, needs: needsAVX512, run: GemmAVX512x9},
		exactKernel{name: "GemmAVX512x10", lines: lineKinds, unpacked: true, rows: 10, tiles: 1, needs: needsAVX512, run: GemmAVX512x10},
		exactKernel{name: "GemmAVX512x11", lines: lineKinds, unpacked: true, rows: 11, tiles: 1, needs: needsAVX512, run: GemmAVX512x11},
		exactKernel{name: "GemmAVX512x12", lines: lineKinds, unpacked: true, rows: 12, tiles: 1, needs: needsAVX512, run: GemmAVX512x12},
		exactKernel{name: "GemmAVX512x1x2", lines: lineKinds, unpacked: true, rows: 1, tiles: 2, needs: needsAVX512, run: GemmAVX512x1x2},
		exactKernel{name: "GemmAVX512x2x2", lines: lineKinds, unpacked: true, rows: 2, tiles: 2, needs: needsAVX512, run: GemmAVX512x2x2},
		exactKernel{name: "GemmAVX512x3x2", lines: lineKinds, unpacked: true, rows: 3, tiles: 2, needs: needsAVX512, run: GemmAVX512x3x2},
		exactKernel{name: "GemmAVX512x4x2", lines: lineKinds, unpacked: true, rows: 4, tiles: 2, needs: needsAVX512, run: GemmAVX512x4x2},
		exactKernel{name: "GemmAVX512x5x2", lines: lineKinds, unpacked: true, rows: 5, tiles: 2, needs: needsAVX512, run: GemmAVX512x5x2},
		exactKernel{name: "GemmAVX512x6x2", lines: lineKinds, unpacked: true, rows: 6, tiles: 2, needs: needsAVX512, run: GemmAVX512x6x2},
		exactKernel{name: "GemmAVX512x7x2", lines: lineKinds, unpacked: true, rows: 7, tiles: 2, needs: needsAVX512, run: GemmAVX512x7x2},
		exactKernel{name: "GemmAVX512x8x2", lines: lineKinds, unpacked: true, rows: 8, tiles: 2, needs: needsAVX512, run: GemmAVX512x8x2},
		exactKernel{name: "GemmAVX512x9x2", lines: lineKinds, unpacked: true, rows: 9, tiles: 2, needs: needsAVX512, run: GemmAVX512x9x2},
		exactKernel{name: "GemmAVX512x10x2", lines: lineKinds, unpacked: true, rows: 10, tiles: 2, needs: needsAVX512, run: GemmAVX512x10x2},
		exactKernel{name: "GemmAVX512x11x2", lines: lineKinds, unpacked: true, rows: 11, tiles: 2, needs: needsAVX512, run: GemmAVX512x11x2},
		exactKernel{name: "GemmAVX512x12x2", lines: lineKinds, unpacked: true, rows: 12, tiles: 2, needs: needsAVX512, run: GemmAVX512x12x2},
	)
	unpackKernels = append(unpackKernels,
		unpackKernel{name: "UnpackW4AVX512", lines: lines4, needs: needsAVX512, run: UnpackW4AVX512},
		unpackKernel{name: "UnpackW8AVX512", lines: lines8, needs: needsAVX512, run: UnpackW8AVX512},
		unpackKernel{name: "UnpackF32AVX512", lines: linesF32, needs: needsAVX512, run: UnpackF32AVX512},
		unpackKernel{name: "UnpackF16AVX512", lines: linesF16, needs: needsAVX512, run: UnpackF16AVX512},
		unpackKernel{name: "UnpackBF16AVX512", lines: linesBF16, needs: needsAVX512, run: UnpackBF16AVX512},
	)
}
