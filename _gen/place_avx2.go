package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// placedRows is how many rows of values of so many bits are put in another order at once: a
// value of each fills 16 bytes.
func placedRows(bits int) int { return 128 / bits }

func init() {
	for _, bits := range []int{16, 32} {
		register(asmDir, fmt.Sprintf("placecolumns%d_avx2", bits), `
Puts the values of a few rows that are at the same place behind each other.

Maths: none. Columns of 16 bytes: of 16 bits, the values of eight rows, of 32 bits those of four.

	row 0  a0 a1 a2 …        column 0  a0 b0 c0 …
	row 1  b0 b1 b2 …   to   column 1  a1 b1 c1 …
	row 2  c0 c1 c2 …        column 2  a2 b2 c2 …

Registers: AX columns, BX and R8 to R14 rows, CX their pointers and then bytes of them, DX turns left;
Y0 to Y15 rows.`, func(f *file) { placeColumns(f, bits) })
		register(asmDir, fmt.Sprintf("placerows%d_avx2", bits), `
Puts columns of a few rows' values in an order, as rows.

Maths: none. Row r has value r of each column that the order names, one after the other.

	column 0  a0 b0 c0 …                 row 0  a2 a0 a1 …
	column 1  a1 b1 c1 …   by 2 0 1 to   row 1  b2 b0 b1 …
	column 2  a2 b2 c2 …                 row 2  c2 c0 c1 …

Registers: AX first rows, BX the fourth row behind, CX bytes from row to row, DX three times as many, SI
columns, DI places, R8 turns left, R9 to R12 columns' places; Y0 to Y15 columns.`, func(f *file) { placeRows(f, bits) })
	}
}

// transposed makes columns of rows, in each half of vectors by itself: the elements of all rows at a
// place, one after the other, and then those at the next. It interleaves the first half of the rows with the
// second as often as doubling one gives all.
func transposed(f *file, bits int, rows, other []reg.VecPhysical) []reg.VecPhysical {
	low, high := f.VPUNPCKLBW, f.VPUNPCKHBW
	switch bits {
	case 16:
		low, high = f.VPUNPCKLWD, f.VPUNPCKHWD
	case 32:
		low, high = f.VPUNPCKLDQ, f.VPUNPCKHDQ
	}
	n := len(rows)
	for turn := 1; turn < n; turn *= 2 {
		for i := range n / 2 {
			low(rows[n/2+i], rows[i], other[2*i])
			high(rows[n/2+i], rows[i], other[2*i+1])
		}
		rows, other = other, rows
	}
	return rows
}

func placeColumns(f *file, bits int) {
	n := placedRows(bits)
	f.function(fmt.Sprintf("PlaceColumns%dAVX2", bits), fmt.Sprintf("dst unsafe.Pointer, rows *[%d]unsafe.Pointer, n uintptr", n),
		fmt.Sprintf("PlaceColumns%dAVX2 writes 16 bytes for each of %d·n places, the values of %d bits of %d rows.", bits, 256/bits, bits, n))
	to, at0, left := reg.RAX, reg.RCX, reg.RDX
	from := []reg.GPPhysical{reg.RBX, reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.R14}[:n]
	f.MOVQ(operand.NewParamAddr("dst", 0), to)
	f.MOVQ(operand.NewParamAddr("rows", 8), at0)
	f.MOVQ(operand.NewParamAddr("n", 16), left)
	for i, r := range from {
		f.MOVQ(at(at0, 8*i), r)
	}
	f.XORQ(at0, at0)
	f.Label("turn")
	for i, r := range from {
		f.VMOVDQU(indexed(r, at0, 1, 0), ymm[i])
	}
	columns := transposed(f, bits, ymm[:n], ymm[n:2*n])
	for i, y := range columns {
		f.VMOVDQU(y.AsX(), at(to, 16*i))
		f.VEXTRACTI128(operand.Imm(1), y, at(to, 16*(n+i)))
	}
	f.ADDQ(operand.Imm(32), at0)
	f.ADDQ(operand.I32(int32(32*n)), to)
	f.DECQ(left)
	f.JNE(operand.LabelRef("turn"))
	f.VZEROUPPER()
	f.RET()
}

func placeRows(f *file, bits int) {
	n := placedRows(bits)
	f.function(fmt.Sprintf("PlaceRows%dAVX2", bits), "dst unsafe.Pointer, step uintptr, columns unsafe.Pointer, places *uint32, n uintptr",
		fmt.Sprintf("PlaceRows%dAVX2 writes %d rows, step bytes apart, of %d·n values of %d bits, those of the columns of 16 bytes", bits, n, 256/bits, bits),
		"whose places, twice what they are, are given.")
	dst, on, step, third, columns, places, left := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI, reg.R8
	place := []reg.GPPhysical{reg.R9, reg.R10, reg.R11, reg.R12}
	f.MOVQ(operand.NewParamAddr("dst", 0), dst)
	f.MOVQ(operand.NewParamAddr("step", 8), step)
	f.MOVQ(operand.NewParamAddr("columns", 16), columns)
	f.MOVQ(operand.NewParamAddr("places", 24), places)
	f.MOVQ(operand.NewParamAddr("n", 32), left)
	f.LEAQ(indexed(step, step, 2, 0), third)
	if n > 4 {
		f.LEAQ(indexed(dst, step, 4, 0), on)
	}
	f.Label("turn")
	for i := range n {
		for half := range 2 {
			p := place[(2*i+half)%len(place)]
			f.MOVL(at(places, 4*(i+half*n)), p.As32())
			if half == 0 {
				f.VMOVDQU(indexed(columns, p, 8, 0), ymm[i].AsX())
			} else {
				f.VINSERTI128(operand.Imm(1), indexed(columns, p, 8, 0), ymm[i], ymm[i])
			}
		}
	}
	for i, y := range transposed(f, bits, ymm[:n], ymm[n:2*n]) {
		base := reg.Register(dst)
		if i >= 4 {
			base = on
		}
		f.VMOVDQU(y, []operand.Mem{at(base, 0), indexed(base, step, 1, 0), indexed(base, step, 2, 0), indexed(base, third, 1, 0)}[i%4])
	}
	f.ADDQ(operand.I32(int32(8*n)), places)
	f.ADDQ(operand.Imm(32), dst)
	if n > 4 {
		f.ADDQ(operand.Imm(32), on)
	}
	f.DECQ(left)
	f.JNE(operand.LabelRef("turn"))
	f.VZEROUPPER()
	f.RET()
}
