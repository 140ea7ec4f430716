package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of asm.Output, in bytes; a test of that package
// compares them with the struct.
const (
	outY          = 0
	outYStep      = 8
	outDst        = 16
	outDstStep    = 24
	outScales     = 32
	outScalesStep = 40
	outBias       = 48
	outRows       = 56
)

func init() {
	register(asmDir, "finish_avx2", `
Maths: dst[r][c] = round(y[r][c]·scale[r] + bias[c]), 16 columns: the product is
rounded, then the sum, then the output, to nearest and ties to even. A missing
scale or bias leaves its step out.

Layout: y rows of 16 float32; dst rows of 16 float32, or 16 values of 16 bits.

Registers: AX y, BX its step, CX dst, DX its step, SI scale, DI its step, R8
bias, R9 rows left; Y0 and Y1 the row, Y2 the scale, Y3 to Y9 rounding to
bfloat16
`, func(f *file) {
		finish(f, "F32", func(f *file) {
			f.VMOVUPS(reg.Y0, at(reg.RCX, 0))
			f.VMOVUPS(reg.Y1, at(reg.RCX, 32))
		})
		finish(f, "F16", func(f *file) {
			f.VCVTPS2PH(operand.Imm(0), reg.Y0, at(reg.RCX, 0))
			f.VCVTPS2PH(operand.Imm(0), reg.Y1, at(reg.RCX, 16))
		})
		finish(f, "BF16", func(f *file) {
			for _, y := range []reg.VecPhysical{reg.Y0, reg.Y1} {
				f.Comment("u + 0x7fff + the bit that stays last, and of a NaN its upper half, quiet.")
				f.VCMPPS(operand.Imm(3), y, y, reg.Y3)
				f.VPSRLD(operand.Imm(16), y, reg.Y4)
				f.VPAND(reg.Y6, reg.Y4, reg.Y5)
				f.VPADDD(y, reg.Y5, reg.Y5)
				f.VPADDD(reg.Y7, reg.Y5, reg.Y5)
				f.VPSRLD(operand.Imm(16), reg.Y5, reg.Y5)
				f.VPOR(reg.Y8, reg.Y4, reg.Y4)
				f.VPBLENDVB(reg.Y3, reg.Y4, reg.Y5, y)
			}
			f.VPACKUSDW(reg.Y1, reg.Y0, reg.Y0)
			f.VPERMQ(operand.Imm(0xd8), reg.Y0, reg.Y0)
			f.VMOVDQU(reg.Y0, at(reg.RCX, 0))
		})
	})
}

func finish(f *file, kind string, store func(*file)) {
	f.function("Finish"+kind+"AVX2", "o *Output", "Finish"+kind+"AVX2 turns sums into outputs of the type in its name: see Output.")
	f.MOVQ(operand.NewParamAddr("o", 0), reg.R10)
	for _, l := range []struct {
		at int
		to reg.Register
	}{{outY, reg.RAX}, {outYStep, reg.RBX}, {outDst, reg.RCX}, {outDstStep, reg.RDX}, {outScales, reg.RSI}, {outScalesStep, reg.RDI}, {outBias, reg.R8}, {outRows, reg.R9}} {
		f.MOVQ(at(reg.R10, l.at), l.to)
	}
	if kind == "BF16" {
		f.Comment("1, 0x7fff and 0x40 in every dword.")
		f.VPCMPEQD(reg.Y6, reg.Y6, reg.Y6)
		f.VPSRLD(operand.Imm(17), reg.Y6, reg.Y7)
		f.VPSRLD(operand.Imm(31), reg.Y6, reg.Y6)
		f.VPSLLD(operand.Imm(6), reg.Y6, reg.Y8)
	}
	f.Label("row")
	f.VMOVUPS(at(reg.RAX, 0), reg.Y0)
	f.VMOVUPS(at(reg.RAX, 32), reg.Y1)
	f.TESTQ(reg.RSI, reg.RSI)
	f.JZ(operand.LabelRef("bias"))
	f.VBROADCASTSS(at(reg.RSI, 0), reg.Y2)
	f.ADDQ(reg.RDI, reg.RSI)
	f.VMULPS(reg.Y2, reg.Y0, reg.Y0)
	f.VMULPS(reg.Y2, reg.Y1, reg.Y1)
	f.Label("bias")
	f.TESTQ(reg.R8, reg.R8)
	f.JZ(operand.LabelRef("store"))
	f.VADDPS(at(reg.R8, 0), reg.Y0, reg.Y0)
	f.VADDPS(at(reg.R8, 32), reg.Y1, reg.Y1)
	f.Label("store")
	store(f)
	f.ADDQ(reg.RBX, reg.RAX)
	f.ADDQ(reg.RDX, reg.RCX)
	f.DECQ(reg.R9)
	f.JNZ(operand.LabelRef("row"))
	f.VZEROUPPER()
	f.RET()
}
