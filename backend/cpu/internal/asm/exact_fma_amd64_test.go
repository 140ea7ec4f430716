package asm

import "github.com/klauspost/cpuid/v2"

var needsFMA = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C}

func init() {
	exactKernels = append(exactKernels,
		exactKernel{name: "GemvW4FMA", lines: []lineKind{lines4}, rows: 1, tiles: 1, needs: needsFMA, run: GemvW4FMA},
		exactKernel{name: "GemvW8FMA", lines: []lineKind{lines8}, rows: 1, tiles: 1, needs: needsFMA, run: GemvW8FMA},
		exactKernel{name: "GemvF32FMA", lines: []lineKind{linesF32}, rows: 1, tiles: 1, needs: needsFMA, run: GemvF32FMA},
		exactKernel{name: "GemvF16FMA", lines: []lineKind{linesF16}, rows: 1, tiles: 1, needs: needsFMA, run: GemvF16FMA},
		exactKernel{name: "GemvBF16FMA", lines: []lineKind{linesBF16}, rows: 1, tiles: 1, needs: needsFMA, run: GemvBF16FMA},
		exactKernel{name: "RowsW4FMAx2", lines: []lineKind{lines4}, rows: 2, tiles: 1, needs: needsFMA, run: RowsW4FMAx2},
		exactKernel{name: "RowsW4FMAx3", lines: []lineKind{lines4}, rows: 3, tiles: 1, needs: needsFMA, run: RowsW4FMAx3},
		exactKernel{name: "RowsW4FMAx4", lines: []lineKind{lines4}, rows: 4, tiles: 1, needs: needsFMA, run: RowsW4FMAx4},
		exactKernel{name: "RowsW4FMAx5", lines: []lineKind{lines4}, rows: 5, tiles: 1, needs: needsFMA, run: RowsW4FMAx5},
		exactKernel{name: "RowsW4FMAx6", lines: []lineKind{lines4}, rows: 6, tiles: 1, needs: needsFMA, run: RowsW4FMAx6},
		exactKernel{name: "RowsW8FMAx2", lines: []lineKind{lines8}, rows: 2, tiles: 1, needs: needsFMA, run: RowsW8FMAx2},
		exactKernel{name: "RowsW8FMAx3", lines: []lineKind{lines8}, rows: 3, tiles: 1, needs: needsFMA, run: RowsW8FMAx3},
		exactKernel{name: "RowsW8FMAx4", lines: []lineKind{lines8}, rows: 4, tiles: 1, needs: needsFMA, run: RowsW8FMAx4},
		exactKernel{name: "RowsW8FMAx5", lines: []lineKind{lines8}, rows: 5, tiles: 1, needs: needsFMA, run: RowsW8FMAx5},
		exactKernel{name: "RowsW8FMAx6", lines: []lineKind{lines8}, rows: 6, tiles: 1, needs: needsFMA, run: RowsW8FMAx6},
		exactKernel{name: "RowsF32FMAx2", lines: []lineKind{linesF32}, rows: 2, tiles: 1, needs: needsFMA, run: RowsF32FMAx2},
		exactKernel{name: "RowsF32FMAx3", lines: []lineKind{linesF32}, rows: 3, tiles: 1, needs: needsFMA, run: RowsF32FMAx3},
		exactKernel{name: "RowsF32FMAx4", lines: []lineKind{linesF32}, rows: 4, tiles: 1, needs: needsFMA, run: RowsF32FMAx4},
		exactKernel{name: "RowsF32FMAx5", lines: []lineKind{linesF32}, rows: 5, tiles: 1, needs: needsFMA, run: RowsF32FMAx5},
		exactKernel{name: "RowsF32FMAx6", lines: []lineKind{linesF32}, rows: 6, tiles: 1, needs: needsFMA, run: RowsF32FMAx6},
		exactKernel{name: "RowsF16FMAx2", lines: []lineKind{linesF16}, rows: 2, tiles: 1, needs: needsFMA, run: RowsF16FMAx2},
		exactKernel{name: "RowsF16FMAx3", lines: []lineKind{linesF16}, rows: 3, tiles: 1, needs: needsFMA, run: RowsF16FMAx3},
		exactKernel{name: "RowsF16FMAx4", lines: []lineKind{linesF16}, rows: 4, tiles: 1, needs: needsFMA, run: RowsF16FMAx4},
		exactKernel{name: "RowsF16FMAx5", lines: []lineKind{linesF16}, rows: 5, tiles: 1, needs: needsFMA, run: RowsF16FMAx5},
		exactKernel{name: "RowsF16FMAx6", lines: []lineKind{linesF16}, rows: 6, tiles: 1, needs: needsFMA, run: RowsF16FMAx6},
		exactKernel{name: "RowsBF16FMAx2", lines: []lineKind{linesBF16}, rows: 2, tiles: 1, needs: needsFMA, run: RowsBF16FMAx2},
		exactKernel{name: "RowsBF16FMAx3", lines: []lineKind{linesBF16}, rows: 3, tiles: 1, needs: needsFMA, run: RowsBF16FMAx3},
		exactKernel{name: "RowsBF16FMAx4", lines: []lineKind{linesBF16}, rows: 4, tiles: 1, needs: needsFMA, run: RowsBF16FMAx4},
		exactKernel{name: "RowsBF16FMAx5", lines: []lineKind{linesBF16}, rows: 5, tiles: 1, needs: needsFMA, run: RowsBF16FMAx5},
		exactKernel{name: "RowsBF16FMAx6", lines: []lineKind{linesBF16}, rows: 6, tiles: 1, needs: needsFMA, run: RowsBF16FMAx6},
		exactKernel{name: "GemmFMAx1", lines: lineKinds, unpacked: true, rows: 1, tiles: 1, needs: needsFMA, run: GemmFMAx1},
		exactKernel{name: "GemmFMAx2", lines: lineKinds, unpacked: true, rows: 2, tiles: 1, needs: needsFMA, run: GemmFMAx2},
		exactKernel{name: "GemmFMAx3", lines: lineKinds, unpacked: true, rows: 3, tiles: 1, needs: needsFMA, run: GemmFMAx3},
		exactKernel{name: "GemmFMAx4", lines: lineKinds, unpacked: true, rows: 4, tiles: 1, needs: needsFMA, run: GemmFMAx4},
		exactKernel{name: "GemmFMAx5", lines: lineKinds, unpacked: true, rows: 5, tiles: 1, needs: needsFMA, run: GemmFMAx5},
		exactKernel{name: "GemmFMAx6", lines: lineKinds, unpacked: true, rows: 6, tiles: 1, needs: needsFMA, run: GemmFMAx6},
	)
	unpackKernels = append(unpackKernels,
		unpackKernel{name: "UnpackW4FMA", lines: lines4, needs: needsFMA, run: UnpackW4FMA},
		unpackKernel{name: "UnpackW8FMA", lines: lines8, needs: needsFMA, run: UnpackW8FMA},
		unpackKernel{name: "UnpackF32FMA", lines: linesF32, needs: needsFMA, run: UnpackF32FMA},
		unpackKernel{name: "UnpackF16FMA", lines: linesF16, needs: needsFMA, run: UnpackF16FMA},
		unpackKernel{name: "UnpackBF16FMA", lines: linesBF16, needs: needsFMA, run: UnpackBF16FMA},
	)
}
