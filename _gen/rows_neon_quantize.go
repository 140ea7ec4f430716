package main

import "math"

const quantizeNeonRegisters = `
Registers: R0 Row, R1 next values, R2 next codes, R3 next run, R4 runs left, R5
next side, R7 steps of the run, R8 steps left, R9 the run's side, R14, R15, R17 and
R19 Zero, Times, Keep and Add, R16 scratch; V0 to V3 values, then codes, V4 to V7
scratch, V16 factor, V17 sums of codes;`

// Registers of the kernels that quantize a row.
const (
	quantizeFactor = 16
	quantizeSum    = 17
	quantizeFirst  = 18 // of those that a kernel has for its own
)

func init() {
	scaled := func(op string) func(k rowNeon, n int) {
		return func(k rowNeon, n int) {
			for v := range n {
				k.hand("%s v%d.4s, v%[2]d.4s, v%d.4s", op, v, quantizeFactor)
			}
		}
	}
	divide, multiply := scaled("fdiv"), scaled("fmul")
	rounded := func(op string) func(k rowNeon, n int) {
		return func(k rowNeon, n int) {
			for v := range n {
				k.hand("%s v%d.4s, v%[2]d.4s", op, v)
			}
		}
	}
	even, away := rounded("fcvtns"), rounded("fcvtas")
	quotient := func(k rowNeon, _ element, n int) {
		divide(k, n)
		even(k, n)
	}
	registerText(asmDir, "rowdivide_neon", `
Quantizing one row with a given scale, by true division.

Maths: code = half even(x / Factor) in -128..127; side as package asm has it.
`+quantizeNeonRegisters+`
no others.
`, func(f *neonFile) {
		quantizeNeon{rowNeon: rowNeon{exactNeon{f}}, codes: quotient}.write("RowDivideNEON", "quantizes a row by half even(x/Factor).")
	})
	registerText(asmDir, "rowdivideround_neon", `
Quantizing one row with a given scale, by true division, each quotient rounded
to the type of x on the way.

Maths: code = half even(round_x(x / Factor)) in -128..127, where round_x rounds
to the type of x; side as package asm has it.
`+quantizeNeonRegisters+`
V30 0x7fff, V31 0xffff0000.
`, func(f *neonFile) {
		quantizeNeon{rowNeon: rowNeon{exactNeon{f}}, constants: rowNeon.bf16Constants, codes: func(k rowNeon, e element, n int) {
			divide(k, n)
			switch e {
			case elementF16:
				k.roundF16(n)
			case elementBF16:
				k.roundBF16(n, 4, bf16Below)
				k.upperHalves(n)
			}
			even(k, n)
		}}.write("RowDivideRoundNEON", "quantizes a row by half even(x/Factor rounded to the type of x).")
	})
	const zero = quantizeFirst
	registerText(asmDir, "rowasym_neon", `
Quantizing one row with a given factor and zero point.

Maths: code = half away(x·Factor) + Zero, saturated to -128..127; side as
package asm has it.
`+quantizeNeonRegisters+`
V18 Zero in every word.
`, func(f *neonFile) {
		quantizeNeon{
			rowNeon:   rowNeon{exactNeon{f}},
			constants: func(k rowNeon) { k.op("VDUP R14, V%d.H8", zero) },
			codes: func(k rowNeon, _ element, n int) {
				multiply(k, n)
				away(k, n)
			},
			words: func(k rowNeon, v int) { k.hand("sqadd v%d.8h, v%[1]d.8h, v%d.8h", v, zero) },
		}.write("RowAsymNEON", "quantizes a row by half away(x·Factor) + Zero.")
	})
	const lowest, low, divisor = quantizeFirst, quantizeFirst + 1, quantizeFirst + 2
	registerText(asmDir, "rowgroups_neon", `
Quantizing one row in groups, each with a scale of its own.

Maths: scale = (max|x| of the group)/127; code = half even(x / scale) in
-127..127. A group of scale 0 has codes 0; one with a NaN or an infinity has
scale NaN and codes 0. Side as package asm has it.
`+quantizeNeonRegisters+`
R6 next scale, R10 next values of the group, R11 the scale to store; V4 to V7 also
largest magnitudes, V18 -127 in every byte, V19 all bits of a value but the sign,
V20 127.
`, func(f *neonFile) {
		quantizeNeon{
			rowNeon: rowNeon{exactNeon{f}},
			constants: func(k rowNeon) {
				k.op("VMOVI $0x81, V%d.B16", lowest)
				k.fill(math.Float32bits(127), divisor)
			},
			eachType: func(k rowNeon, e element) {
				k.fill(map[int]uint32{2: 0x7fff7fff, 4: 0x7fffffff}[e.size()], low)
			},
			scale:  func(k rowNeon, e element) { k.groupScale(e, low, divisor) },
			codes:  quotient,
			packed: func(k rowNeon) { k.hand("smax v0.16b, v0.16b, v%d.16b", lowest) },
		}.write("RowGroupsNEON", "quantizes the groups of a row by half even(x/scale), scale = max|x|/127.")
	})
	const least, most = quantizeFirst, quantizeFirst + 1
	registerText(asmDir, "rowflat_neon", `
Quantizing one row to 4 bits as FlatQuant does. Values are float32.

Maths: code = half even(round_f16(x·Factor)), saturated to -8..7; side as
package asm has it.
`+quantizeNeonRegisters+`
V18 and V19 -8 and 7 in every byte.
`, func(f *neonFile) {
		quantizeNeon{
			rowNeon: rowNeon{exactNeon{f}},
			only:    true,
			constants: func(k rowNeon) {
				k.op("VMOVI $0xf8, V%d.B16", least)
				k.op("VMOVI $7, V%d.B16", most)
			},
			codes: func(k rowNeon, _ element, n int) {
				multiply(k, n)
				k.roundF16(n)
				even(k, n)
			},
			packed: func(k rowNeon) {
				k.hand("smax v0.16b, v0.16b, v%d.16b", least)
				k.hand("smin v0.16b, v0.16b, v%d.16b", most)
			},
		}.write("RowFlatNEON", "quantizes a row of float32 by half even(round_f16(x·Factor)) in -8..7.")
	})
}

// quantizeNeon is a kernel that quantizes a row, and what differs between them. What
// rounds to int32 saturates, as does all narrowing.
type quantizeNeon struct {
	rowNeon
	only      bool // values are float32
	constants func(rowNeon)
	eachType  func(k rowNeon, e element)        // fills what constants of a type there are
	scale     func(k rowNeon, e element)        // makes R11 the scale and the factor those of the group of R8 steps; nil: no groups
	codes     func(k rowNeon, e element, n int) // V0 to Vn-1, float32 to int32
	words     func(k rowNeon, v int)            // what is done to words; nil: nothing
	packed    func(rowNeon)                     // what is done to the bytes in V0; nil: nothing
}

func (k quantizeNeon) write(name, doc string) {
	k.function(name, "c *Row", 8, doc)
	k.op("MOVD c+0(FP), R0")
	k.load(0, field{rowX, 1}, field{rowCodes, 2}, field{rowRuns, 3}, field{rowCount, 4}, field{rowSide, 5})
	for i, at := range []int{rowZero, rowTimes, rowKeep, rowAdd} {
		k.op("MOVWU %d(R0), R%d", at, [...]int{14, 15, 17, 19}[i])
	}
	if k.scale != nil {
		k.load(0, field{rowScales, 6})
	} else {
		k.op("MOVWU %d(R0), R16", rowFactor)
		k.op("VDUP R16, V%d.S4", quantizeFactor)
	}
	if k.constants != nil {
		k.constants(k.rowNeon)
	}
	if k.only {
		k.runs(elementF32)
		k.op("RET")
		return
	}
	k.load(0, field{rowType, 16})
	k.byElement(16, k.runs)
}

// runs quantizes all runs of elements.
func (k quantizeNeon) runs(e element) {
	run := e.String() + "_run"
	if k.eachType != nil {
		k.eachType(k.rowNeon, e)
	}
	k.label(run)
	k.op("MOVWU %d(R3), R7", runSteps)
	if k.scale != nil {
		k.op("MOVWU %d(R3), R8", runGroup)
		k.op("CBZ R8, %v_scaled", e)
		k.scale(k.rowNeon, e)
		k.label(e.String() + "_scaled")
	}
	k.zero(quantizeSum, 1)
	k.op("MOVD R7, R8")
	k.turns(e.String(), 8, func(n int) {
		k.next(e, n, 1)
		k.codes(k.rowNeon, e, 2*n)
		k.pack(n)
		k.op("VST1.P [V0.%s], %d(R2)", map[int]string{1: "B8", 2: "B16"}[n], n*rowStep)
		k.hand("saddlp v1.8h, v0.16b")
		k.hand("sadalp v%d.4s, v1.8h", quantizeSum)
	})
	k.op("VADDV V%d.S4, V%[1]d", quantizeSum)
	k.op("FMOVS F%d, R9", quantizeSum)
	k.op("LSL $%d, R7", log2(rowStep))
	k.op("MUL R14, R7")
	k.op("SUB R7, R9")
	k.op("MUL R15, R9")
	k.op("AND R17, R9")
	k.op("ORR R19, R9")
	k.op("MOVW.P R9, 4(R5)")
	if k.scale != nil {
		k.op("MOVW.P R11, 4(R6)")
	}
	k.op("ADD $%d, R3", runSize)
	k.op("SUBS $1, R4")
	k.op("BNE %s", run)
}

// pack narrows the int32 of n steps to the bytes of V0; those of no step are 0.
func (k quantizeNeon) pack(n int) {
	for i := range n {
		k.hand("sqxtn v%d.4h, v%[1]d.4s", 2*i)
		k.hand("sqxtn2 v%d.8h, v%d.4s", 2*i, 2*i+1)
		if k.words != nil {
			k.words(k.rowNeon, 2*i)
		}
	}
	k.hand("sqxtn v0.8b, v0.8h")
	if n == 2 {
		k.hand("sqxtn2 v0.16b, v2.8h")
	}
	if k.packed != nil {
		k.packed(k.rowNeon)
	}
}

// groupScale makes R11 the scale of the group of R8 steps at R1, and the factor what
// its values are divided by. R8, R10 and R16 are lost.
func (k rowNeon) groupScale(e element, low, divisor int) {
	const top = 4
	k.zero(top, 4)
	k.op("MOVD R1, R10")
	k.each(e, e.String(), 10, 8, func(v int) {
		k.op("VAND V%d.B16, V%d.B16, V%[2]d.B16", low, v)
		k.largest("umax", e, v, top+v)
	})
	k.across("umax", e, top)
	switch e {
	case elementF16:
		k.hand("fcvtl v%d.4s, v%[1]d.4h", top)
	case elementBF16:
		k.hand("shll v%d.4s, v%[1]d.4h, #16", top)
	}
	k.op("FDIVS F%d, F%d, F%d", divisor, top, quantizeFactor)
	k.op("FMOVS F%d, R11", quantizeFactor)
	k.op("MOVD $%#x, R8", math.Float32bits(float32(math.Inf(1))))
	k.op("MOVD $0x7fc00000, R16")
	k.op("CMP R8, R11")
	k.op("CSEL LO, R11, R16, R11")
	k.comment("What is divided by NaN has code 0.")
	k.op("CMP $0, R11")
	k.op("CSEL NE, R11, R16, R16")
	k.op("VDUP R16, V%d.S4", quantizeFactor)
}
