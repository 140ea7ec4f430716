package main

import "fmt"

func init() {
	registerText(asmDir, "rowends_neon", `
The largest and the smallest value of a row.

Maths: ends[0] is the largest pattern of the elements and 0 as signed integers,
ends[1] the largest as unsigned ones, in the width of the elements. As signed
integers the patterns of positive floats order like their values and negative
ones are below 0; as unsigned integers negative floats are above all others, the
larger magnitude last. NaN is beyond infinity on both sides.
Registers: R0 next elements, R1 steps left, R2 kind of elements, R3 ends, R4 and R5
what goes there; V0 to V3 elements, V4 to V7 largest signed patterns, V16 to V19
largest unsigned ones.
`, func(f *neonFile) {
		k := rowNeon{exactNeon{f}}
		const up, down = 4, 16
		k.function("RowEndsNEON", "x *byte, steps, element uintptr, ends *[2]uint32", 32,
			"finds the ends of a row of 8·steps values, steps at least 1.")
		for i, name := range []string{"x", "steps", "element", "ends"} {
			k.op("MOVD %s+%d(FP), R%d", name, 8*i, i)
		}
		k.zero(up, 4)
		k.zero(down, 4)
		k.op("CBNZ R2, halves")
		for e, lane := range []string{elementF32: "S", elementF16: "H"} {
			e := element(e)
			if e == elementF16 {
				k.label("halves")
			}
			k.each(e, e.String(), 0, 1, func(v int) {
				k.largest("smax", e, v, up+v)
				k.largest("umax", e, v, down+v)
			})
			k.across("smax", e, up)
			k.across("umax", e, down)
			k.op("VMOV V%d.%s[0], R4", up, lane)
			k.op("VMOV V%d.%s[0], R5", down, lane)
			k.op("STPW (R4, R5), (R3)")
			k.op("RET")
		}
	})
	registerText(asmDir, "rowwiden_neon", `
Widening a row to float32.

Maths: dst[i] = x[i], exact; a signalling NaN becomes quiet.
Registers: R0 where to write, R1 next elements, R2 steps left, R3 kind of elements;
V0 to V3 values.
`, func(f *neonFile) {
		k := rowNeon{exactNeon{f}}
		k.function("RowWidenNEON", "dst *float32, x *byte, steps, element uintptr", 32,
			"widens 8·steps values, steps at least 1.")
		for i, name := range []string{"dst", "x", "steps", "element"} {
			k.op("MOVD %s+%d(FP), R%d", name, 8*i, i)
		}
		k.byElement(3, func(e element) {
			k.turns(e.String(), 2, func(n int) {
				k.next(e, n, 1)
				k.op("VST1.P %s, %d(R0)", list(2*n, 0, "S4"), n*rowStep*4)
			})
		})
	})
	registerText(asmDir, "rowround_neon", `
Rounding float32 values, in place, to a narrower type.

Maths: v = round(v) to float16 (element 1) or bfloat16 (2), ties to even; a NaN
stays one.
Registers: R0 next values, R1 steps left, R2 kind of elements, R16 scratch; V0 and
V1 values, V4 and V5 bits that round, V6 and V7 which are numbers, V8 and V9 values
that are quiet, V29 the bit of a quiet NaN, V30 0x7fff, V31 0xffff0000.
`, func(f *neonFile) {
		k := rowNeon{exactNeon{f}}
		k.function("RowRoundNEON", "v *float32, steps, element uintptr", 24,
			"rounds 8·steps values to float16 or bfloat16, steps at least 1.")
		for i, name := range []string{"v", "steps", "element"} {
			k.op("MOVD %s+%d(FP), R%d", name, 8*i, i)
		}
		loop := func(label string, round func()) {
			k.label(label)
			k.op("VLD1 (R0), %s", list(2, 0, "S4"))
			round()
			k.op("VST1.P %s, %d(R0)", list(2, 0, "S4"), rowStep*4)
			k.op("SUBS $1, R1")
			k.op("BNE %s", label)
			k.op("RET")
		}
		k.op("CMP $%d, R2", elementBF16)
		k.op("BEQ bf16")
		loop("f16_step", func() { k.roundF16(2) })
		k.label("bf16")
		const quiet = 29
		k.bf16Constants()
		k.fill(0x400000, quiet)
		loop("bf16_step", func() {
			k.keepNaN(2, 6, quiet, func() { k.roundBF16(2, 4, bf16Below) })
			k.upperHalves(2)
		})
	})
	for _, size := range []int{2, 4} {
		bits := 8 * size
		registerText(asmDir, fmt.Sprintf("rowgather%d_neon", bits), fmt.Sprintf(`
Putting the values of a row in another order.

Maths: dst[i] = x[order[i]], elements of %d bits; no arithmetic.
Registers: R0 where to write, R1 x, R2 next indices, R3 values left; R4 to R7 two
indices each, R8 to R11 the second of each, R12 to R17, R19 and R20 values, then
as many as fit in 64 bits.
`, bits), func(f *neonFile) { gatherNeon(rowNeon{exactNeon{f}}, size) })
	}
}

// gatherNeon puts elements together in general registers: a load into a lane costs
// the load and a vector's operation, and a store of each element a store.
func gatherNeon(k rowNeon, size int) {
	name := fmt.Sprintf("RowGather%dNEON", 8*size)
	load, store := map[int]string{2: "MOVHU", 4: "MOVWU"}[size], map[int]string{2: "MOVH", 4: "MOVW"}[size]
	k.function(name, "dst, x *byte, order *int32, n uintptr", 32, fmt.Sprintf("gathers n elements of %d bits.", 8*size))
	for i, arg := range []string{"dst", "x", "order", "n"} {
		k.op("MOVD %s+%d(FP), R%d", arg, 8*i, i)
	}
	k.op("SUBS $8, R3")
	k.op("BLT rest")

	k.label("turn")
	values := []int{12, 13, 14, 15, 16, 17, 19, 20}
	for i := 0; i < 4; i += 2 {
		k.op("LDP.P 16(R2), (R%d, R%d)", 4+i, 5+i)
	}
	for i := range 4 {
		k.op("LSR $32, R%d, R%d", 4+i, 8+i)
	}
	for i, v := range values {
		if i%2 == 0 {
			k.op("%s (R1)(R%d.UXTW<<%d), R%d", load, 4+i/2, log2(size), v)
		} else {
			k.op("%s (R1)(R%d<<%d), R%d", load, 8+i/2, log2(size), v)
		}
	}
	for bits := 8 * size; bits < 64; bits *= 2 {
		var words []int
		for i := 0; i < len(values); i += 2 {
			k.op("ORR R%d<<%d, R%d", values[i+1], bits, values[i])
			words = append(words, values[i])
		}
		values = words
	}
	for i := 0; i < len(values); i += 2 {
		k.op("STP.P (R%d, R%d), 16(R0)", values[i], values[i+1])
	}
	k.op("SUBS $8, R3")
	k.op("BGE turn")

	k.label("rest")
	k.op("ADDS $8, R3")
	k.op("BEQ done")
	k.label("one")
	k.op("MOVWU.P 4(R2), R4")
	k.op("%s (R1)(R4<<%d), R12", load, log2(size))
	k.op("%s.P R12, %d(R0)", store, size)
	k.op("SUBS $1, R3")
	k.op("BNE one")
	k.label("done")
	k.op("RET")
}
