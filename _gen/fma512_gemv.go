package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	register(asmDir, "gemv_f32_avx512", `
One row of float32 times plain float32 weights.
`+gemvPlainMaths+exact512Registers+`Z0 sums of y, Z3 x, Z28 to Z31 sums of four segments.
`, func(f *file) {
		k := gemv(f, zmm, 1)
		k.plain512(func(w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
			k.VBROADCASTSS(x(0), zmm[3])
			k.VFMADD231PS(w(0), zmm[3], sum[0])
		})
		k.write("GemvF32AVX512", "GemvF32AVX512 multiplies one row with plain float32 weights.")
	})
	register(asmDir, "gemv_bf16_avx512", `
One row of float32 times plain bfloat16 weights: the upper half of a float32
each.
`+gemvPlainMaths+exact512Registers+`Z0 sums of y, Z2 weights, Z4 a mask of upper halves, Z28 to Z31 sums of
four segments.
`, func(f *file) {
		k := gemv(f, zmm, 2)
		k.once = func() { k.fill(0xffff0000, zmm[4]) }
		k.plain512(func(w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
			for i := range 2 {
				k.VFMADD231PS_BCST(x(i), k.bf16Weight(i, w(0)), sum[0])
			}
		})
		k.write("GemvBF16AVX512", "GemvBF16AVX512 multiplies one row with plain bfloat16 weights.")
	})
	register(asmDir, "gemv_f16_avx512", `
One row of float32 times plain float16 weights. A register of 16 converted
weights has both features of eight columns; two of them are sorted into one of
each feature, with pairs of columns from both in turn, which the sums keep to
their end.
`+gemvPlainMaths+exact512Registers+`Z0 sums of y, Z2 weights of one feature, Z4 the order of pairs, Z5 and Z6
weights, Z28 to Z31 sums of four segments.
`, func(f *file) {
		k := gemv(f, zmm, 2)
		k.once = func() { k.evenOdd(zmm[4]) }
		k.plain512(func(w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
			k.halfWeights(w(0))
			for i := range 2 {
				k.VFMADD231PS_BCST(x(i), k.halfWeight(i), sum[0])
			}
		})
		k.fix = func(y reg.VecPhysical) { k.VPERMPD(y, zmm[4], y) }
		k.write("GemvF16AVX512", "GemvF16AVX512 multiplies one row with plain float16 weights.")
	})
	for _, c := range []codeBits{codes4, codes8} {
		bits := string('0' + rune(c))
		register(asmDir, "gemv_w"+bits+"_avx512", `
One row of float32 times codes of `+bits+` bits.
`+c.maths512()+exact512Registers+`Z0 and Z1 codes, then Z0 sums of y, Z2 weights or scales, Z3 zero points, Z4 to
Z7 masks, Z8 to Z11 powers of two, Z12 to Z27 what is taken from codes of four
segments`+c.table512()+`, Z28 to Z31 sums of four segments.
`, func(f *file) {
			k := gemv(f, zmm, c.perLine())
			k.scaled = true
			k.with(newCodes512(k.exactFMA, c, 4).weights())
			name := "GemvW" + bits + "AVX512"
			k.write(name, name+" multiplies one row with codes of "+bits+" bits.")
		})
	}
}

// plain512 makes k a kernel of plain weights for AVX-512.
func (k *gemvFMA) plain512(line plainLine) {
	k.plain(line)
	k.between = true
	k.aheadIn(exFrame)
}
