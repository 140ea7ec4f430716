package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const rowsPlainRegisters = rowsRegisters + `R15 step of Y, DI x of row 3 or of the second of two segments; first Y registers:
sums, Y12 and Y13 weights, Y14 x`

func init() {
	plain := func(name, kernel, what, vectors string, perLine int, together map[int]int, set func(k *rowsFMA)) {
		register(asmDir, "rows_"+name+"_fma", `
Two to six rows of float32 times plain `+what+` weights.
`+gemvPlainMaths+rowsPlainRegisters+vectors+`
`, func(f *file) {
			for rows := 2; rows <= 6; rows++ {
				k := rowsKernel(f, ymm, rows, together[rows], perLine, false)
				set(k)
				name := fmt.Sprintf("%sx%d", kernel, rows)
				k.write(name, name+" multiplies so many rows with plain "+what+" weights.")
			}
		})
	}
	weights := ymm[12:14]
	plain("f32", "RowsF32FMA", "float32", ".", 1, map[int]int{2: 2, 3: 2}, func(k *rowsFMA) {
		k.line = func(segments []rowsSegment) {
			for _, l := range segments {
				for _, h := range halves {
					k.VMOVUPS(l.w(h), weights[h])
				}
				k.products(l, 0, weights)
			}
		}
	})
	plain("bf16", "RowsBF16FMA", "bfloat16", ", Y15 a mask of upper\nhalves.", 2, map[int]int{2: 2, 3: 2}, func(k *rowsFMA) {
		k.once = func() {
			k.MOVL(operand.U32(0xffff0000), exLeft.As32())
			k.VMOVD(exLeft.As32(), ymm[15].AsX())
			k.VPBROADCASTD(ymm[15].AsX(), ymm[15])
		}
		k.line = func(segments []rowsSegment) {
			for _, l := range segments {
				for _, h := range halves {
					k.VMOVDQU(l.w(h), weights[h])
					k.VPSLLD(operand.U8(16), weights[h], weights[h])
				}
				k.products(l, 0, weights)
				for _, h := range halves {
					k.VPAND(l.w(h), ymm[15], weights[h])
				}
				k.products(l, 1, weights)
			}
		}
	})
	plain("f16", "RowsF16FMA", "float16", ", Y10 and Y11 weights of the\nsecond feature, Y15 weights on their way; sums have columns 0 1 4 5 2 3 6 7 to their end.", 2, map[int]int{2: 2}, func(k *rowsFMA) {
		k.fix = func(y reg.VecPhysical) { k.VPERMPD(operand.U8(0xd8), y, y) }
		second := ymm[10:12]
		if k.rows == 6 {
			second = weights // converted again
		}
		feature := func(l rowsSegment, i int, w []reg.VecPhysical) {
			for _, h := range halves {
				k.VCVTPH2PS(l.w(h), ymm[14])
				k.VCVTPH2PS(l.w(h).Offset(16), ymm[15])
				if i == 0 {
					k.VSHUFPS(operand.U8(0x88), ymm[15], ymm[14], w[h])
				}
				if i == 1 || k.rows < 6 {
					k.VSHUFPS(operand.U8(0xdd), ymm[15], ymm[14], second[h])
				}
			}
		}
		k.line = func(segments []rowsSegment) {
			for _, l := range segments {
				feature(l, 0, weights)
				k.products(l, 0, weights)
				if k.rows == 6 {
					feature(l, 1, weights)
				}
				k.products(l, 1, second)
			}
		}
	})
}

// products adds weights times feature i of all rows. Y14 is lost.
func (k *rowsFMA) products(l rowsSegment, i int, weights []reg.VecPhysical) {
	for r := range k.rows {
		k.VBROADCASTSS(l.x(r, i), ymm[14])
		for _, h := range halves {
			k.VFMADD231PS(weights[h], ymm[14], l.sum(r, h))
		}
	}
}
