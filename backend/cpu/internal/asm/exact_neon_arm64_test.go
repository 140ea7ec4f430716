package asm

func init() {
	exactKernels = append(exactKernels,
		exactKernel{name: "GemvW4NEON", lines: []lineKind{lines4}, rows: 1, tiles: 1, run: GemvW4NEON},
		exactKernel{name: "GemvW8NEON", lines: []lineKind{lines8}, rows: 1, tiles: 1, run: GemvW8NEON},
		exactKernel{name: "GemvF32NEON", lines: []lineKind{linesF32}, rows: 1, tiles: 1, run: GemvF32NEON},
		exactKernel{name: "GemvF16NEON", lines: []lineKind{linesF16}, rows: 1, tiles: 1, run: GemvF16NEON},
		exactKernel{name: "GemvBF16NEON", lines: []lineKind{linesBF16}, rows: 1, tiles: 1, run: GemvBF16NEON},
		exactKernel{name: "GemmNEONx1", lines: lineKinds, unpacked: true, rows: 1, tiles: 1, run: GemmNEONx1},
		exactKernel{name: "GemmNEONx2", lines: lineKinds, unpacked: true, rows: 2, tiles: 1, run: GemmNEONx2},
		exactKernel{name: "GemmNEONx3", lines: lineKinds, unpacked: true, rows: 3, tiles: 1, run: GemmNEONx3},
		exactKernel{name: "GemmNEONx4", lines: lineKinds, unpacked: true, rows: 4, tiles: 1, run: GemmNEONx4},
		exactKernel{name: "GemmNEONx5", lines: lineKinds, unpacked: true, rows: 5, tiles: 1, run: GemmNEONx5},
		exactKernel{name: "GemmNEONx6", lines: lineKinds, unpacked: true, rows: 6, tiles: 1, run: GemmNEONx6},
	)
	unpackKernels = append(unpackKernels,
		unpackKernel{name: "UnpackW4NEON", lines: lines4, run: UnpackW4NEON},
		unpackKernel{name: "UnpackW8NEON", lines: lines8, run: UnpackW8NEON},
		unpackKernel{name: "UnpackF32NEON", lines: linesF32, run: UnpackF32NEON},
		unpackKernel{name: "UnpackF16NEON", lines: linesF16, run: UnpackF16NEON},
		unpackKernel{name: "UnpackBF16NEON", lines: linesBF16, run: UnpackBF16NEON},
	)
}
