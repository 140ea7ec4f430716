package main

const matrixRegisters = `eight rows: R2 x of row 0, R3 its step, R4 and R5 where the pass begins in scales
and zeros, R26 in lines and Y; in the lines V8 to V11 8 features of x, two rows
each, V1, V3, V5, V7 the next 8, `

func init() {
	dotNeon("DotW4", "I8MM", 0, `
Maths: usmmla multiplies two columns by 8 features with two rows. The columns are
zipped from the low and high halves of a line. One walk over the call is for
columns 0 to 7, one for the others.
`, matrixRegisters+"V0, V2, V4, V6, V12 to V14 weights, V15\nthe low halves' mask.", 4, nil)
	dotNeon("DotW8", "I8MM", 4, `
Maths, up to four rows: a 16-byte vector of a line is 4 columns by 4 features;
usdot by element multiplies it, unsigned, by 4 features of signed x, for all
columns at once.
Maths, eight rows: usmmla multiplies two columns by 8 features with two rows. The
columns are zipped from two lines. One walk over the call is for columns 0 to 7,
one for the others.
`, "up to four rows: in the lines V0 to V3 weights, V8 to V11 16 values of x of each\nrow;\n"+
		matrixRegisters+"V0, V2, V4, V6, V12 to V15 weights.", 8, func(k *intNeon) { w8DotProd(k, true) })
}

// matrixSum is the register of rows 2p and 2p+1 by columns 2c and 2c+1.
func matrixSum(p, c int) int { return 16 + 4*p + c }

// matrixNeon is a kernel of eight rows. Each of its sums is of two columns by
// two rows.
func matrixNeon(k *intNeon, bits int) {
	k.passes, k.arrange = true, func(back bool) { arrangeMatrix(k, back) }
	weights, lines := matrix8, 4
	if bits == 4 {
		weights, lines = matrix4, 2
		k.constants = func() { k.op("VMOVI $15, V15.B16") }
	}
	k.lines = func() {
		k.op("MOVD $64, R17")
		k.turns(lines, func(n int) {
			if n == lines {
				matrixX(k, "VLD1 (R16), [V%d.B16]", 16)
				matrixProducts(k, weights(k), [4]int{8, 9, 10, 11})
				matrixProducts(k, weights(k), [4]int{1, 3, 5, 7})
			} else {
				matrixX(k, "FMOVD (R16), F%d", 8)
				matrixProducts(k, weights(k), [4]int{8, 9, 10, 11})
			}
		})
	}
}

// matrixX loads 16 or 8 features of all rows.
func matrixX(k *intNeon, load string, features int) {
	k.op("MOVD R2, R16")
	for r := range 8 {
		k.op(load, r)
		if r < 7 {
			k.op("ADD R3, R16")
		}
	}
	k.op("ADD $%d, R2", features)
	for p := range 4 {
		k.op("VZIP1 V%d.D2, V%d.D2, V%d.D2", 2*p+1, 2*p, 8+p)
		if features == 16 {
			k.op("VZIP2 V%d.D2, V%d.D2, V%[1]d.D2", 2*p+1, 2*p)
		}
	}
}

// matrix4 makes four registers of two columns by 8 features from a line.
func matrix4(k *intNeon) [4]int {
	k.op("VLD1.P (R1)(R17), [V12.B16, V13.B16]")
	k.op("VAND V15.B16, V12.B16, V0.B16")
	k.op("VAND V15.B16, V13.B16, V2.B16")
	k.op("VUSHR $4, V12.B16, V12.B16")
	k.op("VUSHR $4, V13.B16, V13.B16")
	k.op("VZIP1 V12.S4, V0.S4, V4.S4")
	k.op("VZIP2 V12.S4, V0.S4, V6.S4")
	k.op("VZIP1 V13.S4, V2.S4, V14.S4")
	k.op("VZIP2 V13.S4, V2.S4, V2.S4")
	return [4]int{4, 6, 14, 2}
}

// matrix8 makes them from two lines.
func matrix8(k *intNeon) [4]int {
	k.op("VLD1.P (R1)(R17), [V12.B16, V13.B16]")
	k.op("VLD1.P (R1)(R17), [V14.B16, V15.B16]")
	k.op("VZIP1 V14.S4, V12.S4, V0.S4")
	k.op("VZIP2 V14.S4, V12.S4, V2.S4")
	k.op("VZIP1 V15.S4, V13.S4, V4.S4")
	k.op("VZIP2 V15.S4, V13.S4, V6.S4")
	return [4]int{0, 2, 4, 6}
}

func matrixProducts(k *intNeon, columns, rows [4]int) {
	for c, w := range columns {
		for p, x := range rows {
			k.hand("usmmla v%d.4s, v%d.16b, v%d.16b", matrixSum(p, c), w, x)
		}
	}
}

// arrangeMatrix makes sums of one row by four columns, or goes back.
func arrangeMatrix(k *intNeon, back bool) {
	name := "VUZP"
	if back {
		name = "VZIP"
	}
	for p := range 4 {
		for c := 0; c < 4; c += 2 {
			a, b := matrixSum(p, c), matrixSum(p, c+1)
			k.op("%s1 V%d.S4, V%d.S4, V0.S4", name, b, a)
			k.op("%s2 V%d.S4, V%d.S4, V%[2]d.S4", name, b, a)
			k.op("VORR V0.B16, V0.B16, V%d.B16", a)
		}
	}
}
