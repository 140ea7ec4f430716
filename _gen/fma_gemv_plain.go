package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const gemvPlainMaths = `
Maths: the package's exact sums of plain weights.
`

func init() {
	register(asmDir, "gemv_f32_fma", `
One row of float32 times plain float32 weights.
`+gemvPlainMaths+exRegisters+`Y0 and Y1 sums of y, Y3 x, Y8 to Y15 sums of four segments.
`, func(f *file) {
		gemvPlain(f, 1, nil, func(k exactFMA, w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
			k.VBROADCASTSS(x(0), ymm[3])
			for _, h := range halves {
				k.VFMADD231PS(w(h), ymm[3], sum[h])
			}
		}).write("GemvF32FMA", "GemvF32FMA multiplies one row with plain float32 weights.")
	})
	register(asmDir, "gemv_bf16_fma", `
One row of float32 times plain bfloat16 weights: the upper half of a float32
each.
`+gemvPlainMaths+exRegisters+`Y0 and Y1 sums of y, Y2 weights, Y3 x, Y4 a mask of upper halves, Y5 to Y7
weights, Y8 to Y15 sums of four segments.
`, func(f *file) {
		k := gemvPlain(f, 2, nil, func(k exactFMA, w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
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
		k.once = func() { k.fill(0xffff0000, ymm[4]) }
		k.write("GemvBF16FMA", "GemvBF16FMA multiplies one row with plain bfloat16 weights.")
	})
	register(asmDir, "gemv_f16_fma", `
One row of float32 times plain float16 weights. A register of eight converted
weights has both features of four columns; two of them are sorted into one of
each feature, with columns 0 1 4 5 2 3 6 7, which the sums keep to their end.
`+gemvPlainMaths+exRegisters+`Y0 and Y1 sums of y, Y2 weights of one feature, Y3 and Y4 x of two, Y5 to Y6
weights, Y8 to Y15 sums of four segments.
`, func(f *file) {
		fix := func(y reg.VecPhysical) { f.VPERMPD(operand.U8(0xd8), y, y) }
		gemvPlain(f, 2, fix, func(k exactFMA, w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
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
		}).write("GemvF16FMA", "GemvF16FMA multiplies one row with plain float16 weights.")
	})
}

// gemvPlain is a kernel of plain weights; line adds one line to two sums.
func gemvPlain(f *file, perLine int, fix func(reg.VecPhysical), line func(k exactFMA, w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical)) *gemvFMA {
	k := &gemvFMA{exactFMA: exactFMA{f}, perLine: perLine, fix: fix, once: func() {}, single: ymm[8:10]}
	k.clear = k.clearRegisters
	k.sum = k.registerSum
	k.four = func(x func(s, i int) operand.Mem) {
		for s := range 4 {
			line(k.exactFMA, func(h int) operand.Mem { return at(exW, 64*s+32*h) }, func(i int) operand.Mem { return x(s, i) }, ymm[8+2*s:])
		}
	}
	k.one = func(x func(i int) operand.Mem, sum []reg.VecPhysical) {
		line(k.exactFMA, func(h int) operand.Mem { return at(exW, 32*h) }, x, sum)
	}
	return k
}
