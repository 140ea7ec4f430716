package main

func init() {
	for _, tiles := range []int{1, 2} {
		name := map[int]string{1: "gemm_dpbf16", 2: "gemm_x2_dpbf16"}[tiles]
		register(asmDir, name, `
Rows of bfloat16 times unpacked panels of pairs of 16 columns, `+map[int]string{1: "one", 2: "two"}[tiles]+` at a time; the
package says what they look like. Where one, two or three rows are too few sums for the
units to stay busy, four or two segments of a block go together.
`+dotMaths+`
s = 1 for plain weights.
Registers: AX and R10 next weights of two tiles, BX x, DX and DI x of rows 4 and 8,
SI and R8 one and three steps of x, CX pairs left, R9 and R11 scales, R12
segments left, R13 Block, R14 Y, R15 its step, BP what to fetch next; with up to
three rows DX and DI bytes of a segment of x and of weights, R8 x of the second
segment, and with one row SI and R8 bytes of three;
Z0 to Z23 sums, Z24 and Z25 weights, then scales, Z26 x. The frame counts blocks.
`, func(f *file) {
			for rows := 1; rows <= 12; rows++ {
				k := gemm512{exactFMA: exactFMA{f, zmm}, rows: rows, tiles: tiles, pairs: true}
				k.write("GemmDPBF16")
			}
		})
	}
}
