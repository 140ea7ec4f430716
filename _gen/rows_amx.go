package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/reg"
)

// chainRows is the most rows of a kernel: a sum and two chains of each stay in registers. Of
// codes of 4 bits more than two are on tiles.
func (l chainLines) chainRows() int {
	if l.perLine == 8 {
		return 2
	}
	return 4
}

func init() {
	for _, l := range chainKinds {
		others := "R9 x of the second of two segments, R15 step of Y"
		if l.scaled {
			others = "BP x of the second of two segments, R15 zero points"
		}
		register(asmDir, "rows_"+l.name+"_amx", `
`+map[int]string{2: "Two", 4: "Two to four"}[l.chainRows()]+` rows of float32, each a bfloat16, times `+l.what+`.
`+chainsMaths+l.maths+rowsRegisters+lines("DI three steps of x, "+others+"; Z0 and Z1 codes, "+l.vectors+
			", Z20 to Z31 sums and, of each, two chains."), func(f *file) {
			for rows := 2; rows <= l.chainRows(); rows++ {
				together := 1
				if rows == 2 {
					together = 2
				}
				k := rowsKernel(f, zmm, rows, together, l.perLine, l.scaled)
				k.chains(l.weights(k.exactFMA, together), l.upper)
				name := fmt.Sprintf("Rows%sAMXx%d", strings.ToUpper(l.name), rows)
				k.write(name, name+" multiplies so many rows with "+l.what+", with the sums of tiles. Segments are whole 32 features.")
			}
		})
	}
}

// chains makes k a kernel of these weights whose sums are those of tiles. A turn has the
// lines of 32 features.
func (k *rowsFMA) chains(weights weights512, upper func(i int) bool) {
	k.with(weights)
	k.turn = tileChain / k.perLine
	if !k.scaled {
		once := k.once
		k.once = func() {
			kept := k.AllocLocal(8)
			k.withoutSubnormals(kept, kept.Offset(4), exLeft)
			k.end = func() { k.LDMXCSR(kept) }
			once()
		}
	}
	free := k.sums[k.together*k.rows:]
	k.line = func(segments []rowsSegment) {
		n := len(segments)
		chain := func(s, r int, up bool) reg.VecPhysical {
			i := 2 * (s*k.rows + r)
			if up {
				i++
			}
			return free[i]
		}
		weights.either(k.exactFMA, fmt.Sprintf("lines%d", n), k.slots.Offset(rowsForm), func(bytes bool) {
			begun := map[reg.VecPhysical]bool{}
			for l := range k.turn {
				if l > 0 {
					k.ADDQ(rowsStep, exW)
				}
				for s, segment := range segments {
					k.PREFETCHT1(at(rowsAhead, 64*(n*l+s)))
					for i := range k.perLine {
						w := weights.weight(s, i, segment.w(0), bytes)
						for r := range k.rows {
							k.chained(weights, segment.x(r, l*k.perLine+i), w, chain(s, r, upper(i)), begun)
						}
					}
				}
			}
			for s, segment := range segments {
				for r := range k.rows {
					lower, sum := chain(s, r, false), segment.sum(r, 0)
					k.VADDPS(chain(s, r, true), lower, lower)
					k.VADDPS(lower, sum, sum)
				}
			}
		})
	}
}
