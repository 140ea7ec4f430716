package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const packHead = `
Writes lines of a tile, 16 columns, from the rows of these columns.

Maths: none. Line j of a tile has in dword c what row c has in its j-th dword; of
codes, one in each byte, the low nibbles of its j-th eight bytes, the upper four
above the lower four.

    row c    │ 4 bytes │ 4 bytes │ …        codes of row c  │01234567│…
                  │                                          │
    line j    dword c                       dword c of line  │40│51│62│73│

Four rows at a time, 32 bytes of each, are 4×4 dwords in each half of a register,
which are transposed.

Registers: AX next line, BX bytes to the next one and CX to the third, DX turns
left, SI bytes from row to row and DI to the third row, R8 to R11 rows 0, 4, 8 and
12, R12 four lines on; Y0 to Y3 rows, then Y4 to Y7 and Y0 to Y3 lines.`

func init() {
	register(asmDir, "pack_dwords_avx2", packHead, func(f *file) {
		packLines(f, "PackDwordsAVX2", 8, func(y []reg.VecPhysical) []reg.VecPhysical {
			for i := range 2 {
				f.VUNPCKLPS(y[2*i+1], y[2*i], y[4+i]) // dwords 0 and 1 of two rows
				f.VUNPCKHPS(y[2*i+1], y[2*i], y[6+i]) // 2 and 3
			}
			for i := range 2 {
				f.VUNPCKLPD(y[5+2*i], y[4+2*i], y[2*i])
				f.VUNPCKHPD(y[5+2*i], y[4+2*i], y[2*i+1])
			}
			return y[:4]
		}, "PackDwordsAVX2 writes 8·n lines, step bytes apart, from 16 rows of dwords, stride bytes apart.")
	})
	register(asmDir, "pack_nibbles_avx2", packHead, func(f *file) {
		packLines(f, "PackNibblesAVX2", 4, func(y []reg.VecPhysical) []reg.VecPhysical {
			for i := range 4 {
				f.VPSRLQ(operand.Imm(28), y[i], y[4+i])
				f.VPOR(y[4+i], y[i], y[i])
			}
			for i := range 2 {
				f.VSHUFPS(operand.Imm(0x88), y[2*i+1], y[2*i], y[4+i]) // the low dwords of two rows
			}
			f.VSHUFPS(operand.Imm(0x88), y[5], y[4], y[0])
			f.VSHUFPS(operand.Imm(0xdd), y[5], y[4], y[1])
			return y[:2]
		}, "PackNibblesAVX2 writes 4·n lines, step bytes apart, from 16 rows of 4-bit codes, one in each",
			"byte, stride bytes apart.")
	})
}

// packLines emits a function that writes lines from 32 bytes of each row at a
// time. transpose makes the lines of four columns of four rows: halves of
// registers, first all lower ones.
func packLines(f *file, name string, lines int, transpose func(rows []reg.VecPhysical) []reg.VecPhysical, doc ...string) {
	f.function(name, "dst unsafe.Pointer, step uintptr, src unsafe.Pointer, stride, n uintptr", doc...)
	dst, step, third, left, stride, stride3 := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI
	rows := []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11}
	on := reg.R12
	f.MOVQ(operand.NewParamAddr("dst", 0), dst)
	f.MOVQ(operand.NewParamAddr("step", 8), step)
	f.MOVQ(operand.NewParamAddr("src", 16), rows[0])
	f.MOVQ(operand.NewParamAddr("stride", 24), stride)
	f.MOVQ(operand.NewParamAddr("n", 32), left)
	f.LEAQ(indexed(step, step, 2, 0), third)
	f.LEAQ(indexed(stride, stride, 2, 0), stride3)
	for i := range 3 {
		f.LEAQ(indexed(rows[i], stride, 4, 0), rows[i+1])
	}
	f.Label("turn")
	if lines == 8 {
		f.LEAQ(indexed(dst, step, 4, 0), on)
	}
	line := func(j, column int) operand.Mem {
		base := dst
		if j > 3 {
			base = on
		}
		switch j % 4 {
		case 0:
			return at(base, column)
		case 3:
			return indexed(base, third, 1, column)
		}
		return indexed(base, step, j%4, column)
	}
	for q, row := range rows {
		y := ymm[:8]
		f.VMOVDQU(at(row, 0), y[0])
		f.VMOVDQU(indexed(row, stride, 1, 0), y[1])
		f.VMOVDQU(indexed(row, stride, 2, 0), y[2])
		f.VMOVDQU(indexed(row, stride3, 1, 0), y[3])
		f.ADDQ(operand.Imm(32), row)
		out := transpose(y)
		for j, y := range out {
			f.VMOVDQU(y.AsX(), line(j, 16*q))
			f.VEXTRACTI128(operand.Imm(1), y, line(len(out)+j, 16*q))
		}
	}
	if lines == 8 {
		f.LEAQ(indexed(on, step, 4, 0), dst)
	} else {
		f.LEAQ(indexed(dst, step, 4, 0), dst)
	}
	f.DECQ(left)
	f.JNE(operand.LabelRef("turn"))
	f.VZEROUPPER()
	f.RET()
}
