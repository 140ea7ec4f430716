package main

import "strings"

func init() {
	for _, l := range dotKinds {
		register(asmDir, "gemv_"+l.name+"_dpbf16", `
One row of bfloat16 times `+l.what+`.
`+dotMaths+strings.TrimPrefix(l.maths, "\n")+exact512Registers+lines("Z0 codes, then sums of y, "+l.vectors+", "+l.others+", Z28 to Z31 sums of four segments."), func(f *file) {
			k := gemv(f, zmm, l.pairs)
			k.scaled = l.scaled
			k.with(l.weights(k.exactFMA, 4))
			name := "Gemv" + strings.ToUpper(l.name) + "DPBF16"
			k.write(name, name+" multiplies one row with "+l.what+".")
		})
	}
}
