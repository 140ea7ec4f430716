package main

import (
	"fmt"
	"strings"
)

// dotTogether is the segments that go together, so that there are six sums: as
// many as Zen 4 needs to begin a vdpbf16ps in every cycle.
func dotTogether(rows int) int {
	switch {
	case rows == 2:
		return 4
	case rows <= rows512Pairs:
		return 2
	}
	return 1
}

func init() {
	for _, l := range dotKinds {
		others := "R9 x of row 4 or of the second of two segments, R15 step of Y"
		if l.scaled {
			others = "BP x of row 4 or of the second of two segments, R15 zero points"
		}
		register(asmDir, "rows_"+l.name+"_dpbf16", `
Two to eight rows of bfloat16 times `+l.what+`.
`+dotMaths+strings.TrimPrefix(l.maths, "\n")+rowsRegisters+lines("DI three steps of x, "+others+"; of two rows and four segments that go together "+
			"DX is the bytes of a segment of x, DI three times that, and R9 or BP x of row 1; Z0 codes, Z3 scales, "+
			l.vectors+", Z20 to Z31 sums."), func(f *file) {
			for rows := 2; rows <= rows512Most; rows++ {
				k := rowsKernel(f, zmm, rows, dotTogether(rows), l.pairs, l.scaled)
				k.with(l.weights(k.exactFMA, k.together))
				name := fmt.Sprintf("Rows%sDPBF16x%d", strings.ToUpper(l.name), rows)
				k.write(name, name+" multiplies so many rows with "+l.what+".")
			}
		})
	}
}
