package asm

import "github.com/klauspost/cpuid/v2"

var needsDPBF16 = []cpuid.FeatureID{
	cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512BF16,
}

var linesOfPairs = []lineKind{lines4, lines8, linesBF16}

func init() {
	exactKernels = append(exactKernels,
		exactKernel{name: "GemvW4DPBF16", lines: []lineKind{lines4}, pairs: true, rows: 1, tiles: 1, needs: needsDPBF16, run: GemvW4DPBF16},
		exactKernel{name: "GemvW8DPBF16", lines: []lineKind{lines8}, pairs: true, rows: 1, tiles: 1, needs: needsDPBF16, run: GemvW8DPBF16},
		exactKernel{name: "GemvBF16DPBF16", lines: []lineKind{linesBF16}, pairs: true, rows: 1, tiles: 1, needs: needsDPBF16, run: GemvBF16DPBF16},
		exactKernel{name: "RowsW4DPBF16x2", lines: []lineKind{lines4}, pairs: true, rows: 2, tiles: 1, needs: needsDPBF16, run: RowsW4DPBF16x2},
		exactKernel{name: "RowsW4DPBF16x3", lines: []lineKind{lines4}, pairs: true, rows: 3, tiles: 1, needs: needsDPBF16, run: RowsW4DPBF16x3},
		exactKernel{name: "RowsW4DPBF16x4", lines: []lineKind{lines4}, pairs: true, rows: 4, tiles: 1, needs: needsDPBF16, run: RowsW4DPBF16x4},
		exactKernel{name: "RowsW4DPBF16x5", lines: []lineKind{lines4}, pairs: true, rows: 5, tiles: 1, needs: needsDPBF16, run: RowsW4DPBF16x5},
		exactKernel{name: "RowsW4DPBF16x6", lines: []lineKind{lines4}, pairs: true, rows: 6, tiles: 1, needs: needsDPBF16, run: RowsW4DPBF16x6},
		exactKernel{name: "RowsW4DPBF16x7", lines: []lineKind{lines4}, pairs: true, rows: 7, tiles: 1, needs: needsDPBF16, run: RowsW4DPBF16x7},
		exactKernel{name: "RowsW4DPBF16x8", lines: []lineKind{lines4}, pairs: true, rows: 8, tiles: 1, needs: needsDPBF16, run: RowsW4DPBF16x8},
		exactKernel{name: "RowsW8DPBF16x2", lines: []lineKind{lines8}, pairs: true, rows: 2, tiles: 1, needs: needsDPBF16, run: RowsW8DPBF16x2},
		exactKernel{name: "RowsW8DPBF16x3", lines: []lineKind{lines8}, pairs: true, rows: 3, tiles: 1, needs: needsDPBF16, run: RowsW8DPBF16x3},
		exactKernel{name: "RowsW8DPBF16x4", lines: []lineKind{lines8}, pairs: true, rows: 4, tiles: 1, needs: needsDPBF16, run: RowsW8DPBF16x4},
		exactKernel{name: "RowsW8DPBF16x5", lines: []lineKind{lines8}, pairs: true, rows: 5, tiles: 1, needs: needsDPBF16, run: RowsW8DPBF16x5},
		exactKernel{name: "RowsW8DPBF16x6", lines: []lineKind{lines8}, pairs: true, rows: 6, tiles: 1, needs: needsDPBF16, run: RowsW8DPBF16x6},
		exactKernel{name: "RowsW8DPBF16x7", lines: []lineKind{lines8}, pairs: true, rows: 7, tiles: 1, needs: needsDPBF16, run: RowsW8DPBF16x7},
		exactKernel{name: "RowsW8DPBF16x8", lines: []lineKind{lines8}, pairs: true, rows: 8, tiles: 1, needs: needsDPBF16, run: RowsW8DPBF16x8},
		exactKernel{name: "RowsBF16DPBF16x2", lines: []lineKind{linesBF16}, pairs: true, rows: 2, tiles: 1, needs: needsDPBF16, run: RowsBF16DPBF16x2},
		exactKernel{name: "RowsBF16DPBF16x3", lines: []lineKind{linesBF16}, pairs: true, rows: 3, tiles: 1, needs: needsDPBF16, run: RowsBF16DPBF16x3},
		exactKernel{name: "RowsBF16DPBF16x4", lines: []lineKind{linesBF16}, pairs: true, rows: 4, tiles: 1, needs: needsDPBF16, run: RowsBF16DPBF16x4},
		exactKernel{name: "RowsBF16DPBF16x5", lines: []lineKind{linesBF16}, pairs: true, rows: 5, tiles: 1, needs: needsDPBF16, run: RowsBF16DPBF16x5},
		exactKernel{name: "RowsBF16DPBF16x6", lines: []lineKind{linesBF16}, pairs: true, rows: 6, tiles: 1, needs: needsDPBF16, run: RowsBF16DPBF16x6},
		exactKernel{name: "RowsBF16DPBF16x7", lines: []lineKind{linesBF16}, pairs: true, rows: 7, tiles: 1, needs: needsDPBF16, run: RowsBF16DPBF16x7},
		exactKernel{name: "RowsBF16DPBF16x8", lines: []lineKind{linesBF16}, pairs: true, rows: 8, tiles: 1, needs: needsDPBF16, run: RowsBF16DPBF16x8},
		exactKernel{name: "GemmDPBF16x1", lines: linesOfPairs, pairs: true, unpacked: true, rows: 1, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x1},
		exactKernel{name: "GemmDPBF16x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 2, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x2},
		exactKernel{name: "GemmDPBF16x3", lines: linesOfPairs, pairs: true, unpacked: true, rows: 3, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x3},
		exactKernel{name: "GemmDPBF16x4", lines: linesOfPairs, pairs: true, unpacked: true, rows: 4, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x4},
		exactKernel{name: "GemmDPBF16x5", lines: linesOfPairs, pairs: true, unpacked: true, rows: 5, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x5},
		exactKernel{name: "GemmDPBF16x6", lines: linesOfPairs, pairs: true, unpacked: true, rows: 6, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x6},
		exactKernel{name: "GemmDPBF16x7", lines: linesOfPairs, pairs: true, unpacked: true, rows: 7, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x7},
		exactKernel{name: "GemmDPBF16x8", lines: linesOfPairs, pairs: true, unpacked: true, rows: 8, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x8},
		exactKernel{name: "GemmDPBF16x9", lines: linesOfPairs, pairs: true, unpacked: true, rows: 9, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x9},
		exactKernel{name: "GemmDPBF16x10", lines: linesOfPairs, pairs: true, unpacked: true, rows: 10, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x10},
		exactKernel{name: "GemmDPBF16x11", lines: linesOfPairs, pairs: true, unpacked: true, rows: 11, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x11},
		exactKernel{name: "GemmDPBF16x12", lines: linesOfPairs, pairs: true, unpacked: true, rows: 12, tiles: 1, needs: needsDPBF16, run: GemmDPBF16x12},
		exactKernel{name: "GemmDPBF16x1x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 1, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x1x2},
		exactKernel{name: "GemmDPBF16x2x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 2, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x2x2},
		exactKernel{name: "GemmDPBF16x3x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 3, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x3x2},
		exactKernel{name: "GemmDPBF16x4x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 4, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x4x2},
		exactKernel{name: "GemmDPBF16x5x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 5, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x5x2},
		exactKernel{name: "GemmDPBF16x6x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 6, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x6x2},
		exactKernel{name: "GemmDPBF16x7x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 7, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x7x2},
		exactKernel{name: "GemmDPBF16x8x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 8, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x8x2},
		exactKernel{name: "GemmDPBF16x9x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 9, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x9x2},
		exactKernel{name: "GemmDPBF16x10x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 10, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x10x2},
		exactKernel{name: "GemmDPBF16x11x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 11, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x11x2},
		exactKernel{name: "GemmDPBF16x12x2", lines: linesOfPairs, pairs: true, unpacked: true, rows: 12, tiles: 2, needs: needsDPBF16, run: GemmDPBF16x12x2},
	)
	unpackKernels = append(unpackKernels,
		unpackKernel{name: "UnpackPairsW4DPBF16", lines: lines4, pairs: true, needs: needsDPBF16, run: UnpackPairsW4DPBF16},
		unpackKernel{name: "UnpackPairsW8DPBF16", lines: lines8, pairs: true, needs: needsDPBF16, run: UnpackPairsW8DPBF16},
		unpackKernel{name: "UnpackPairsBF16DPBF16", lines: linesBF16, pairs: true, needs: needsDPBF16, run: UnpackPairsBF16DPBF16},
	)
}
