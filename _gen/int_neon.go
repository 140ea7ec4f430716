package main

import (
	"fmt"
	"strings"
)

// intNeonRegisters is the part of the heads of arm64's integer kernels that is
// the same for all.
const intNeonRegisters = `
Registers: R0 Call, R1 next line, R2 to R5 x of each row, R6 next Block, R7
Blocks left, R8 and R9 Side of row 0 and its step, R10 Scales of row 0, R11 and
R12 Y of row 0 and its step, R13 and R14 kinds of zeros and of scales, R15 lines
left in the segment, R16 and R17 addresses, R19 segments left in the block, R20
and R21 the segment's scales and zeros, R22 ends of the segments left, R23 and
R24 bytes of a segment's scales and zeros, R25 lines of a segment; V16 and up
int32 sums, four for each row; between the lines of two segments V0 to V3 y or
zeros, V4 to V7 scales or zeros, V8 a row's side or scale;
`

// intNeon is an integer kernel of arm64 while it is written: one to four rows
// by 16 columns, or eight rows by two times 8. The walk over blocks and segments,
// corrections, scales and float sums are here; the lines of a segment are the
// kernels' own. They have V0 to V15 to themselves, but for what constants leaves
// in V12 to V15.
type intNeon struct {
	*neonFile
	rows int

	constants func() // fills V12 to V15; R16 is free
	lines     func() // adds the segment's lines, R15 > 0 of them, to the sums
	twice     bool   // there are two sums for each row and four columns, the second 4·rows registers behind

	// With passes the call is walked twice, for columns 0 to 7 and 8 to 15. Lines
	// have R2 and R3, x of row 0 and its step, R1 at their half of a line, and sums
	// in an order of their own, which arrange takes to the one of sum and back.
	passes  bool
	arrange func(back bool)
}

// vectors are the registers of a row's sums.
func (k *intNeon) vectors() int {
	if k.passes {
		return 2
	}
	return 4
}

// sum is the register of row r's columns 4i to 4i+3.
func (k *intNeon) sum(r, i int) int {
	if k.passes {
		return 16 + r/2*4 + 2*i + r%2
	}
	return 16 + 4*r + i
}

func (k *intNeon) x(r int) int { return 2 + r }

func (k *intNeon) eachSum(f func(r, i int)) {
	for r := range k.rows {
		for i := range k.vectors() {
			f(r, i)
		}
	}
}

// list names n registers from v on.
func list(n, v int, arrangement string) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("V%d.%s", v+i, arrangement))
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// write emits the function.
func (k *intNeon) write(name, doc string) {
	k.function(name, "c *Call", 8, doc)
	k.begin()
	if k.passes {
		k.beginPass()
	}
	k.clear()

	k.label("block")
	k.op("MOVD R1, R20")
	k.op("ADD R23<<2, R1, R21")
	k.op("ADD R24<<2, R21, R1")
	if k.passes {
		k.op("ADD R4, R20")
		k.op("ADD R5, R21")
		k.op("ADD R26, R1")
	}
	k.op("MOVWU %d(R6), R25", blockLines)
	k.op("MOVBU %d(R6), R19", blockSegments)
	k.op("MOVBU %d(R6), R22", blockEnds)

	k.label("segment")
	k.op("MOVD R25, R15")
	k.lines()
	if k.twice {
		k.eachSum(func(r, i int) {
			second := k.sum(r, i) + 4*k.rows
			k.op("VADD V%d.S4, V%d.S4, V%[2]d.S4", second, k.sum(r, i))
			k.op("VEOR V%d.B16, V%[1]d.B16, V%[1]d.B16", second)
		})
	}
	if k.passes {
		k.arrange(false)
	}
	k.corrections()
	if !k.passes {
		k.op("TBZ $0, R22, segment_end")
	} else {
		k.op("TBZ $0, R22, goes_on")
	}
	k.convert()
	k.clearFirst()

	k.label("segment_end")
	k.op("LSR $1, R22")
	k.op("ADD R23, R20")
	k.op("ADD R24, R21")
	k.op("ADD $4, R8")
	k.op("ADD $4, R10")
	k.op("SUBS $1, R19")
	k.op("BNE segment")
	k.op("ADD $%d, R6", blockSize)
	if k.passes {
		k.op("SUB R26, R1")
	}
	k.op("SUBS $1, R7")
	k.op("BNE block")
	if k.passes {
		k.op("CBNZ R26, done")
		k.op("MOVD $32, R26")
		k.op("LSR $1, R23, R4")
		k.op("LSR $1, R24, R5")
		k.op("B pass")
		k.label("done")
	}
	k.op("RET")
	if k.passes {
		k.label("goes_on")
		k.arrange(true)
		k.op("B segment_end")
	}
}

// beginPass goes back to the first block, for the columns that R26 says.
func (k *intNeon) beginPass() {
	for _, r := range []int{4, 5, 26} {
		k.op("MOVD ZR, R%d", r)
	}
	k.label("pass")
	k.load([]field{{callW, 1}, {callX, 2}, {callXStep, 3}, {callBlocks, 6}, {callCount, 7}, {callSide, 8}, {callScales, 10}, {callY, 11}})
	k.op("ADD R26, R11")
}

// field is one of Call, and the register for it.
type field struct{ offset, register int }

func (k *intNeon) load(fields []field) {
	for _, f := range fields {
		k.op("MOVD %d(R0), R%d", f.offset, f.register)
	}
}

// begin reads the Call.
func (k *intNeon) begin() {
	k.op("MOVD c+0(FP), R0")
	k.load([]field{{callSStep, 9}, {callYStep, 12}, {callForm, 13}})
	if !k.passes {
		k.load([]field{{callW, 1}, {callX, 2}, {callXStep, 16}, {callBlocks, 6}, {callCount, 7}, {callSide, 8}, {callScales, 10}, {callY, 11}})
		for r := range k.rows - 1 {
			k.op("ADD R16, R%d, R%d", k.x(r), k.x(r+1))
		}
	}
	k.comment("Scales of 4 or 2 bytes, zeros of 0, 1 or 4.")
	k.op("AND $%d, R13, R14", formScaleMask)
	k.op("AND $%d, R13", formZeroMask)
	k.op("MOVD $64, R16")
	k.op("MOVD $32, R17")
	k.op("CMP $%d, R14", formF32)
	k.op("CSEL EQ, R16, R17, R23")
	k.op("LSL $2, R13, R24")
	k.op("CMP $%d, R13", formPairs)
	k.op("CSEL EQ, R16, R24, R24")
	if k.constants != nil {
		k.constants()
	}
}

// clear sets all sums to 0.
func (k *intNeon) clear() {
	k.clearFirst()
	if k.twice {
		k.eachSum(func(r, i int) { k.zero(k.sum(r, i) + 4*k.rows) })
	}
}

func (k *intNeon) clearFirst() { k.eachSum(func(r, i int) { k.zero(k.sum(r, i)) }) }

func (k *intNeon) zero(v int) { k.op("VEOR V%d.B16, V%[1]d.B16, V%[1]d.B16", v) }

// corrections adds what Side says of the segment.
func (k *intNeon) corrections() {
	each := func(load string, add func(r int)) {
		k.op("MOVD R8, R16")
		for r := range k.rows {
			k.op(load)
			add(r)
			if r < k.rows-1 {
				k.op("ADD R9, R16")
			}
		}
	}
	k.op("CBNZ R13, zeros")
	each("VLD1R (R16), [V8.S4]", func(r int) {
		for i := range k.vectors() {
			k.op("VADD V8.S4, V%d.S4, V%[1]d.S4", k.sum(r, i))
		}
	})
	k.op("B corrected")
	// product adds the int16 of v and v+1, one a column, times an int16 of side.
	product := func(r, v, half int) {
		for i := range k.vectors() {
			name, arrangement := "smlal", "4h"
			if i%2 == 1 {
				name, arrangement = "smlal2", "8h"
			}
			k.hand("%s v%d.4s, v%d.%s, v8.h[%d]", name, k.sum(r, i), v+i/2, arrangement, half)
		}
	}
	k.label("zeros")
	k.op("CMP $%d, R13", formPairs)
	k.op("BEQ pairs")
	if k.passes {
		k.op("FMOVD (R21), F4")
		k.op("VUXTL V4.B8, V0.H8")
	} else {
		k.op("VLD1 (R21), [V4.B16]")
		k.op("VUXTL V4.B8, V0.H8")
		k.op("VUXTL2 V4.B16, V1.H8")
	}
	each("FMOVS (R16), F8", func(r int) { product(r, 0, 0) })
	k.op("B corrected")
	k.label("pairs")
	k.op("VLD1 (R21), %s", list(k.vectors(), 0, "B16"))
	for i := range k.vectors() / 2 {
		k.op("VUZP1 V%d.H8, V%d.H8, V%d.H8", 2*i+1, 2*i, 4+i)
		k.op("VUZP2 V%d.H8, V%d.H8, V%d.H8", 2*i+1, 2*i, 6+i)
	}
	each("FMOVS (R16), F8", func(r int) {
		product(r, 4, 0)
		product(r, 6, 1)
	})
	k.label("corrected")
}

// convert scales the sums and adds them to Y.
func (k *intNeon) convert() {
	k.loadScales()
	k.eachSum(func(r, i int) { k.hand("scvtf v%d.4s, v%[1]d.4s", k.sum(r, i)) })
	k.op("MOVD %d(R0), R17", callScales)
	k.op("CBNZ R17, scaled")
	k.accumulate(func(r int) {
		for i := range k.vectors() {
			k.op("VFMLA V%d.S4, V%d.S4, V%d.S4", 4+i, k.sum(r, i), i)
		}
	})
	k.op("B converted")
	k.label("scaled")
	k.eachSum(func(r, i int) { k.hand("fmul v%d.4s, v%[1]d.4s, v%d.4s", k.sum(r, i), 4+i) })
	k.op("MOVD R10, R17")
	k.accumulate(func(r int) {
		k.op("FMOVS (R17), F8")
		for i := range k.vectors() {
			k.hand("fmla v%d.4s, v%d.4s, v8.s[0]", i, k.sum(r, i))
		}
		if r < k.rows-1 {
			k.op("ADD R9, R17")
		}
	})
	k.label("converted")
}

// loadScales widens the segment's scales to float32, in V4 to V7.
func (k *intNeon) loadScales() {
	k.op("CBNZ R14, halves")
	k.op("VLD1 (R20), %s", list(k.vectors(), 4, "S4"))
	k.op("B scales")
	k.label("halves")
	halves := k.vectors() / 2
	k.op("VLD1 (R20), %s", list(halves, 2, "B16"))
	k.op("CMP $%d, R14", formF16)
	k.op("BNE bf16")
	for i := range halves {
		k.hand("fcvtl v%d.4s, v%d.4h", 4+2*i, 2+i)
		k.hand("fcvtl2 v%d.4s, v%d.8h", 5+2*i, 2+i)
	}
	k.op("B scales")
	k.label("bf16")
	for i := range halves {
		k.hand("shll v%d.4s, v%d.4h, #16", 4+2*i, 2+i)
		k.hand("shll2 v%d.4s, v%d.8h, #16", 5+2*i, 2+i)
	}
	k.label("scales")
}

// accumulate loads each row of Y into V0 to V3, adds and stores.
func (k *intNeon) accumulate(add func(r int)) {
	k.op("MOVD R11, R16")
	for r := range k.rows {
		k.op("VLD1 (R16), %s", list(k.vectors(), 0, "S4"))
		add(r)
		k.op("VST1 %s, (R16)", list(k.vectors(), 0, "S4"))
		if r < k.rows-1 {
			k.op("ADD R12, R16")
		}
	}
}
