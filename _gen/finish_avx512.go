package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	register(asmDir, "finish_avx512", outputMaths+`
Two tiles go together, whose outputs of 16 bits are a vector.

Registers: AX y, BX its step, CX dst, DX its step, SI scale, DI its step, R8
bias, R9 rows left, R10 bytes of y of the tiles before, R11 dst of the tile, R12
tiles, R13 those left but two; Z0 and Z1 the row, Z2 the scale, Z4 to Z8 rounding to
bfloat16, Z9 the order of quadwords behind packing
`, func(f *file) {
		finish512(f, "F32", func(y ...reg.VecPhysical) {
			for i, v := range y {
				f.VMOVUPS(v, at(outTo, 64*i))
			}
		})
		finish512(f, "F16", func(y ...reg.VecPhysical) {
			for i, v := range y {
				f.VCVTPS2PH(operand.Imm(0), v, at(outTo, 32*i))
			}
		})
		finish512(f, "BF16", func(y ...reg.VecPhysical) {
			for _, v := range y {
				f.Comment("u + 0x7fff + the bit that stays last, and a NaN quiet, of which the upper half stays.")
				f.VCMPPS(operand.Imm(3), v, v, reg.K1)
				f.VPSRLD(operand.Imm(16), v, reg.Z4)
				f.VPANDD(reg.Z6, reg.Z4, reg.Z4)
				f.VPADDD(reg.Z7, v, reg.Z5)
				f.VPADDD(reg.Z4, reg.Z5, reg.Z5)
				f.VPORD(reg.Z8, v, reg.K1, reg.Z5)
				f.VPSRLD(operand.Imm(16), reg.Z5, v)
			}
			if len(y) == 1 {
				f.VPMOVDW(y[0], at(outTo, 0))
				return
			}
			f.VPACKUSDW(y[1], y[0], y[0])
			f.VPERMQ(y[0], reg.Z9, y[0])
			f.VMOVDQU64(y[0], at(outTo, 0))
		})
	})
}

func finish512(f *file, kind string, store func(y ...reg.VecPhysical)) {
	f.function("Finish"+kind+"AVX512", "o *Output", "Finish"+kind+"AVX512 turns sums into outputs of the type in its name: see Output.")
	if kind == "BF16" {
		f.Comment("1, 0x7fff and 0x400000 in every dword.")
		f.VPTERNLOGD(operand.U8(0xff), reg.Z6, reg.Z6, reg.Z6)
		f.VPSRLD(operand.Imm(17), reg.Z6, reg.Z7)
		f.VPSRLD(operand.Imm(31), reg.Z6, reg.Z6)
		f.VPSLLD(operand.Imm(22), reg.Z6, reg.Z8)
		exactFMA{f, zmm}.evenOdd(reg.Z9)
	}
	f.output()
	tile := outputBytes(kind)
	f.outputRows(reg.Z2, func() {
		f.SUBQ(operand.Imm(2), outLeft)
		f.JCS(operand.LabelRef("last"))
		f.Label("two")
		f.outputs(reg.Z2, reg.Z0, reg.Z1)
		store(reg.Z0, reg.Z1)
		f.ADDQ(operand.U32(2*64), outAt)
		f.ADDQ(operand.U32(2*tile), outTo)
		f.SUBQ(operand.Imm(2), outLeft)
		f.JCC(operand.LabelRef("two"))
		f.Label("last")
		f.INCQ(outLeft)
		f.JNE(operand.LabelRef("next"))
		f.outputs(reg.Z2, reg.Z0)
		store(reg.Z0)
		f.Label("next")
	})
}
