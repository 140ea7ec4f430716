package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const packSumsHead = `
Writes the sums of a segment's codes of each column behind their zero points.

Maths: Σ u, as pairs of bytes times 1, then pairs of int16 times 1.
Registers: AX zero points of 16 columns, a dword each, BX next line, CX lines left,
DX bits; Y0 and Y1 sums, Y2 and Y3 codes, Y4 and Y5 high nibbles, Y6 bytes and Y7
int16 of 1, Y8 the low nibbles' mask.`

func init() {
	register(asmDir, "pack_sums_avx2", packSumsHead, func(f *file) {
		f.function("PackSumsAVX2", "zeros, lines unsafe.Pointer, n, bits uintptr",
			"PackSumsAVX2 puts the sums of n lines of 8-bit codes, or of 4-bit ones if bits is 4, into the",
			"upper halves of the 16 dwords at zeros. It takes segments of up to 128 codes.")
		zeros, line, left, bits := reg.RAX, reg.RBX, reg.RCX, reg.RDX
		sums, codes, high := ymm[0:2], ymm[2:4], ymm[4:6]
		ones, words, mask := ymm[6], ymm[7], ymm[8]
		f.MOVQ(operand.NewParamAddr("zeros", 0), zeros)
		f.MOVQ(operand.NewParamAddr("lines", 8), line)
		f.MOVQ(operand.NewParamAddr("n", 16), left)
		f.MOVQ(operand.NewParamAddr("bits", 24), bits)
		f.lowNibbles(mask)
		f.VPCMPEQW(words, words, words)
		f.VPABSB(words, ones)
		f.VPSRLW(operand.Imm(15), words, words)
		for _, s := range sums {
			f.VPXOR(s, s, s)
		}
		f.Label("line")
		for h, u := range codes {
			f.VMOVDQU(at(line, 32*h), u)
		}
		f.CMPQ(bits, operand.Imm(4))
		f.JNE(operand.LabelRef("bytes"))
		for h, u := range codes {
			f.VPSRLW(operand.Imm(4), u, high[h])
			f.VPAND(mask, u, u)
			f.VPAND(mask, high[h], high[h])
			f.VPADDB(high[h], u, u)
		}
		f.Label("bytes")
		for h, u := range codes {
			f.VPMADDUBSW(ones, u, u)
			f.VPMADDWD(words, u, u)
			f.VPADDD(u, sums[h], sums[h])
		}
		f.ADDQ(operand.Imm(64), line)
		f.DECQ(left)
		f.JNE(operand.LabelRef("line"))
		for h, s := range sums {
			f.VPSLLD(operand.Imm(16), s, s)
			f.VMOVDQU(at(zeros, 32*h), codes[h])
			f.VPBLENDW(operand.U8(0xaa), s, codes[h], codes[h])
			f.VMOVDQU(codes[h], at(zeros, 32*h))
		}
		f.VZEROUPPER()
		f.RET()
	})
}
