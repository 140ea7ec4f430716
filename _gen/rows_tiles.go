package main

import (
	"github.com/mmcloughlin/avo/operand"
)

func init() {
	register(asmDir, "rowsmall_avx512", `
Small values of a row.

Maths: x[i] = 0 where |x[i]| is less than least, by their patterns, and the largest
patterns of magnitudes in each of 16 lanes.
Registers: four of values, a mask, two pointers, the steps that are left.
`, func(f *file) {
		f.function("RowSmallAVX512", "x *float32, steps uintptr, least uint32, top *[16]uint32",
			"RowSmallAVX512 makes what is smaller than the float32 with the pattern least 0 in 16·steps values, steps at",
			"least 1, and leaves the largest magnitudes, among values that are 16 apart, in top.")
		p, n, out, v := f.GP64(), f.GP64(), f.GP64(), f.GP32()
		f.Load(f.Param("x"), p)
		f.Load(f.Param("steps"), n)
		f.Load(f.Param("top"), out)
		f.Load(f.Param("least"), v)
		least, magnitudes, top, x, magnitude, large := f.ZMM(), f.ZMM(), f.ZMM(), f.ZMM(), f.ZMM(), f.K()
		f.VPBROADCASTD(v, least)
		f.MOVL(operand.U32(0x7fffffff), v)
		f.VPBROADCASTD(v, magnitudes)
		f.VPXORD(top, top, top)
		f.Label("step")
		f.VMOVDQU32(at(p, 0), x)
		f.VPANDD(x, magnitudes, magnitude)
		f.VPMAXUD(magnitude, top, top)
		f.VPCMPUD(operand.U8(5), least, magnitude, large) // not less than
		f.VMOVDQU32_Z(x, large, x)
		f.VMOVDQU32(x, at(p, 0))
		f.ADDQ(operand.U8(64), p)
		f.DECQ(n)
		f.JNE(operand.LabelRef("step"))
		f.VMOVDQU32(top, at(out, 0))
		f.VZEROUPPER()
		f.RET()
	})
	register(asmDir, "rowtiles_avx512", `
A row of float32 that are bfloat16 in tiles.

Maths: of every 32 values the upper halves, in some order.
Registers: two of values and one of the order; three pointers, the tiles that are left.
`, func(f *file) {
		f.function("RowTilesAVX512", "dst *byte, x *float32, order *[32]uint16, tiles uintptr",
			"RowTilesAVX512 writes the upper halves of 32·tiles values, tiles at least 1: order has the place of each",
			"among 64 halves, and every 32 are 16 rows of 64 bytes behind those before.")
		to, p, order, n := f.GP64(), f.GP64(), f.GP64(), f.GP64()
		f.Load(f.Param("dst"), to)
		f.Load(f.Param("x"), p)
		f.Load(f.Param("order"), order)
		f.Load(f.Param("tiles"), n)
		which, x := f.ZMM(), f.ZMM()
		f.VMOVDQU32(at(order, 0), which)
		f.Label("tile")
		f.VMOVDQU32(at(p, 0), x)
		f.VPERMT2W(at(p, 64), which, x)
		f.VMOVDQU32(x, at(to, 0))
		f.ADDQ(operand.I32(128), p)
		f.ADDQ(operand.I32(16*64), to)
		f.DECQ(n)
		f.JNE(operand.LabelRef("tile"))
		f.VZEROUPPER()
		f.RET()
	})
}
