package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	register(asmDir, "spread_avx2", `
Spreads codes of 2 to 7 bits, dense in a row, to a byte each.

Maths: the two bytes around a code, times the power of two that brings the code to
the top of 16 bits, shifted down: codes i of eight are of bits i·b to i·b+b−1.

Registers: AX to, BX from, CX turns left, DX bytes of eight codes, SI three times
that, DI Spread; Y0 and Y1 codes, Y2 pairs of bytes, Y3 factors, X4 the shift.`, func(f *file) {
		f.function("SpreadAVX2", "dst, src unsafe.Pointer, n uintptr, how *Spread",
			"SpreadAVX2 writes 32·n codes. It reads 16 bytes from the last eight of them on.")
		to, from, left, bytes, three, how := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI
		f.MOVQ(operand.NewParamAddr("dst", 0), to)
		f.MOVQ(operand.NewParamAddr("src", 8), from)
		f.MOVQ(operand.NewParamAddr("n", 16), left)
		f.MOVQ(operand.NewParamAddr("how", 24), how)
		f.VBROADCASTI128(at(how, spreadPairs), reg.Y2)
		f.VBROADCASTI128(at(how, spreadFactors), reg.Y3)
		f.MOVQ(at(how, spreadBits), bytes)
		f.MOVQ(operand.I32(16), three)
		f.SUBQ(bytes, three)
		f.VMOVQ(three, reg.X4)
		f.LEAQ(indexed(bytes, bytes, 2, 0), three)
		f.Label("turn")
		for i, y := range ymm[:2] {
			low, high := at(from, 0), indexed(from, bytes, 2, 0)
			if i == 1 {
				low, high = indexed(from, bytes, 1, 0), indexed(from, three, 1, 0)
			}
			f.VMOVDQU(low, y.AsX())
			f.VINSERTI128(operand.Imm(1), high, y, y)
		}
		for _, y := range ymm[:2] {
			f.VPSHUFB(reg.Y2, y, y)
			f.VPMULLW(reg.Y3, y, y)
			f.VPSRLW(reg.X4, y, y)
		}
		f.VPACKUSWB(reg.Y1, reg.Y0, reg.Y0)
		f.VMOVDQU(reg.Y0, at(to, 0))
		f.ADDQ(operand.Imm(32), to)
		f.LEAQ(indexed(from, bytes, 4, 0), from)
		f.DECQ(left)
		f.JNE(operand.LabelRef("turn"))
		f.VZEROUPPER()
		f.RET()
	})
}
