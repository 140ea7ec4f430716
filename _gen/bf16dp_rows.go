package main

import (
	"fmt"
	"strings"
)

// together is the segments that go together, so that there are about twelve sums or
// more: a sum takes six cycles, in which Zen 4 begins six vdpbf16ps and Zen 5 twelve.
func (l dotLines) together(rows int) int {
	most := 4
	if l.name == "w8" {
		most = 3 // what is taken from codes of four segments leaves twelve registers
	}
	switch {
	case rows <= most:
		return 4
	case rows <= rows512Most:
		return 2
	}
	return 1
}

// rowsMost is the most rows of a kernel of one tile: of codes two tiles do better.
func (l dotLines) rowsMost() int {
	if l.scaled {
		return rows512Most
	}
	return ofTilesMost
}

// ofTilesMost is the most rows of a kernel of two tiles, whose sums leave eight registers.
const ofTilesMost = 12

// ofTilesLeast is the fewest rows of a kernel of two tiles: of fewer, one tile is as fast, and of
// plain weights up to thirteen; of fourteen seven go together, of more as many at least.
func (l dotLines) ofTilesLeast() int {
	if l.scaled {
		return 4
	}
	return 7
}

// ofTiles is the segments of two tiles that go together.
func (l dotLines) ofTiles(rows int) int {
	if l.name == "w8" {
		return 1 // what is taken from codes of two leaves too few registers
	}
	if l.name == "w4" && rows <= 6 {
		return 2 // ten sums are too few, and twelve just enough
	}
	return ofTiles512(rows)
}

func init() {
	for _, l := range dotKinds {
		others, dense, five := rowsOthers(l.scaled), "", ""
		if l.ofTiles(l.ofTilesLeast()) > 1 {
			five = ", or of two segments five steps of x"
		}
		if l.dense != nil {
			dense = "; where they leave less than sixteen registers, " + l.denseVectors
		}
		register(asmDir, "rows_"+l.name+"_dpbf16", `
Two to `+map[int]string{rows512Most: "eight", ofTilesMost: "twelve"}[l.rowsMost()]+` rows of bfloat16 times `+l.what+`.
`+dotMaths+strings.TrimPrefix(l.maths, "\n")+rowsRegisters+lines("DI three steps of x, "+others+rowsSpilled+map[bool]string{true: "; of more than eight rows CX is x of row 8"}[l.rowsMost() > rows512Most]+"; "+
			l.head("Z0 codes, Z3 scales, ")+", sums to Z31, at least from Z20 and at most from Z16 on."), func(f *file) {
			for rows := 2; rows <= l.rowsMost(); rows++ {
				k := rowsKernel(f, zmm, rows, l.together(rows), l.pairs, l.scaled)
				k.with(l.weights(k.exactFMA, k.together))
				name := fmt.Sprintf("Rows%sDPBF16x%d", strings.ToUpper(l.name), rows)
				k.write(name, name+" multiplies so many rows with "+l.what+".")
			}
		})
		register(asmDir, "rows_"+l.name+"_x2_dpbf16", `
Up to twelve rows of bfloat16 times two tiles of `+l.what+`. A pair of x, read once, goes to
both, so that loads do not take as many cycles as products do.
`+dotMaths+strings.TrimPrefix(l.maths, "\n")+rowsRegisters+lines("while lines are added CX bytes to the second tile and R12 x of row 8"+five+", DI three steps of x, "+
			others+"; "+l.head("Z0 codes, Z2 and Z3 scales, ")+", "+l.x+" x, sums to Z31, at most from Z8 on"+dense+"."), func(f *file) {
			for rows := l.ofTilesLeast(); rows <= ofTilesMost; rows++ {
				k := rowsOfTiles(f, zmm, rows, l.ofTiles(rows), 2, l.pairs, l.scaled)
				if left := 32 - len(k.sums); left < 16 && l.dense != nil {
					k.with(l.dense(k.exactFMA, 2*k.together, left))
				} else {
					k.with(l.weights(k.exactFMA, 2*k.together))
				}
				name := fmt.Sprintf("Rows%sDPBF16x%dx2", strings.ToUpper(l.name), rows)
				k.write(name, name+" multiplies so many rows with two tiles of "+l.what+".")
			}
		})
	}
}
