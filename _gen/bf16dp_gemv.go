package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	for _, l := range dotKinds {
		register(asmDir, "gemv_"+l.name+"_dpbf16", `
One row of bfloat16 times `+l.what+`.
`+dotMaths+strings.TrimPrefix(l.maths, "\n")+exact512Registers+lines("Z0 codes, then sums of y, "+l.vectors+", Z28 to Z31 sums of four segments."), func(f *file) {
			k := gemv(f, zmm, l.pairs)
			k.scaled = l.scaled
			k.dots(l.weights(k.exactFMA, 4))
			name := "Gemv" + strings.ToUpper(l.name) + "DPBF16"
			k.write(name, name+" multiplies one row with "+l.what+".")
		})
	}
}

// dots makes k a kernel of pairs.
func (k *gemvFMA) dots(weights dotWeights) {
	k.once = weights.once
	k.aheadIn(exFrame)
	zeros := func(label string, body func()) {
		k.TESTQ(operand.I32(formBytes), exForm)
		k.JEQ(operand.LabelRef(label))
		body()
		k.Label(label)
	}
	if k.scaled {
		k.block = func() {
			zeros("zeros", func() {
				k.LEAQ(indexed(exW, exHead, 1, -4*16), exAny)
				for s := range 4 {
					weights.take(s, at(exAny, 16*s))
				}
			})
		}
		k.fewer = func() { k.LEAQ(at(exW, -4*16), exXBytes) }
		k.begin1 = func() { zeros("zeros_one", func() { weights.take(0, at(exXBytes, 0)) }) }
		k.end1 = func() { k.ADDQ(operand.Imm(16), exXBytes) }
	}
	line := func(s int, w operand.Mem, x func(i int) operand.Mem, sum reg.VecPhysical, bytes bool) {
		for i := range k.perLine {
			k.dotBF16(x(i), weights.pair(s, i, w, bytes), sum)
		}
	}
	k.four = func(x func(s, i int) operand.Mem) {
		weights.either(k.exactFMA, "four_line", exForm, func(bytes bool) {
			for s := range 4 {
				line(s, at(exW, 64*s), func(i int) operand.Mem { return x(s, i) }, k.sum(s, 0), bytes)
			}
		})
	}
	k.one = func(x func(i int) operand.Mem, sum []reg.VecPhysical) {
		weights.either(k.exactFMA, "one_line", exForm, func(bytes bool) { line(0, at(exW, 0), x, sum[0], bytes) })
	}
}
