package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	for _, c := range []codeBits{codes4, codes8} {
		bits := string('0' + rune(c))
		register(asmDir, "rows_w"+bits+"_fma", `
Two to six rows of float32 times codes of `+bits+` bits.
`+codeMaths+rowsRegisters+`R15 zero points, DI frame (32-byte aligned), BP x of row 3 or of the second of two
segments; first Y registers: sums, up to Y11 codes, Y12 and Y13 weights, then scales,
Y14 x or a mask, Y15 exponents. The frame has scalars, masks, powers of two, what is taken
from codes of two segments and, for six rows of 4-bit codes, words of codes.
`, func(f *file) {
			for rows := 2; rows <= 6; rows++ {
				k := rowsKernel(f, ymm, rows, map[int]int{2: 2}[rows], c.perLine(), true)
				k.codes(c)
				name := fmt.Sprintf("RowsW%sFMAx%d", bits, rows)
				k.write(name, name+" multiplies so many rows with codes of "+bits+" bits.")
			}
		})
	}
}

// codes makes k a kernel of codes.
func (k *rowsFMA) codes(c codeBits) {
	fields := c.inWord()
	mask := func(j int) operand.Mem { return at(exFrame, rowsSlots+32*j) }
	one := func(j int) operand.Mem { return at(exFrame, rowsSlots+32*(fields+j)) }
	taken := func(s, h, j int) operand.Mem { return at(exFrame, rowsSlots+32*(fields*(2+2*s+h)+j)) }
	frame, words := rowsSlots+32*fields*(2+2*k.together), 0
	if k.rows == 6 && c == codes4 { // a word has four codes, and sums leave no register for it
		words, frame = frame, frame+4*32
	}
	zeros, weights, x, exponents := ymm[0], ymm[12:14], ymm[14], ymm[15]
	take := func(s, h int) {
		for j := range fields {
			k.VADDPS(one(j), zeros, ymm[1])
			k.VMOVAPS(ymm[1], taken(s, h, j))
		}
	}
	k.once = func() {
		k.MOVQ(exAny, exLeft)
		k.frame(frame)
		for j := range fields {
			k.fill(c.mask(j), ymm[1])
			k.VMOVAPS(ymm[1], mask(j))
			k.fill(c.one(j), ymm[1])
			k.VMOVAPS(ymm[1], one(j))
		}
		k.fill(codeExponents, exponents)
		k.MOVQ(exLeft, exAny)
		k.constantZero()
		for s := range k.together {
			take(s, 0)
			take(s, 1)
		}
	}
	k.segment = func(label string, s int) {
		k.ifBytes(label, k.slots.Offset(rowsForm), func() {
			for _, h := range halves {
				k.byteZeros(at(rowsZero, 8*h), zeros)
				take(s, h)
			}
			k.ADDQ(operand.Imm(16), rowsZero)
		})
	}
	k.line = func(segments []rowsSegment) {
		in := codeWords{k, segments, exponents, words, map[bool]bool{}}
		for i := range c.perLine() {
			high, j := c.at(i)
			in.read(high)
			for s, l := range segments {
				k.VMOVAPS(mask(j), x)
				for _, h := range halves {
					k.VANDPS(in.word(s, h, high), x, weights[h])
					k.VSUBPS(taken(s, h, j), weights[h], weights[h])
				}
				k.products(l, i, weights)
			}
		}
	}
}

// codeWords are the low and high words of a line, which take as many registers
// as sums leave: four for both words of one segment, two for one word of each
// segment, or with six rows none but those of the weights: then they are made for
// every feature, or once where they have a place in the frame.
type codeWords struct {
	k         *rowsFMA
	segments  []rowsSegment
	exponents reg.VecPhysical
	frame     int // their place in it, 0: none
	there     map[bool]bool
}

func (c codeWords) word(s, h int, high bool) operand.Op {
	if c.inFrame() {
		at := at(exFrame, c.frame+32*h)
		if high {
			at = at.Offset(2 * 32)
		}
		return at
	}
	return c.register(s, h, high)
}

func (c codeWords) register(s, h int, high bool) reg.VecPhysical {
	switch {
	case c.k.rows == 6:
		return ymm[12+h]
	case c.both() && high:
		return ymm[10+h]
	case c.k.rows == 5:
		return ymm[10+h]
	}
	return ymm[8+2*s+h]
}

func (c codeWords) inFrame() bool { return c.frame > 0 }

// both says whether both words of the line stay in registers.
func (c codeWords) both() bool { return len(c.segments) == 1 && c.k.rows < 5 }

// read makes sure that the low or the high words are there.
func (c codeWords) read(high bool) {
	if c.there[high] {
		return
	}
	for s, l := range c.segments {
		for _, h := range halves {
			y := c.register(s, h, high)
			if high {
				c.k.highWord(l.w(h), c.exponents, y)
			} else {
				c.k.lowWord(l.w(h), c.exponents, y)
			}
			if c.inFrame() {
				c.k.VMOVAPS(y, c.word(s, h, high))
			}
		}
	}
	c.there[high] = c.k.rows < 6 || c.inFrame()
	c.there[!high] = c.there[!high] && (c.both() || c.inFrame())
}
