package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const unpackVNNIMaths = `
Unpacks tiles of 4-bit weights for kernels that read a code from each byte.

Maths: line 2i holds the low halves of line i's bytes, line 2i+1 the high halves`

const unpackVNNIRegisters = `.
Registers: AX packed, BX unpacked, CX blocks left, DX next Block, SI and DI bytes
of a header, R8 lines left; Z0 packed, Z1 high halves, Z2 mask`

func init() {
	register(asmDir, "unpack_w4_vnni", unpackVNNIMaths+unpackVNNIRegisters+".", func(f *file) {
		f.function("UnpackW4VNNI", "dst unsafe.Pointer, c *Call",
			"UnpackW4VNNI writes the tile of 4-bit codes at c.W to dst, 64-byte aligned: blocks with the",
			"same headers, and two lines for each, of one code in each byte, as lines of 8-bit codes are.",
			"It reads W, Blocks, Count and Form of c.")
		unpackW4(f, false)
	})
	register(asmDir, "unpack_w4_amx", unpackVNNIMaths+",\nboth less the zero point where that is one for all or a byte for each column"+unpackVNNIRegisters+", Z3 zero points,\nZ4 a 1 in each byte; R9 what is fetched, R10 0: zero points are bytes, those at R11.", func(f *file) {
		f.function("UnpackW4AMX", "dst unsafe.Pointer, c *Call",
			"UnpackW4AMX is UnpackW4VNNI but for codes of ZeroConstant and ZeroBytes, from which it takes the zero",
			"point, 0 to 128, so that sums of them need no correction, and for even numbers of lines. From Soon on",
			"it fetches half as many as it unpacks, whether they are there or not.")
		unpackW4(f, true)
	})
}

// unpackW4 emits an unpacking function behind its name.
func unpackW4(f *file, zero bool) {
	from, to, blocks, block, header, left, lines := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI, reg.R8
	low, high, mask, zeros := reg.Z0, reg.Z1, reg.Z2, reg.Z3
	soon, together := reg.R9, 1
	each, zero16, ones := reg.R10L, reg.R11, reg.Z4
	if zero {
		together = 2
	}
	f.MOVQ(operand.NewParamAddr("dst", 0), to)
	f.Load(f.Param("c"), from)
	f.MOVQ(at(from, callCount), blocks)
	f.MOVQ(at(from, callBlocks), block)
	f.MOVL(at(from, callForm), header.As32())
	if zero {
		f.Comment("The zero point, or none.")
		f.XORL(left.As32(), left.As32())
		f.TESTL(operand.U32(formZeroMask), header.As32())
		f.MOVL(at(from, callZero), lines.As32())
		f.CMOVLEQ(lines.As32(), left.As32())
		f.VPBROADCASTB(left.As32(), zeros)
		f.MOVQ(at(from, callSoon), soon)
		f.Comment("Whether there is one for each column.")
		f.MOVL(header.As32(), each)
		f.ANDL(operand.U32(formZeroMask), each)
		f.SUBL(operand.Imm(formBytes), each)
		f.MOVL(operand.U32(0x01010101), left.As32())
		f.VPBROADCASTD(left.As32(), ones)
	}
	f.MOVQ(at(from, callW), from)
	f.MOVL(operand.U32(0x0f0f0f0f), left.As32())
	f.VPBROADCASTD(left.As32(), mask)
	f.headerBytes(header.As32(), left.As32(), lines.As32())

	f.Label("block")
	f.MOVQ(header, left)
	f.Label("header")
	f.VMOVDQA64(at(from, 0), low)
	f.VMOVDQA64(low, at(to, 0))
	f.ADDQ(operand.Imm(64), from)
	f.ADDQ(operand.Imm(64), to)
	f.SUBQ(operand.Imm(64), left)
	f.JNE(operand.LabelRef("header"))
	f.MOVBQZX(at(block, blockSegments), left)
	if zero {
		f.LEAQ(at(from, -64), zero16)
		f.Label("segment")
		f.TESTL(each, each)
		f.JNE(operand.LabelRef("constant"))
		f.VPMOVZXBD(at(zero16, 0), zeros)
		f.VPMULLD(ones, zeros, zeros)
		f.ADDQ(operand.Imm(16), zero16)
		f.Label("constant")
	}
	f.MOVL(at(block, blockLines), lines.As32())
	if !zero {
		f.IMULQ(left, lines)
	}
	f.Label("line")
	if zero {
		f.PREFETCHT1(at(soon, 0))
		f.ADDQ(operand.Imm(64), soon)
	}
	for i := range together {
		f.VMOVDQA64(at(from, 64*i), low)
		f.VPSRLW(operand.Imm(4), low, high)
		f.VPANDD(mask, low, low)
		f.VPANDD(mask, high, high)
		if zero {
			f.VPSUBB(zeros, low, low)
			f.VPSUBB(zeros, high, high)
		}
		f.VMOVDQA64(low, at(to, 128*i))
		f.VMOVDQA64(high, at(to, 128*i+64))
	}
	f.ADDQ(operand.I32(64*together), from)
	f.ADDQ(operand.I32(128*together), to)
	f.SUBQ(operand.Imm(uint64(together)), lines)
	f.JNE(operand.LabelRef("line"))
	if zero {
		f.DECQ(left)
		f.JNE(operand.LabelRef("segment"))
	}
	f.ADDQ(operand.Imm(blockSize), block)
	f.DECQ(blocks)
	f.JNE(operand.LabelRef("block"))
	f.VZEROUPPER()
	f.RET()
}
