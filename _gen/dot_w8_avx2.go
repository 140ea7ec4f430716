package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const w8Head = `
8-bit weights by int16 x: see package asm for the layout and the sums. Two
products of 8 bits do not fit int16, so vpmaddubsw cannot sum them.

Maths: codes widen to int16 and lose their zero point, two features of a column
beside each other; vpmaddwd multiplies them by two features of x, exactly.
` + intRegisters + `Y12 and Y13 are weights of two features; shuffles and zero points are in Y8 to
Y11 or in the frame.`

const p8Head = `
8-bit weights, widened and without their zero points, by int16 x: see package asm
for the layout and the sums.

Maths: as for packed weights, DotW8AVX2, with lines of int16: 16 columns by two
features each.
` + intRegisters

func init() {
	for _, kind := range []struct{ family, name, head, of string }{
		{"DotW8AVX2", "dot_w8_avx2", w8Head, "a tile of 8-bit codes"},
		{"DotP8AVX2", "dot_p8_avx2", p8Head, "a tile that UnpackW8AVX2 made"},
	} {
		register(asmDir, kind.name, kind.head, func(f *file) {
			for rows := 1; rows <= 6; rows++ {
				w8AVX2(&intAVX2{file: f, rows: rows}, kind.name == "dot_p8_avx2").write(fmt.Sprint(kind.family, "x", rows),
					fmt.Sprintf("%sx%d adds the products of %d rows of int16 and %s to Y.", kind.family, rows, rows, kind.of),
					"It reads no Side.")
			}
		})
	}
}

// w8 is the part of a kernel of 8-bit weights that sums lines.
type w8 struct {
	*intAVX2
	unpacked bool
	pair     [2]operand.Op // shuffles that widen features 0 and 1, and 2 and 3, of each column
	zero     [2]operand.Op // zero points of a half, each twice
}

func w8AVX2(k *intAVX2, unpacked bool) *intAVX2 {
	w := &w8{intAVX2: k, unpacked: unpacked}
	k.vectors = 4
	switch {
	case k.rows <= 4:
		w.pair, w.zero = [2]operand.Op{reg.Y8, reg.Y9}, [2]operand.Op{reg.Y10, reg.Y11}
	case k.rows == 5:
		w.pair, w.zero = [2]operand.Op{reg.Y10, reg.Y11}, [2]operand.Op{k.vector(2), k.vector(3)}
	default:
		w.pair, w.zero = [2]operand.Op{k.vector(0), k.vector(1)}, [2]operand.Op{k.vector(2), k.vector(3)}
	}
	if k.rows == 1 {
		k.y = ymm[2:4]
	}
	k.clear = func() {
		k.eachSum(func(r, h int) { k.VPXOR(k.sum(r, h), k.sum(r, h), k.sum(r, h)) })
	}
	k.keep = func() {}
	k.constants, k.lines = w.constants, w.lines
	if unpacked {
		k.constants = func() {}
	}
	return k
}

// widenTwo is eight bytes of a shuffle that widens features 2·pair and 2·pair+1
// of each column to 16 bits: those of the even eight bytes of a register, or the
// odd.
func widenTwo(pair, odd int) uint64 {
	first := uint64(odd%2*8 + 2*pair)
	return 0x8000_8000_8000_8000 | first | (first+1)<<16 | (first+4)<<32 | (first+5)<<48
}

// constants makes the shuffles, and the zero point that all have.
func (w *w8) constants() {
	for p := range w.pair {
		for q := range 4 {
			m := w.vector(p)
			m.Disp += 8 * q
			w.MOVQ(operand.U64(widenTwo(p, q)), intLines)
			w.MOVQ(intLines, m)
		}
		if r, ok := w.pair[p].(reg.Register); ok {
			w.VMOVDQA(w.vector(p), r)
		}
	}
	w.VPBROADCASTW(at(intW, callZero), reg.Y12)
	for _, h := range halves {
		w.VMOVDQA(reg.Y12, w.zero[h])
	}
}

// lines adds a segment's lines, eight features at a time.
func (w *w8) lines() {
	if !w.unpacked {
		w.segmentZeros()
	}
	w.Label("lines")
	for i := range 2 {
		w.line(i)
	}
	w.ADDQ(operand.Imm(16), intX)
	if w.rows > 3 {
		w.ADDQ(operand.Imm(16), intX3)
	}
	w.ADDQ(operand.U32(2*w.bytes()), intW)
	w.SUBQ(operand.Imm(2), intLines)
	w.JNE(operand.LabelRef("lines"))
}

// segmentZeros reads zero points of bytes.
func (w *w8) segmentZeros() {
	w.TESTL(operand.U32(formZeroMask), w.scalar(frameForm))
	w.JNE(operand.LabelRef("zeros"))
	w.later(func() {
		w.Label("zeros")
		for _, h := range halves {
			w.VPMOVZXBD(at(intZero, 8*h), reg.Y12)
			w.VPSLLD(operand.Imm(16), reg.Y12, reg.Y13)
			w.VPOR(reg.Y12, reg.Y13, reg.Y12)
			w.VMOVDQA(reg.Y12, w.zero[h])
		}
		w.JMP(operand.LabelRef("lines"))
	})
}

// bytes is the size of four features of a tile.
func (w *w8) bytes() int {
	if w.unpacked {
		return 128
	}
	return 64
}

// line adds line i.
func (w *w8) line(i int) {
	weights, x := ymm[12:14], reg.Y14
	product := []reg.VecPhysical{reg.Y15, x}
	if !w.unpacked {
		w.fetch(64 * i)
	}
	for p := range w.pair {
		for _, h := range halves {
			if w.unpacked {
				w.VMOVDQA(at(intW, 128*i+64*p+32*h), weights[h])
			} else {
				w.VMOVDQA(at(intW, 64*i+32*h), weights[h])
				w.VPSHUFB(w.pair[p], weights[h], weights[h])
				w.VPSUBW(w.zero[h], weights[h], weights[h])
			}
		}
		for r := range w.rows {
			w.VPBROADCASTD(w.x(r, 8*i+4*p), x)
			for _, h := range halves {
				w.VPMADDWD(x, weights[h], product[h])
			}
			for _, h := range halves {
				w.VPADDD(product[h], w.sum(r, h), w.sum(r, h))
			}
		}
	}
}
