package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const avxVNNIMaths = `
Maths: codes are unsigned, x is signed, as vpdpbusd takes them: four products and
the sum of before, in int32 without saturation.
`

const avxVNNIRest = `Y12 and Y13 are weights of a half of 8 columns each, Y14 x; one or two rows have as
many sums again, added at the end of a segment. 4-bit codes: the two registers
behind the sums, or Y10 and Y11, are high codes, Y8, Y10, Y9 or Y15 the low nibbles' mask.`

func init() {
	for _, tier := range []struct{ name, file string }{{"AVXVNNI", "avxvnni"}, {"VNNI256", "vnni256"}} {
		for _, kind := range []struct {
			family, file, head, codes string
			bits, lines               int // lines of 8-bit codes in each of the panel's
		}{
			{"DotW4", "dot_w4_", "4-bit weights by int8 x: see package asm for the layout and the sums.", "4-bit codes", 4, 1},
			{"DotW8", "dot_w8_", "8-bit weights by int8 x: see package asm for the layout and the sums.", "8-bit codes", 8, 1},
			{"DotP4", "dot_p4_", "4-bit weights, unpacked by UnpackW4AVX2, by int8 x: see package asm for the sums.", "unpacked 4-bit codes", 8, 2},
		} {
			register(asmDir, kind.file+tier.file, kind.head+"\n"+avxVNNIMaths+intRegisters+avxVNNIRest, func(f *file) {
				for rows := 1; rows <= 6; rows++ {
					name := fmt.Sprintf("%s%sx%d", kind.family, tier.name, rows)
					k := &avxVNNI{intAVX2: &intAVX2{file: f, rows: rows, side: true}, bits: kind.bits, perLine: kind.lines}
					k.dot = func(x, codes, sum reg.VecPhysical) { f.VPDPBUSD(x, codes, sum) }
					if tier.name == "AVXVNNI" {
						k.dot = f.peakVexDot
					}
					k.write(name, fmt.Sprintf("%s adds the products of %d rows of int8 and a tile of %s to Y.", name, rows, kind.codes))
				}
			})
		}
	}
}

// avxVNNI is a kernel of AVX-VNNI, or its twin in EVEX, while it is written.
type avxVNNI struct {
	*intAVX2
	bits, perLine int
	dot           func(x, codes, sum reg.VecPhysical)
	second        []reg.VecPhysical // sums of every second product; nil: none
	low, high     []reg.VecPhysical // high: nil where weights are loaded twice
	mask          reg.VecPhysical   // of low nibbles
}

func (k *avxVNNI) write(name, doc string) {
	k.low, k.mask = ymm[12:14], reg.Y15
	switch k.rows {
	case 1:
		k.y, k.second, k.high, k.mask = ymm[2:4], ymm[4:6], ymm[6:8], reg.Y8
	case 2:
		k.second, k.high, k.mask = ymm[4:8], ymm[8:10], reg.Y10
	case 3, 4:
		k.high, k.mask = ymm[10:12], reg.Y9
	case 5:
		k.high = ymm[10:12]
	}
	k.constants = func() {}
	if k.bits == 4 && !k.maskEachTime() {
		k.constants = k.makeMask
	}
	k.clear = func() { k.eachSum(func(r, h int) { k.VPXOR(k.sum(r, h), k.sum(r, h), k.sum(r, h)) }) }
	k.keep = func() {}
	k.lines = k.sumLines
	k.intAVX2.write(name, doc)
}

// maskEachTime says whether the mask has no register to itself: corrections
// between the lines of two segments use Y15.
func (k *avxVNNI) maskEachTime() bool { return k.mask == reg.Y15 }

func (k *avxVNNI) makeMask() { k.lowNibbles(k.mask) }

// sumLines adds a segment's lines, two at a time, then the one left.
func (k *avxVNNI) sumLines() {
	step := 8 // bytes of a row of x for a line
	if k.bits == 8 {
		step = 4
	}
	for _, s := range k.second {
		k.VPXOR(s, s, s)
	}
	if k.bits == 4 && k.maskEachTime() {
		k.makeMask()
	}
	if k.perLine == 2 {
		k.ADDQ(intLines, intLines)
	}
	next := func(lines int) {
		k.ADDQ(operand.Imm(uint64(step*lines)), intX)
		if k.rows > 3 {
			k.ADDQ(operand.Imm(uint64(step*lines)), intX3)
		}
		k.SUBQ(operand.I8(int8(-64*lines)), intW)
	}
	k.SUBQ(operand.Imm(2), intLines)
	k.JCS(operand.LabelRef("few"))
	k.Label("many")
	for i := range 2 {
		k.line(i, i*step)
	}
	next(2)
	k.SUBQ(operand.Imm(2), intLines)
	k.JCC(operand.LabelRef("many"))
	k.Label("few")
	k.ADDQ(operand.Imm(2), intLines)
	k.JNE(operand.LabelRef("one"))
	k.Label("summed")
	if k.second != nil {
		k.eachSum(func(r, h int) { k.VPADDD(k.second[2*r+h], k.sum(r, h), k.sum(r, h)) })
	}
	k.later(func() {
		k.Label("one")
		k.line(0, 0)
		next(1)
		k.JMP(operand.LabelRef("summed"))
	})
}

// line adds line i, whose features of x begin at disp.
func (k *avxVNNI) line(i, disp int) {
	load := func(to []reg.VecPhysical) {
		for _, h := range halves {
			k.VMOVDQA(at(intW, 64*i+32*h), to[h])
		}
	}
	if k.perLine == 1 {
		k.fetch(64 * i)
	}
	load(k.low)
	if k.bits == 8 {
		k.products(k.low, disp, i)
		return
	}
	high := k.high
	if high != nil {
		for _, h := range halves {
			k.VPSRLW(operand.Imm(4), k.low[h], high[h])
		}
	}
	for _, h := range halves {
		k.VPAND(k.mask, k.low[h], k.low[h])
	}
	k.products(k.low, disp, 0)
	if high == nil {
		high = k.low
		load(high)
		for _, h := range halves {
			k.VPSRLW(operand.Imm(4), high[h], high[h])
		}
	}
	for _, h := range halves {
		k.VPAND(k.mask, high[h], high[h])
	}
	k.products(high, disp+4, 1)
}

// products adds codes times the four features of x at disp.
func (k *avxVNNI) products(codes []reg.VecPhysical, disp, chain int) {
	for r := range k.rows {
		k.VPBROADCASTD(k.x(r, disp), reg.Y14)
		for _, h := range halves {
			sum := k.sum(r, h)
			if chain == 1 && k.second != nil {
				sum = k.second[2*r+h]
			}
			k.dot(reg.Y14, codes[h], sum)
		}
	}
}
