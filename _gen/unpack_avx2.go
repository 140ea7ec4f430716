package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const unpackW4Head = `
Unpacks tiles of 4-bit weights for kernels that read a code from each byte.

Maths: line 2i holds the low halves of line i's bytes, line 2i+1 the high halves.
Registers: AX packed, BX unpacked, CX blocks left, DX next Block, SI and DI bytes
of a header, R8 lines left; Y0 and Y1 packed, Y2 and Y3 high halves, Y15 mask.`

const unpackW8Head = `
Unpacks tiles of 8-bit weights for kernels that read int16.

Maths: line 2i holds u−z of features 0 and 1 of line i, line 2i+1 those of
features 2 and 3, two int16 for each column.
Registers: AX packed, BX unpacked, CX blocks left, DX next Block, SI and DI bytes
of a header, R8 lines left, R9 zeros of the segment, R10 segments left, R11 Form's
zeros; Y0 packed, Y1 to Y4 unpacked, Y10 and Y11 zeros, Y14 and Y15 shuffles.`

var (
	tileFrom, tileTo       = reg.RAX, reg.RBX
	tileBlocks, tileBlock  = reg.RCX, reg.RDX
	tileHeader, tileLeft   = reg.RSI, reg.RDI
	tileLines, tileZeros   = reg.R8, reg.R9
	tileSegments, tileForm = reg.R10, reg.R11
)

func init() {
	register(asmDir, "unpack_w4_avx2", unpackW4Head, func(f *file) {
		mask := reg.Y15
		f.unpack("UnpackW4AVX2", func() { f.lowNibbles(mask) }, nil, func() {
			for _, h := range halves {
				f.VMOVDQA(at(tileFrom, 32*h), ymm[h])
				f.VPSRLW(operand.Imm(4), ymm[h], ymm[2+h])
				f.VPAND(mask, ymm[h], ymm[h])
				f.VPAND(mask, ymm[2+h], ymm[2+h])
				f.VMOVDQA(ymm[h], at(tileTo, 32*h))
				f.VMOVDQA(ymm[2+h], at(tileTo, 64+32*h))
			}
		}, "UnpackW4AVX2 writes the tile of 4-bit codes at c.W to dst, 64-byte aligned: blocks with the",
			"same headers, and two lines for each, of one code in each byte, as lines of 8-bit codes are.",
			"It reads W, Blocks, Count and Form of c.")
	})
	register(asmDir, "unpack_w8_avx2", unpackW8Head, func(f *file) {
		zero, pair := ymm[10:12], ymm[14:16]
		f.unpack("UnpackW8AVX2", func() {
			for _, h := range halves {
				f.VPBROADCASTW(at(tileFrom, callZero), zero[h])
			}
			for p, s := range pair {
				for q := range 2 {
					f.MOVQ(operand.U64(widenTwo(p, q)), tileLeft)
					f.VMOVQ(tileLeft, ymm[q].AsX())
				}
				f.VPUNPCKLQDQ(reg.X1, reg.X0, reg.X0)
				f.VINSERTI128(operand.Imm(1), reg.X0, reg.Y0, s)
			}
		}, func() {
			f.TESTL(tileForm.As32(), tileForm.As32())
			f.JEQ(operand.LabelRef("line"))
			for h, z := range zero {
				f.VPMOVZXBD(at(tileZeros, 8*h), reg.Y0)
				f.VPSLLD(operand.Imm(16), reg.Y0, reg.Y1)
				f.VPOR(reg.Y0, reg.Y1, z)
			}
			f.ADDQ(operand.Imm(16), tileZeros)
		}, func() {
			for _, h := range halves {
				f.VMOVDQA(at(tileFrom, 32*h), reg.Y0)
				for p, s := range pair {
					f.VPSHUFB(s, reg.Y0, ymm[1+p])
					f.VPSUBW(zero[h], ymm[1+p], ymm[1+p])
					f.VMOVDQA(ymm[1+p], at(tileTo, 64*p+32*h))
				}
			}
		}, "UnpackW8AVX2 writes the tile of 8-bit codes at c.W to dst, 64-byte aligned: blocks with the",
			"same headers, and two lines for each, of int16 codes without their zero points, as lines of",
			"16-bit weights are. It reads W, Blocks, Count, Form and Zero of c.")
	})
}

// unpack writes the function name that unpacks blocks: constants fills registers
// when AX still holds the Call, segment begins a segment, line unpacks a line.
func (f *file) unpack(name string, constants, segment, line func(), doc ...string) {
	f.function(name, "dst unsafe.Pointer, c *Call", doc...)
	f.MOVQ(operand.NewParamAddr("dst", 0), tileTo)
	f.Load(f.Param("c"), tileFrom)
	f.MOVQ(at(tileFrom, callCount), tileBlocks)
	f.MOVQ(at(tileFrom, callBlocks), tileBlock)
	f.MOVL(at(tileFrom, callForm), tileForm.As32())
	constants()
	f.MOVQ(at(tileFrom, callW), tileFrom)
	f.MOVL(tileForm.As32(), tileHeader.As32())
	f.headerBytes(tileHeader.As32(), tileLeft.As32(), tileLines.As32())
	f.ANDL(operand.U32(formZeroMask), tileForm.As32())

	f.Label("block")
	f.MOVQ(tileHeader, tileLeft)
	f.Label("header")
	for _, h := range halves {
		f.VMOVDQA(at(tileFrom, 32*h), ymm[h])
		f.VMOVDQA(ymm[h], at(tileTo, 32*h))
	}
	f.ADDQ(operand.Imm(64), tileFrom)
	f.ADDQ(operand.Imm(64), tileTo)
	f.SUBQ(operand.Imm(64), tileLeft)
	f.JNE(operand.LabelRef("header"))
	f.MOVBQZX(at(tileBlock, blockSegments), tileSegments)
	f.MOVL(at(tileBlock, blockLines), tileLines.As32())
	if segment == nil {
		f.IMULQ(tileSegments, tileLines)
	} else {
		f.LEAQ(at(tileFrom, -64), tileZeros)
		f.Label("segment")
		segment()
	}
	f.Label("line")
	f.PREFETCHT0(at(tileFrom, aheadAVX2))
	line()
	f.ADDQ(operand.Imm(64), tileFrom)
	f.SUBQ(operand.I8(-128), tileTo)
	f.DECQ(tileLines)
	f.JNE(operand.LabelRef("line"))
	if segment != nil {
		f.MOVL(at(tileBlock, blockLines), tileLines.As32())
		f.DECQ(tileSegments)
		f.JNE(operand.LabelRef("segment"))
	}
	f.ADDQ(operand.Imm(blockSize), tileBlock)
	f.DECQ(tileBlocks)
	f.JNE(operand.LabelRef("block"))
	f.VZEROUPPER()
	f.RET()
}

// headerBytes replaces a Form by the bytes that its blocks have before their
// lines.
func (f *file) headerBytes(form, zeros, other reg.Register) {
	f.Comment("64 scales of 4 or 2 bytes, 64 zeros of 0, 1 or 4.")
	f.MOVL(form, zeros)
	f.ANDL(operand.U32(formZeroMask), zeros)
	f.SHLL(operand.Imm(4), zeros)
	f.MOVL(operand.U32(256), other)
	f.CMPL(zeros, operand.U32(16*formBytes))
	f.CMOVLHI(other, zeros)
	f.MOVL(operand.U32(128), other)
	f.TESTL(operand.U32(formScaleMask), form)
	f.MOVL(operand.U32(256), form)
	f.CMOVLNE(other, form)
	f.ADDL(zeros, form)
}
