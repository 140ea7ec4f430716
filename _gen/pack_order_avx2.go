package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const packOrderHead = `
Writes lines of a tile, 16 columns, whose features are in another order: from a
panel that has the 16 codes of a feature behind each other.

Maths: none. Dword c of a line has byte c of four features, or of eight: the upper
four above the lower four.

Registers: AX next line, BX bytes to the next one, CX panel, DX next feature of the
order, SI lines left, DI and R8 to R14 where features are; X0 to X7 features.`

const transposeHead = `
Puts the bytes of 16 rows that are at the same place behind each other.

Maths: none. Bytes of rows i and i+4 are interleaved, three times: that brings the
row, of eight, from the upper to the lower bits of a byte's place.

Registers: AX to, BX rows, CX bytes from row to row and DX to the third row, SI rows
4 on, DI turns left, R8 pass; Y0 to Y15 rows.`

func init() {
	register(asmDir, "transpose_avx2", transposeHead, func(f *file) {
		f.function("TransposeAVX2", "dst, src unsafe.Pointer, stride, n uintptr",
			"TransposeAVX2 writes 16 bytes for each of 32·n features, those of 16 rows, stride bytes apart.")
		transposeRows(f)
	})
	register(asmDir, "pack_ordered_dwords_avx2", packOrderHead, func(f *file) {
		packOrder(f, "PackOrderedDwordsAVX2", 4,
			"PackOrderedDwordsAVX2 writes n lines, step bytes apart, each of the next four features of order,",
			"from a panel of 16 bytes for each feature.")
	})
	register(asmDir, "pack_ordered_nibbles_avx2", packOrderHead, func(f *file) {
		packOrder(f, "PackOrderedNibblesAVX2", 8,
			"PackOrderedNibblesAVX2 writes n lines, step bytes apart, each of the next eight features of",
			"order, from a panel of 16 4-bit codes for each feature, one in each byte.")
	})
}

func transposeRows(f *file) {
	to, from, stride, third := reg.RAX, reg.RBX, reg.RCX, reg.RDX
	on, left, pass := reg.RSI, reg.RDI, reg.R8
	f.MOVQ(operand.NewParamAddr("stride", 16), stride)
	f.LEAQ(indexed(stride, stride, 2, 0), third)
	f.XORQ(pass, pass)
	f.Label("half")
	f.MOVQ(operand.NewParamAddr("dst", 0), to)
	f.MOVQ(operand.NewParamAddr("src", 8), from)
	f.MOVQ(operand.NewParamAddr("n", 24), left)
	f.LEAQ(indexed(to, pass, 8, 0), to)
	f.TESTQ(pass, pass)
	f.JEQ(operand.LabelRef("turn"))
	f.LEAQ(indexed(from, stride, 8, 0), from)
	f.Label("turn")
	f.LEAQ(indexed(from, stride, 4, 0), on)
	rows := ymm[0:8]
	for i, base := range []reg.Register{from, on} {
		f.VMOVDQU(at(base, 0), rows[4*i])
		f.VMOVDQU(indexed(base, stride, 1, 0), rows[4*i+1])
		f.VMOVDQU(indexed(base, stride, 2, 0), rows[4*i+2])
		f.VMOVDQU(indexed(base, third, 1, 0), rows[4*i+3])
	}
	features := transposed(f, 8, rows, ymm[8:16])
	for half := range 2 {
		for j, y := range features {
			if half == 1 {
				f.VEXTRACTI128(operand.Imm(1), y, y.AsX())
			}
			feature := 16*half + 2*j
			f.VMOVQ(y.AsX(), at(to, 16*feature))
			f.VMOVHPS(y.AsX(), at(to, 16*feature+16))
		}
	}
	f.ADDQ(operand.Imm(32), from)
	f.ADDQ(operand.I32(32*16), to)
	f.DECQ(left)
	f.JNE(operand.LabelRef("turn"))
	f.INCQ(pass)
	f.CMPQ(pass, operand.Imm(2))
	f.JNE(operand.LabelRef("half"))
	f.VZEROUPPER()
	f.RET()
}

func packOrder(f *file, name string, features int, doc ...string) {
	f.function(name, "dst unsafe.Pointer, step uintptr, panel unsafe.Pointer, order *int32, n uintptr", doc...)
	dst, step, panel, order, left := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI
	places := []reg.GPPhysical{reg.RDI, reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.R14}[:features]
	x := func(i int) reg.Register { return ymm[i].AsX() }
	f.MOVQ(operand.NewParamAddr("dst", 0), dst)
	f.MOVQ(operand.NewParamAddr("step", 8), step)
	f.MOVQ(operand.NewParamAddr("panel", 16), panel)
	f.MOVQ(operand.NewParamAddr("order", 24), order)
	f.MOVQ(operand.NewParamAddr("n", 32), left)
	f.Label("line")
	for i, p := range places {
		f.MOVLQSX(at(order, 4*i), p)
		f.SHLQ(operand.Imm(4), p)
	}
	for i, p := range places {
		f.VMOVDQU(indexed(panel, p, 1, 0), x(i))
	}
	if features == 8 {
		for i := range 4 {
			f.VPSLLW(operand.Imm(4), x(4+i), x(4+i))
			f.VPOR(x(4+i), x(i), x(i))
		}
	}
	for i := range 2 {
		f.VPUNPCKLBW(x(2*i+1), x(2*i), x(4+i))
		f.VPUNPCKHBW(x(2*i+1), x(2*i), x(6+i))
	}
	for i := range 2 {
		f.VPUNPCKLWD(x(5+2*i), x(4+2*i), x(2*i))
		f.VPUNPCKHWD(x(5+2*i), x(4+2*i), x(2*i+1))
	}
	for i := range 4 {
		f.VMOVDQU(x(i), at(dst, 16*i))
	}
	f.ADDQ(step, dst)
	f.ADDQ(operand.Imm(uint64(4*features)), order)
	f.DECQ(left)
	f.JNE(operand.LabelRef("line"))
	f.VZEROUPPER()
	f.RET()
}
