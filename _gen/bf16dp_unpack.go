package main

import "strings"

func init() {
	for _, l := range dotKinds {
		register(asmDir, "unpack_"+l.name+"_dpbf16", `
`+strings.ToUpper(l.what[:1])+l.what[1:]+` as an unpacked panel of pairs.

Maths: every weight minus its zero point as bfloat16, exactly.
`+strings.TrimPrefix(l.maths, "\n")+unpack512Registers+lines("Z0 scales or codes, Z3 ones, "+l.vectors+map[string]string{"w4": ", Z20 to Z23 pairs"}[l.name]+"."), func(f *file) {
			k := unpackFMA{exactFMA: exactFMA{f, zmm}, scaled: l.scaled}
			k.with(l.weights(k.exactFMA, 1), l.pairs)
			name := "Unpack" + strings.ToUpper(l.name) + "DPBF16"
			k.write(name, name+" writes blocks of "+l.what+" as an unpacked panel of pairs.")
		})
	}
}
