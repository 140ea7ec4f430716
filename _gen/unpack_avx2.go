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

func init() {
	register(asmDir, "unpack_w4_avx2", unpackW4Head, func(f *file) {
		f.function("UnpackW4AVX2", "dst unsafe.Pointer, c *Call",
			"UnpackW4AVX2 writes the tile of 4-bit codes at c.W to dst, 64-byte aligned: blocks with the",
			"same headers, and two lines for each, of one code in each byte, as lines of 8-bit codes are.",
			"It reads W, Blocks, Count and Form of c.")
		from, to, blocks, block, header, left, lines := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI, reg.R8
		mask := reg.Y15
		f.MOVQ(operand.NewParamAddr("dst", 0), to)
		f.Load(f.Param("c"), from)
		f.MOVQ(at(from, callCount), blocks)
		f.MOVQ(at(from, callBlocks), block)
		f.MOVL(at(from, callForm), header.As32())
		f.MOVQ(at(from, callW), from)
		f.VPCMPEQW(mask, mask, mask)
		f.VPSRLW(operand.Imm(12), mask, mask)
		f.VPACKUSWB(mask, mask, mask)
		f.headerBytes(header.As32(), left.As32(), lines.As32())

		f.Label("block")
		f.MOVQ(header, left)
		f.Label("header")
		for _, h := range halves {
			f.VMOVDQA(at(from, 32*h), ymm[h])
			f.VMOVDQA(ymm[h], at(to, 32*h))
		}
		f.ADDQ(operand.Imm(64), from)
		f.ADDQ(operand.Imm(64), to)
		f.SUBQ(operand.Imm(64), left)
		f.JNE(operand.LabelRef("header"))
		f.MOVL(at(block, blockLines), lines.As32())
		f.MOVBQZX(at(block, blockSegments), left)
		f.IMULQ(left, lines)
		f.Label("line")
		f.PREFETCHT0(at(from, aheadAVX2))
		for _, h := range halves {
			f.VMOVDQA(at(from, 32*h), ymm[h])
			f.VPSRLW(operand.Imm(4), ymm[h], ymm[2+h])
			f.VPAND(mask, ymm[h], ymm[h])
			f.VPAND(mask, ymm[2+h], ymm[2+h])
			f.VMOVDQA(ymm[h], at(to, 32*h))
			f.VMOVDQA(ymm[2+h], at(to, 64+32*h))
		}
		f.ADDQ(operand.Imm(64), from)
		f.SUBQ(operand.I8(-128), to)
		f.DECQ(lines)
		f.JNE(operand.LabelRef("line"))
		f.ADDQ(operand.Imm(blockSize), block)
		f.DECQ(blocks)
		f.JNE(operand.LabelRef("block"))
		f.VZEROUPPER()
		f.RET()
	})
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
