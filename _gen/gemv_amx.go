package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const chainsMaths = `
Maths: the package's sums of tiles, by float32, one lane for each column. Of 32 features
those that are the lower half of a pair of bfloat16 have a chain of their own, those that
are the upper half another; both are added, then added to the sum of the segment. The
first products of a chain are not added to anything.
`

// tileChain is the features of a row that a tile multiplies, half of them in each of two
// chains.
const tileChain = 32

// chainLines is a kind of lines as kernels of AMX sum them for few rows.
type chainLines struct {
	name, what, maths, vectors string
	perLine                    int // features
	scaled                     bool
	upper                      func(i int) bool // feature i of a line is the upper half of a pair
	weights                    func(k exactFMA, segments int) weights512
}

var chainKinds = func() []chainLines {
	odd := func(i int) bool { return i%2 == 1 }
	maths := func(c codeBits) string {
		return strings.Replace(strings.TrimPrefix(c.maths512(), "\n"), "Maths: the package's exact sums. ", "", 1)
	}
	return []chainLines{
		{"w4", "codes of 4 bits", maths(codes4), codes512Vectors + codes4.table512(), 8, true, func(i int) bool { return i&2 != 0 },
			func(k exactFMA, segments int) weights512 { return newCodes512(k, codes4, segments).weights() }},
		{"w8", "codes of 8 bits", maths(codes8), codes512Vectors, 4, true, odd,
			func(k exactFMA, segments int) weights512 { return newCodes512(k, codes8, segments).weights() }},
		{"bf16", "plain bfloat16 weights", `Of plain weights, subnormal numbers count as 0, as they do in tiles: MXCSR says so
while the kernel runs.
`, "Z2 weights, Z4 a mask of upper halves", 2, false, odd,
			func(k exactFMA, _ int) weights512 {
				return k.floats(func() { k.fill(0xffff0000, zmm[4]) }, k.bf16Weight)
			}},
	}
}()

func init() {
	for _, l := range chainKinds {
		register(asmDir, "gemv_"+l.name+"_amx", `
One row of float32, each a bfloat16, times `+l.what+`.
`+chainsMaths+l.maths+exact512Registers+lines("Z0 and Z1 codes, then Z0 sums of y, Z2 scales, "+l.vectors+
			", Z28 to Z31 chains of two segments. The frame has sums of four segments, at BP."), func(f *file) {
			k := gemv(f, zmm, l.perLine)
			k.scaled = l.scaled
			k.chains(l.weights(k.exactFMA, 4), l.upper)
			name := "Gemv" + strings.ToUpper(l.name) + "AMX"
			k.write(name, name+" multiplies one row with "+l.what+", with the sums of tiles. Segments are whole 32 features.")
		})
	}
}

const codes512Vectors = "Z2 weights, Z3 zero points, Z4 to Z7 masks, Z8 to Z11 powers of two, Z12 to Z27 what is taken from codes of four segments"

// chained adds a product to a chain, or begins it.
func (k exactFMA) chained(weights weights512, x operand.Op, w, sum reg.VecPhysical, begun map[reg.VecPhysical]bool) {
	if begun[sum] {
		weights.times(x, w, sum)
	} else {
		k.VMULPS_BCST(x, w, sum)
	}
	begun[sum] = true
}

// chains makes k a kernel of these weights whose sums are those of tiles. A turn has the
// lines of 32 features. Two segments go together, so that chains wait for each other
// less.
func (k *gemvFMA) chains(weights weights512, upper func(i int) bool) {
	k.with(weights)
	k.turn = tileChain / k.perLine
	k.single = zmm[30:31]
	sums := func(s int) operand.Mem { return at(exTable, 64*s) }
	once := k.once
	k.once = func() {
		frame := k.AllocLocal(4*64 + 64 + 8)
		k.LEAQ(frame.Offset(63), exTable)
		k.ANDQ(operand.I32(-64), exTable)
		if !k.scaled {
			kept := frame.Offset(4*64 + 64)
			k.withoutSubnormals(kept, kept.Offset(4), exXBytes)
			k.end = func() { k.LDMXCSR(kept) }
		}
		once()
	}
	k.clear = func() {
		k.VXORPS(zmm[2], zmm[2], zmm[2])
		for s := range 4 {
			k.VMOVAPS(zmm[2], sums(s))
		}
	}
	k.sum = func(s, _ int) reg.VecPhysical {
		k.VMOVAPS(sums(s), zmm[28+s])
		return zmm[28+s]
	}
	chains := func(s int) (lower, upper reg.VecPhysical) { return zmm[28+2*(s%2)], zmm[29+2*(s%2)] }
	line := func(s int, w operand.Mem, x func(i int) operand.Mem, bytes bool, begun map[reg.VecPhysical]bool) {
		for i := range k.perLine {
			y := weights.weight(s, i, w, bytes)
			sum, up := chains(s)
			if upper(i) {
				sum = up
			}
			k.chained(weights, x(i), y, sum, begun)
		}
	}
	k.four = func(x func(s, i int) operand.Mem) {
		weights.either(k.exactFMA, "four_line", exForm, func(bytes bool) {
			fetched := 0 // in their order in memory
			for first := 0; first < 4; first += 2 {
				begun := map[reg.VecPhysical]bool{}
				for l := range k.turn {
					for s := first; s < first+2; s++ {
						k.fetchLine(k.ahead(), fetched)
						fetched++
						line(s, at(exW, 256*l+64*s), func(i int) operand.Mem { return x(s, l*k.perLine+i) }, bytes, begun)
					}
				}
				for s := first; s < first+2; s++ {
					lower, upper := chains(s)
					k.VADDPS(upper, lower, lower)
					k.VADDPS(sums(s), lower, lower)
					k.VMOVAPS(lower, sums(s))
				}
			}
		})
	}
	k.one = func(x func(i int) operand.Mem, sum []reg.VecPhysical) {
		weights.either(k.exactFMA, "one_line", exForm, func(bytes bool) {
			begun := map[reg.VecPhysical]bool{}
			for l := range k.turn {
				if l > 0 {
					k.ADDQ(exAny, exW)
				}
				line(0, at(exW, 0), func(i int) operand.Mem { return x(l*k.perLine + i) }, bytes, begun)
			}
			lower, upper := chains(0)
			k.VADDPS(upper, lower, lower)
			k.VADDPS(lower, sum[0], sum[0])
		})
	}
}
