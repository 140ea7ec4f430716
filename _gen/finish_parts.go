package main

import (
	"github.com/mmcloughlin/avo/operand"
)

func init() {
	register(asmDir, "addparts_avx512", `
Sums of rows that are sums of parts.

Maths: y0 = y0 + y1, of three parts y0 + (y1 + y2); where y0 is infinite or NaN it stays, since a part
of 0 times an infinity is NaN.
Registers: three of sums and two of constants, a mask; pointers to y and to its next row, bytes from
part to part and to the next row's first, rows and vectors that are left.
`, func(f *file) {
		f.function("AddPartsAVX512", "y *float32, rows, parts, vectors uintptr",
			"AddPartsAVX512 adds to the first of every two or three parts the others: rows times parts rows of so many vectors",
			"of 16 sums stand behind each other. Rows and vectors are at least 1.")
		y, rows, parts, n := f.GP64(), f.GP64(), f.GP64(), f.GP64()
		f.Load(f.Param("y"), y)
		f.Load(f.Param("rows"), rows)
		f.Load(f.Param("parts"), parts)
		f.Load(f.Param("vectors"), n)
		step, skip, left, at0 := f.GP64(), f.GP64(), f.GP64(), f.GP64()
		magnitudes, inf, first, others, finite := f.ZMM(), f.ZMM(), f.ZMM(), f.ZMM(), f.K()
		f.MOVL(operand.U32(0x7fffffff), left.As32())
		f.VPBROADCASTD(left.As32(), magnitudes)
		f.MOVL(operand.U32(0x7f800000), left.As32())
		f.VPBROADCASTD(left.As32(), inf)
		f.MOVQ(n, step)
		f.SHLQ(operand.U8(6), step)
		f.MOVQ(step, skip)
		f.IMULQ(parts, skip)
		f.Label("row")
		f.MOVQ(y, at0)
		f.MOVQ(n, left)
		f.Label("vector")
		f.VMOVUPS(indexed(at0, step, 1, 0), others)
		f.CMPQ(parts, operand.U8(3))
		f.JNE(operand.LabelRef("two"))
		f.VADDPS(indexed(at0, step, 2, 0), others, others)
		f.Label("two")
		f.VMOVUPS(at(at0, 0), first)
		magnitude := f.ZMM()
		f.VPANDD(first, magnitudes, magnitude)
		f.VPCMPUD(operand.U8(1), inf, magnitude, finite) // less than
		f.VADDPS(others, first, finite, first)
		f.VMOVUPS(first, at(at0, 0))
		f.ADDQ(operand.U8(64), at0)
		f.DECQ(left)
		f.JNE(operand.LabelRef("vector"))
		f.ADDQ(skip, y)
		f.DECQ(rows)
		f.JNE(operand.LabelRef("row"))
		f.VZEROUPPER()
		f.RET()
	})
}
