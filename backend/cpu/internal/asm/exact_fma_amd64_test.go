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
