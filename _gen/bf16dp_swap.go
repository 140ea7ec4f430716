package main

import "github.com/mmcloughlin/avo/operand"

func init() {
	register(asmDir, "rowswap_avx2", `
The order of pairs of 4-bit codes, for rows of 16-bit values.

Maths: of every four values the second and the third change places.
Registers: one of values, two pointers, the steps that are left.
`, func(f *file) {
		f.function("RowSwapAVX2", "dst, x *byte, steps uintptr",
			"RowSwapAVX2 writes 8·steps values, steps at least 1, to dst, which may be x.")
		to, p, n := f.GP64(), f.GP64(), f.GP64()
		f.Load(f.Param("dst"), to)
		f.Load(f.Param("x"), p)
		f.Load(f.Param("steps"), n)
		const swap, bytes = 0b11_01_10_00, 2 * rowStep
		f.SUBQ(operand.U8(2), n)
		f.JCS(operand.LabelRef("odd"))
		f.Label("pair")
		y := f.YMM()
		f.VPSHUFLW(operand.U8(swap), at(p, 0), y)
		f.VPSHUFHW(operand.U8(swap), y, y)
		f.VMOVDQU(y, at(to, 0))
		f.ADDQ(operand.U8(2*bytes), p)
		f.ADDQ(operand.U8(2*bytes), to)
		f.SUBQ(operand.U8(2), n)
		f.JCC(operand.LabelRef("pair"))
		f.Label("odd")
		f.ADDQ(operand.U8(2), n)
		f.JEQ(operand.LabelRef("done"))
		x := y.AsX()
		f.VPSHUFLW(operand.U8(swap), at(p, 0), x)
		f.VPSHUFHW(operand.U8(swap), x, x)
		f.VMOVDQU(x, at(to, 0))
		f.Label("done")
		f.VZEROUPPER()
		f.RET()
	})
}
