package main

import "strings"

func init() {
	for _, l := range dotKinds {
		for _, tier := range []string{"DPBF16", "AMX"} {
			tiles := tier == "AMX"
			if tiles && l.name != "w8" {
				continue // tiles are of packed lines
			}
			register(asmDir, "unpack_pairs_"+l.name+"_"+strings.ToLower(tier), `
`+strings.ToUpper(l.what[:1])+l.what[1:]+` as an unpacked panel of pairs.

Maths: every weight minus its zero point as bfloat16, exactly.
`+strings.TrimPrefix(l.maths, "\n")+unpack512Registers+map[bool]string{true: "BX what is fetched next;\n"}[tiles]+
				lines("Z0 scales or codes, Z3 ones, "+l.vectors+map[string]string{"w4": ", Z20 to Z23 pairs"}[l.name]+"."), func(f *file) {
				k := unpackFMA{exactFMA: exactFMA{f, zmm}, scaled: l.scaled, tiles: tiles}
				k.with(l.weights(k.exactFMA, 1), l.pairs)
				name := "UnpackPairs" + strings.ToUpper(l.name) + tier
				doc := []string{name + " writes blocks of " + l.what + " as an unpacked panel of pairs."}
				if tiles {
					doc = append(doc,
						"From Soon on it fetches half as many lines as it unpacks, whether they are there or not. If Segments is not 0,",
						"there is one block, and the panel is of a block of so many from First on; scales behind theirs are any.")
				}
				k.write(name, doc...)
			})
		}
	}
}
