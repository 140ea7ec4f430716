package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const rows512Registers = rowsRegisters + `DI three steps of x, `

// rows512Most is the most rows of a kernel.
const rows512Most = 8

// Up to so many rows two segments go together, so that eight sums or more keep two units
// busy: with codes as many as registers allow, while plain weights come from memory no faster.
const rows512PairsW4, rows512PairsW8, rows512PairsPlain = 6, 8, 5

func init() {
	kernel := func(name, doc string, perLine, pairs int, scaled bool, weights func(k *rowsFMA) weights512) func(*file) {
		return func(f *file) {
			for rows := 2; rows <= rows512Most; rows++ {
				together := 1
				if rows <= pairs {
					together = 2
				}
				k := rowsKernel(f, zmm, rows, together, perLine, scaled)
				k.with(weights(k))
				name := fmt.Sprintf("%sx%d", name, rows)
				k.write(name, name+" multiplies so many rows with "+doc+".")
			}
		}
	}
	for _, c := range []codeBits{codes4, codes8} {
		bits := string('0' + rune(c))
		pairs, taken, sums := rows512PairsW4, "Z19", "Z20"
		if c == codes8 {
			pairs, taken, sums = rows512PairsW8, "Z15", "Z16"
		}
		register(asmDir, "rows_w"+bits+"_avx512", `
Two to eight rows of float32 times codes of `+bits+` bits.
`+c.maths512()+rowsRegisters+lines("DI three steps of x, BP x of row 4 or of the second of two segments, R15 zero points"+rowsSpilledOfTwo+
			"; Z0 and Z1 codes, Z2 weights, Z3 zero points, then scales, Z4 to Z7 masks, Z8 to Z11 powers of two, Z12 to "+taken+" what is taken from codes "+
			"of two segments"+c.table512()+", "+sums+" to Z31 sums."), kernel("RowsW"+bits+"AVX512", "codes of "+bits+" bits", c.perLine(), pairs, true, func(k *rowsFMA) weights512 { return newCodes512(k.exactFMA, c, 2).weights() }))
	}
	plain := func(name, kernelName, what, vectors string, perLine int, weights func(k *rowsFMA) weights512) {
		register(asmDir, "rows_"+name+"_avx512", `
Two to eight rows of float32 times plain `+what+` weights.
`+gemvPlainMaths+rows512Registers+`R9 x of row 4 or of the second of
two segments, R15 step of Y; Z2 weights, `+vectors+`Z20 to Z31 sums.
`, kernel("Rows"+kernelName+"AVX512", "plain "+what+" weights", perLine, rows512PairsPlain, false, weights))
	}
	plain("f32", "F32", "float32", "", 1, func(k *rowsFMA) weights512 {
		return k.floats(nil, func(_ int, w operand.Mem) reg.VecPhysical {
			k.VMOVUPS(w, zmm[2])
			return zmm[2]
		})
	})
	plain("bf16", "BF16", "bfloat16", "Z4 a mask of upper halves, ", 2, func(k *rowsFMA) weights512 {
		return k.floats(func() { k.fill(0xffff0000, zmm[4]) }, k.bf16Weight)
	})
	plain("f16", "F16", "float16", "Z4 the order of pairs of columns,\nZ5 and Z6 weights of two features; sums have pairs in another order to their end; ", 2, func(k *rowsFMA) weights512 {
		k.fix = func(y reg.VecPhysical) { k.VPERMPD(y, zmm[4], y) }
		return k.floats(func() { k.evenOdd(zmm[4]) }, func(i int, w operand.Mem) reg.VecPhysical {
			if i == 0 {
				k.halfWeights(w)
			}
			return k.halfWeight(i)
		})
	})
}
