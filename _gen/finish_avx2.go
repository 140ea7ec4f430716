package main

import (
	"fmt"

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
	outTiles      = 64
)

// Registers of the kernels for amd64, beside AX y of the row, BX its step, CX dst of the row,
// DX its step, SI scale, DI its step, R8 bias and R9 rows left.
var (
	outAt   = reg.R10 // bytes of the row's y and of bias, to the next tile
	outTo   = reg.R11 // dst of the next tile
	outEach = reg.R12 // tiles of a row
	outLeft = reg.R13 // of them
)

const outputMaths = `
Maths: dst[r][c] = round(y[r][c]·scale[r] + bias[c]): the product is rounded, then
the sum, then the output, to nearest and ties to even. A missing scale or bias
leaves its step out.

Layout: y rows of float32, dst rows of float32, or of values of 16 bits, both of tiles
of 16 columns.
`

func init() {
	register(asmDir, "finish_avx2", outputMaths+`
Registers: AX y, BX its step, CX dst, DX its step, SI scale, DI its step, R8
bias, R9 rows left, R10 bytes of y of the tiles before, R11 dst of the tile, R12 tiles,
R13 those left; Y0 and Y1 the row, Y2 the scale, Y3 to Y8 rounding to bfloat16
`, func(f *file) {
		finish(f, "F32", func(f *file) {
			f.VMOVUPS(reg.Y0, at(outTo, 0))
			f.VMOVUPS(reg.Y1, at(outTo, 32))
		})
		finish(f, "F16", func(f *file) {
			f.VCVTPS2PH(operand.Imm(0), reg.Y0, at(outTo, 0))
			f.VCVTPS2PH(operand.Imm(0), reg.Y1, at(outTo, 16))
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
			f.VMOVDQU(reg.Y0, at(outTo, 0))
		})
	})
}

func finish(f *file, kind string, store func(*file)) {
	f.function("Finish"+kind+"AVX2", "o *Output", "Finish"+kind+"AVX2 turns sums into outputs of the type in its name: see Output.")
	f.output()
	if kind == "BF16" {
		f.Comment("1, 0x7fff and 0x40 in every dword.")
		f.VPCMPEQD(reg.Y6, reg.Y6, reg.Y6)
		f.VPSRLD(operand.Imm(17), reg.Y6, reg.Y7)
		f.VPSRLD(operand.Imm(31), reg.Y6, reg.Y6)
		f.VPSLLD(operand.Imm(6), reg.Y6, reg.Y8)
	}
	f.outputRows(reg.Y2, func() {
		f.Label("tile")
		f.outputs(reg.Y2, reg.Y0, reg.Y1)
		store(f)
		f.ADDQ(operand.Imm(64), outAt)
		f.ADDQ(operand.U32(outputBytes(kind)), outTo)
		f.DECQ(outLeft)
		f.JNE(operand.LabelRef("tile"))
	})
}

// outputBytes is the bytes of the outputs of a tile.
func outputBytes(kind string) int {
	if kind == "F32" {
		return 64
	}
	return 32
}

// output reads the Output.
func (f *file) output() {
	o := reg.R10
	f.MOVQ(operand.NewParamAddr("o", 0), o)
	for _, l := range []struct {
		at int
		to reg.Register
	}{{outY, reg.RAX}, {outYStep, reg.RBX}, {outDst, reg.RCX}, {outDstStep, reg.RDX}, {outScales, reg.RSI}, {outScalesStep, reg.RDI}, {outBias, reg.R8}, {outRows, reg.R9}, {outTiles, outEach}} {
		f.MOVQ(at(o, l.at), l.to)
	}
}

// outputRows runs tiles for each row, with its scale, and returns.
func (f *file) outputRows(scale reg.VecPhysical, tiles func()) {
	f.Label("row")
	f.XORL(outAt.As32(), outAt.As32())
	f.MOVQ(reg.RCX, outTo)
	f.MOVQ(outEach, outLeft)
	f.TESTQ(reg.RSI, reg.RSI)
	f.JZ(operand.LabelRef("unscaled"))
	f.VBROADCASTSS(at(reg.RSI, 0), scale)
	f.ADDQ(reg.RDI, reg.RSI)
	f.Label("unscaled")
	tiles()
	f.ADDQ(reg.RBX, reg.RAX)
	f.ADDQ(reg.RDX, reg.RCX)
	f.DECQ(reg.R9)
	f.JNZ(operand.LabelRef("row"))
	f.VZEROUPPER()
	f.RET()
}

// outputs makes vectors the outputs from outAt on, not yet rounded.
func (f *file) outputs(scale reg.VecPhysical, y ...reg.VecPhysical) {
	size := int(y[0].Size())
	for i, v := range y {
		f.VMOVUPS(indexed(reg.RAX, outAt, 1, size*i), v)
	}
	label := func(what string) string { return fmt.Sprintf("%s%d", what, len(y)) }
	f.TESTQ(reg.RSI, reg.RSI)
	f.JZ(operand.LabelRef(label("bias")))
	for _, v := range y {
		f.VMULPS(scale, v, v)
	}
	f.Label(label("bias"))
	f.TESTQ(reg.R8, reg.R8)
	f.JZ(operand.LabelRef(label("store")))
	for i, v := range y {
		f.VADDPS(indexed(reg.R8, outAt, 1, size*i), v, v)
	}
	f.Label(label("store"))
}
