package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const w4Head = `
4-bit weights by int8 x: see package asm for the layout and the sums.

Maths: codes u ≤ 15 are unsigned, x is signed, so a pair product of vpmaddubsw is
within ±2·15·128, and eight of them, those of four lines, within int16: they are
added as int16, then as pairs to int32.
` + intRegisters + `one or two rows: Y4 to Y7 int16 sums, Y8 low nibbles' mask, Y9 ones, Y10 and Y11
weights' high nibbles; more: Y0 and up are int16, then int32 sums, kept in the
frame from line to line, Y10 and Y11 mask and ones, or the frame's constants.`

const p4Head = `
4-bit weights, unpacked to a byte each, by int8 x: see package asm for the layout
and the sums.

Maths: as for packed weights, DotW4AVX2.
` + intRegisters + `Y0 and up are int16, then int32 sums, kept in the frame from line to line, Y10
and Y11 mask and ones, or the frame's constants.`

func init() {
	register(asmDir, "dot_p4_avx2", p4Head, func(f *file) {
		for _, rows := range []int{1, 2, 3, 4, 5, 6} {
			name := fmt.Sprintf("DotP4AVX2x%d", rows)
			w4AVX2(&intAVX2{file: f, rows: rows}, true).write(name,
				fmt.Sprintf("%s adds the products of %d rows of int8 and a tile that UnpackW4AVX2 made to Y.", name, rows))
		}
	})
	register(asmDir, "dot_w4_avx2", w4Head, func(f *file) {
		for rows := 1; rows <= 6; rows++ {
			name := fmt.Sprintf("DotW4AVX2x%d", rows)
			w4AVX2(&intAVX2{file: f, rows: rows}, false).write(name,
				fmt.Sprintf("%s adds the products of %d rows of int8 and a tile of 4-bit codes to Y.", name, rows))
		}
	})
}

// w4Lines is the lines whose int16 sums cannot overflow.
const w4Lines = 4

// w4 is the part of a kernel of 4-bit weights that sums lines.
type w4 struct {
	*intAVX2
	unpacked   bool                           // lines hold a code in each byte, those of four features
	inFrame    bool                           // sums of a run of integers stay in the frame between folds
	part       func(r, h int) reg.VecPhysical // int16 sums
	mask, ones operand.Op
	low, high  []reg.VecPhysical // weights of two halves; the same registers where there are few
}

func w4AVX2(k *intAVX2, unpacked bool) *intAVX2 {
	w := &w4{intAVX2: k, unpacked: unpacked, inFrame: k.rows > 2, part: k.sum, low: ymm[12:14]}
	k.side = true
	k.constants, k.lines = w.fill, w.sumLines
	k.clear, k.keep = w.start, func() {}
	switch k.rows {
	case 1, 2:
		w.part = func(r, h int) reg.VecPhysical { return ymm[4+2*r+h] }
		w.mask, w.ones, w.high = reg.Y8, reg.Y9, ymm[10:12]
		if k.rows == 1 {
			k.y = ymm[2:4]
		}
	case 3:
		w.mask, w.ones, w.high = reg.Y10, reg.Y11, ymm[6:8]
	case 4:
		w.mask, w.ones, w.high = reg.Y10, reg.Y11, ymm[8:10]
	case 5:
		w.mask, w.ones, w.high = reg.Y10, reg.Y11, w.low
	case 6:
		w.mask, w.ones, w.high = k.vector(0), k.vector(1), w.low
	}
	if w.inFrame {
		k.vectors = 2 + 2*k.rows
		k.keep = w.keepInFrame
	}
	return k
}

// place is a sum's in the frame, behind two constants.
func (w *w4) place(row, half int) operand.Mem { return w.vector(2 + 2*row + half) }

// fill makes the constants.
func (w *w4) fill() {
	t := reg.Y12
	w.VPCMPEQW(t, t, t)
	w.VPSRLW(operand.Imm(15), t, t)
	w.VMOVDQU(t, w.ones)
	w.lowNibbles(t)
	w.VMOVDQU(t, w.mask)
}

// start begins a run of integers.
func (w *w4) start() {
	if w.inFrame {
		w.MOVQ(operand.I32(0), w.scalar(frameStarted))
		return
	}
	w.eachSum(func(r, h int) { w.VPXOR(w.sum(r, h), w.sum(r, h), w.sum(r, h)) })
}

func (w *w4) keepInFrame() {
	w.eachSum(func(r, h int) { w.VMOVDQA(w.sum(r, h), w.place(r, h)) })
	w.MOVQ(operand.I32(1), w.scalar(frameStarted))
}

// sumLines adds a segment's lines, four at a time, then those left.
func (w *w4) sumLines() {
	w.CMPQ(intLines, operand.Imm(w4Lines))
	w.JCS(operand.LabelRef("few"))
	w.Label("four")
	for i := range w4Lines {
		w.line(i, i == 0)
	}
	w.ADDQ(operand.Imm(8*w4Lines), intX)
	if w.rows > 3 {
		w.ADDQ(operand.Imm(8*w4Lines), intX3)
	}
	w.ADDQ(operand.U32(uint32(w.bytes()*w4Lines)), intW)
	w.SUBQ(operand.Imm(w4Lines), intLines)
	w.Label("fold")
	w.fold()
	w.TESTQ(intLines, intLines)
	w.JNE(operand.LabelRef("more"))
	w.Label("summed")

	w.later(func() {
		w.Label("more")
		if w.inFrame {
			w.keepInFrame()
		}
		w.CMPQ(intLines, operand.Imm(w4Lines))
		w.JCC(operand.LabelRef("four"))
		w.Label("few")
		w.eachSum(func(r, h int) { w.VPXOR(w.part(r, h), w.part(r, h), w.part(r, h)) })
		w.Label("one")
		w.line(0, false)
		w.ADDQ(operand.Imm(8), intX)
		if w.rows > 3 {
			w.ADDQ(operand.Imm(8), intX3)
		}
		w.ADDQ(operand.U32(uint32(w.bytes())), intW)
		w.DECQ(intLines)
		w.JNE(operand.LabelRef("one"))
		w.JMP(operand.LabelRef("fold"))
	})
}

// bytes is the size of eight features of a tile.
func (w *w4) bytes() int {
	if w.unpacked {
		return 128
	}
	return 64
}

// line adds line i, or makes it the first of the int16 sums.
func (w *w4) line(i int, first bool) {
	load := func(from int, to []reg.VecPhysical) {
		for _, h := range halves {
			w.VMOVDQA(at(intW, from+32*h), to[h])
		}
	}
	from := i * w.bytes()
	if !w.unpacked {
		w.fetch(from)
	}
	load(from, w.low)
	if w.unpacked {
		w.products(w.low, 8*i, first)
		load(from+64, w.high)
		w.products(w.high, 8*i+4, false)
		return
	}
	again := &w.low[0] == &w.high[0]
	if !again {
		for _, h := range halves {
			w.VPSRLW(operand.Imm(4), w.low[h], w.high[h])
		}
	}
	for _, h := range halves {
		w.VPAND(w.mask, w.low[h], w.low[h])
	}
	w.products(w.low, 8*i, first)
	if again {
		load(from, w.high)
		for _, h := range halves {
			w.VPSRLW(operand.Imm(4), w.high[h], w.high[h])
		}
	}
	for _, h := range halves {
		w.VPAND(w.mask, w.high[h], w.high[h])
	}
	w.products(w.high, 8*i+4, false)
}

// products adds codes times the four features of x at disp. Two products come
// before two additions, which keeps the multipliers of Zen 3 busier than turns do
// (measured: 1.61 against 1.50 a cycle).
func (w *w4) products(codes []reg.VecPhysical, disp int, first bool) {
	x := reg.Y14
	product := []reg.VecPhysical{reg.Y15, x}
	for r := range w.rows {
		w.VPBROADCASTD(w.x(r, disp), x)
		for _, h := range halves {
			if first {
				w.VPMADDUBSW(x, codes[h], w.part(r, h))
			} else {
				w.VPMADDUBSW(x, codes[h], product[h])
			}
		}
		if first {
			continue
		}
		for _, h := range halves {
			w.VPADDW(product[h], w.part(r, h), w.part(r, h))
		}
	}
}

// fold adds the int16 sums to the run of integers.
func (w *w4) fold() {
	if !w.inFrame {
		w.eachSum(func(r, h int) {
			w.VPMADDWD(w.ones, w.part(r, h), w.part(r, h))
			w.VPADDD(w.part(r, h), w.sum(r, h), w.sum(r, h))
		})
		return
	}
	w.eachSum(func(r, h int) { w.VPMADDWD(w.ones, w.sum(r, h), w.sum(r, h)) })
	w.CMPQ(w.scalar(frameStarted), operand.Imm(0))
	w.JEQ(operand.LabelRef("folded"))
	w.eachSum(func(r, h int) { w.VPADDD(w.place(r, h), w.sum(r, h), w.sum(r, h)) })
	w.Label("folded")
}
