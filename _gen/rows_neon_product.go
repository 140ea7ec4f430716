package main

func init() {
	registerText(asmDir, "rowproduct_neon", `
The product of a matrix with 16 columns of another one.

Maths: C[i][j] = s after s = fma(A[i][k], B[k][j], s), k ascending from s = 0,
float32, for all rows i and 16 columns j. Six rows go together; the last ones
overlap those before them where there are fewer, which computes the same again.
Registers: R0 Product, R1 next of B, R2 next row of C, R3 and R4 steps of C and A,
R5 to R10 next of A of each row, R11 of K left, R12 rows left, R13 bytes from the
end of a row of A to the next one, R14 K, R16 scratch; V0 and up sums, four for
each row, behind them 4 values of A for each, behind them B.
`, func(f *neonFile) {
		k := rowNeon{exactNeon{f}}
		k.function("RowProductNEON", "c *Product", 8, "multiplies with 16 columns.")
		k.op("MOVD c+0(FP), R0")
		k.load(0, field{productC, 2}, field{productCStep, 3}, field{productA, 5}, field{productAStep, 4}, field{productRows, 12}, field{productK, 14})
		k.op("SUB R14<<2, R4, R13")
		k.op("CMP $%d, R12", productNeonRows)
		k.op("BLT one")

		k.label("tile")
		k.product(productNeonRows, "rows")
		k.op("SUBS $%d, R12", productNeonRows)
		k.op("BEQ done")
		k.op("CMP $%d, R12", productNeonRows)
		k.op("BGE tile")
		k.comment("Fewer are left than go together: back by what is missing.")
		k.op("SUB $%d, R12", productNeonRows)
		k.op("MUL R3, R12, R16")
		k.op("ADD R16, R2")
		k.op("MUL R4, R12, R16")
		k.op("ADD R16, R5")
		k.op("MOVD $%d, R12", productNeonRows)
		k.op("B tile")

		k.label("one")
		k.product(1, "row")
		k.op("SUBS $1, R12")
		k.op("BNE one")
		k.label("done")
		k.op("RET")
	})
}

// productNeonRows is the rows of a tile: 24 sums.
const productNeonRows = 6

// product computes n rows and moves R2 and R5 behind them. A row of B is as a feature
// of an unpacked panel.
func (k rowNeon) product(n int, name string) {
	g := gemmNeon{k.exactNeon, n, 1}
	turn := func(values int) { g.turn(1, values, 4*n, 5*n) }
	k.zero(0, 4*n)
	for r := range n - 1 {
		k.op("ADD R4, R%d, R%d", g.x(0, r), g.x(0, r+1))
	}
	k.load(0, field{productB, 1})
	k.op("SUBS $%d, R14, R11", gemmTurn)
	k.op("BLT %s_rest", name)
	k.label(name + "_turn")
	turn(gemmTurn)
	k.op("SUBS $%d, R11", gemmTurn)
	k.op("BGE %s_turn", name)
	k.label(name + "_rest")
	k.op("ADDS $%d, R11", gemmTurn)
	k.op("BEQ %s_store", name)
	k.label(name + "_one")
	turn(1)
	k.op("SUBS $1, R11")
	k.op("BNE %s_one", name)

	k.label(name + "_store")
	for r := range n {
		k.op("VST1 %s, (R2)", list(4, g.sum(0, r, 0), "S4"))
		k.op("ADD R3, R2")
	}
	k.op("ADD R13, R%d, R5", g.x(0, n-1))
}
