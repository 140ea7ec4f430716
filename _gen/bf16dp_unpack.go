package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	for _, l := range dotKinds {
		register(asmDir, "unpack_"+l.name+"_dpbf16", `
`+strings.ToUpper(l.what[:1])+l.what[1:]+` as an unpacked panel of pairs.

Maths: every weight minus its zero point as bfloat16, exactly.
`+strings.TrimPrefix(l.maths, "\n")+unpack512Registers+lines("Z0 scales or codes, Z3 ones, "+l.vectors+", Z20 to Z23 pairs."), func(f *file) {
			k := unpackFMA{exactFMA: exactFMA{f, zmm}, scaled: l.scaled}
			weights := l.weights(k.exactFMA, 1)
			k.once = weights.once
			if l.scaled {
				k.segment = func() {
					k.TESTQ(operand.I32(formBytes), exForm)
					k.JEQ(operand.LabelRef("zeros"))
					weights.take(0, at(unpackZero, 0))
					k.ADDQ(operand.Imm(16), unpackZero)
					k.Label("zeros")
				}
			}
			k.line = func(_ int, w operand.Mem) (pairs []func() reg.VecPhysical) {
				for i := range l.pairs {
					pairs = append(pairs, func() reg.VecPhysical {
						if i == 0 {
							weights.either(k.exactFMA, "line", exForm, func(bytes bool) {
								for j := range l.pairs {
									k.VMOVDQA32(weights.pair(0, j, w, bytes), zmm[20+j])
								}
							})
						}
						return zmm[20+i]
					})
				}
				return pairs
			}
			name := "Unpack" + strings.ToUpper(l.name) + "DPBF16"
			k.write(name, name+" writes blocks of "+l.what+" as an unpacked panel of pairs.")
		})
	}
}
