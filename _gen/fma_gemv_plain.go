package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const gemvPlainMaths = `
Maths: the package's exact sums of plain weights.
`

// plainLine adds a line to the sum of a segment.
type plainLine func(w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical)

func init() {
	register(asmDir, "gemv_f32_fma", `
One row of float32 times plain float32 weights.
`+gemvPlainMaths+exRegisters+`Y0 and Y1 sums of y, Y3 x, Y8 to Y15 sums of four segments.
`, func(f *file) {
		k := gemv(f, ymm, 1)
		k.plain(func(w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
			k.VBROADCASTSS(x(0), ymm[3])
			for _, h := range halves {
				k.VFMADD231PS(w(h), ymm[3], sum[h])
			}
		})
		k.write("GemvF32FMA", "GemvF32FMA multiplies one row with plain float32 weights.")
	})
	register(asmDir, "gemv_bf16_fma", `
One row of float32 times plain bfloat16 weights: the upper half of a float32
each.
`+gemvPlainMaths+exRegisters+`Y0 and Y1 sums of y, Y2 weights, Y3 x, Y4 a mask of upper halves, Y6 and Y7
weights, Y8 to Y15 sums of four segments.
`, func(f *file) {
		k := gemv(f, ymm, 2)
		k.once = func() { k.fill(0xffff0000, ymm[4]) }
		k.plain(func(w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
			k.VBROADCASTSS(x(0), ymm[3])
			for _, h := range halves {
				k.VMOVDQU(w(h), ymm[6+h])
				k.VPSLLD(operand.U8(16), ymm[6+h], ymm[2])
				k.VFMADD231PS(ymm[2], ymm[3], sum[h])
			}
			k.VBROADCASTSS(x(1), ymm[3])
			for _, h := range halves {
				k.VPAND(ymm[4], ymm[6+h], ymm[6+h])
				k.VFMADD231PS(ymm[6+h], ymm[3], sum[h])
			}
		})
		k.write("GemvBF16FMA", "GemvBF16FMA multiplies one row with plain bfloat16 weights.")
	})
	register(asmDir, "gemv_f16_fma", `
One row of float32 times plain float16 weights. A register of eight converted
weights has both features of four columns; two of them are sorted into one of
each feature, with columns 0 1 4 5 2 3 6 7, which the sums keep to their end.
`+gemvPlainMaths+exRegisters+`Y0 and Y1 sums of y, Y2 weights of one feature, Y3 and Y4 x of two, Y5 and Y6
weights, Y8 to Y15 sums of four segments.
`, func(f *file) {
		k := gemv(f, ymm, 2)
		k.plain(func(w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
			k.VBROADCASTSS(x(0), ymm[3])
			k.VBROADCASTSS(x(1), ymm[4])
			for _, h := range halves {
				k.VCVTPH2PS(w(h), ymm[5])
				k.VCVTPH2PS(w(h).Offset(16), ymm[6])
				k.VSHUFPS(operand.U8(0x88), ymm[6], ymm[5], ymm[2])
				k.VFMADD231PS(ymm[2], ymm[3], sum[h])
				k.VSHUFPS(operand.U8(0xdd), ymm[6], ymm[5], ymm[2])
				k.VFMADD231PS(ymm[2], ymm[4], sum[h])
			}
		})
		k.fix = func(y reg.VecPhysical) { k.VPERMPD(operand.U8(0xd8), y, y) }
		k.write("GemvF16FMA", "GemvF16FMA multiplies one row with plain float16 weights.")
	})
}

// plain makes k a kernel of plain weights.
func (k *gemvFMA) plain(line plainLine) {
	k.lines(func(s int, w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
		line(w, x, sum)
	})
	k.aheadIn(exScale)
}
