package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const nibbles512Maths = `
Maths: the package's exact sums. Lines are read from each byte of their dwords on, up to Beyond
bytes more than there are, or shifted. With one zero point for all, the lowest code of a dword
looks up u−z in a table. Where each column has one, the table has 2^19 + u, which an AND and an OR
in one instruction leave of the code above the lowest, and taking 2^19 + z gives u−z, all exactly.
Segments that go together take turns, a code of each: a sum waits four cycles for the one before.
`

// tiles512 is a kind of weights for kernels of two tiles.
type tiles512 struct {
	name, kernel, what string
	perLine            int
	least              int // rows: fewer take one tile, or memory longer
	scaled             bool
	maths              string
	vectors            string // that are not those of all
	weights            func(k *rowsFMA) weights512
}

var tilesKinds512 = []tiles512{
	{"w4", "W4", "codes of 4 bits", codes4.perLine(), 1, true, nibbles512Maths,
		"from Z4 on codes of segments and tiles, behind them, or from Z16 on, what is taken from codes, Z12 the table, Z13 a mask, Z14 2^19, Z15 x",
		func(k *rowsFMA) weights512 { return k.nibbles() }},
	{"w8", "W8", "codes of 8 bits", codes8.perLine(), 2, true, code512Maths,
		"Z4 and Z5 masks, Z6 and Z7 powers of two, from Z8 on what is taken from codes of segments and tiles, and x, if there is room",
		func(k *rowsFMA) weights512 { return k.bytes() }},
	{"f32", "F32", "plain float32 weights", 1, 4, false, gemvPlainMaths, "Z12 and Z13 x", func(k *rowsFMA) weights512 {
		return k.floatsOfTiles(nil, func(t, _ int, w operand.Mem, y reg.VecPhysical) { k.VMOVUPS(w, y) })
	}},
	{"bf16", "BF16", "plain bfloat16 weights", 2, 4, false, gemvPlainMaths, "Z4 a mask of upper halves, Z12 and Z13 x", func(k *rowsFMA) weights512 {
		return k.floatsOfTiles(func() { k.fill(0xffff0000, zmm[4]) }, func(_, i int, w operand.Mem, y reg.VecPhysical) {
			k.bf16WeightIn(i, w, y)
		})
	}},
	{"f16", "F16", "plain float16 weights", 2, 4, false, gemvPlainMaths,
		"Z4 the order of pairs of columns, Z5 to Z8 weights of two features; sums have pairs in another order to their end; Z12 and Z13 x", func(k *rowsFMA) weights512 {
			k.fix = func(y reg.VecPhysical) { k.VPERMPD(y, zmm[4], y) }
			return k.floatsOfTiles(func() { k.evenOdd(zmm[4]) }, func(t, i int, w operand.Mem, y reg.VecPhysical) {
				both := zmm[5+2*t:]
				if i == 0 {
					k.halfWeightsIn(w, both)
				}
				k.halfWeightIn(i, both, y)
			})
		}},
}

// ofTiles512 is the segments that go together: eight sums or more keep two units busy, as each
// takes four cycles.
func ofTiles512(rows int) int {
	switch {
	case rows == 1:
		return 4
	case rows <= 4:
		return 2
	}
	return 1
}

// ofTilesX is registers for x between what is taken from codes and sums, where they leave some.
func (k *rowsFMA) ofTilesX() []reg.VecPhysical {
	if free := zmm[8+4*k.together : 32-len(k.sums)]; len(free) >= 2 {
		return free[:2]
	}
	return nil
}

func init() {
	for _, t := range tilesKinds512 {
		others, codes := rowsOthers(t.scaled), "Z2 and Z3 weights, "
		if t.scaled {
			codes = "Z0 and Z1 codes, Z2 and Z3 weights, then scales, "
		}
		if t.least == 1 {
			codes = "Z0 to Z3 weights, Z2 and Z3 then scales, "
			others += "; where four segments go together DX is the bytes of a segment of x, DI three times that"
		}
		register(asmDir, "rows_"+t.name+"_x2_avx512", `
Up to eight rows of float32 times two tiles of `+t.what+`. Their sums wait for each other
half as often as those of one, and x is read once for both.
`+"\n"+strings.TrimPrefix(t.maths, "\n")+rowsRegisters+lines("CX bytes to the second tile while lines are added, DI three steps of x, "+others+
			"; "+codes+t.vectors+", sums to Z31."), func(f *file) {
			for rows := t.least; rows <= rows512Most; rows++ {
				k := rowsOfTiles(f, zmm, rows, ofTiles512(rows), 2, t.perLine, t.scaled)
				k.with(t.weights(k))
				name := fmt.Sprintf("Rows%sAVX512x%dx2", t.kernel, rows)
				k.write(name, name+" multiplies so many rows with two tiles of "+t.what+".")
			}
		})
	}
}

// floatsOfTiles are plain weights of two tiles.
func (k exactFMA) floatsOfTiles(once func(), weight func(t, i int, w operand.Mem, y reg.VecPhysical)) weights512 {
	return weights512{
		once:  once,
		x:     zmm[12:14],
		times: k.timesFloat,
		weight: func(s, i int, w operand.Mem, _ bool) reg.VecPhysical {
			y := zmm[2+s%2]
			weight(s%2, i, w, y)
			return y
		},
	}
}

// bytes are codes of 8 bits of two tiles.
func (k *rowsFMA) bytes() weights512 {
	c := &codes512{exactFMA: k.exactFMA, bits: codes8, masks: zmm[4:6], ones: zmm[6:8], taken: zmm[8 : 8+4*k.together], segments: 2 * k.together}
	return weights512{
		once:  c.once,
		take:  c.takeBytes,
		x:     k.ofTilesX(),
		times: k.timesFloat,
		weight: func(s, i int, w operand.Mem, _ bool) reg.VecPhysical {
			word, y := zmm[s%2], zmm[2+s%2]
			c.wordOf(word, i, w)
			return c.fieldOf(word, s, i%2, y)
		},
	}
}

// nibbles are codes of 4 bits of two tiles.
func (k *rowsFMA) nibbles() weights512 {
	n := 2 * k.together
	words, taken := zmm[4:4+n], zmm[4+n:4+2*n]
	if k.together == 4 {
		taken = zmm[16:24]
	}
	table := zmm[12]
	c := &codes512{exactFMA: k.exactFMA, bits: codes4, masks: zmm[13:14], ones: zmm[14:15], taken: taken, segments: n}
	return weights512{
		times: k.timesFloat,
		apart: true,
		x:     zmm[15:16],
		turns: true,
		once: func() {
			k.constantZero()
			k.iota(zmm[2])
			k.VSUBPS(zmm[0], zmm[2], table)
			k.field512(codes4, 1, c.ones[0], c.masks[0])
			k.ifBytes("table", exForm, func() { k.VADDPS(c.ones[0], zmm[2], table) })
		},
		take: c.takeBytes,
		weight: func(s, i int, w operand.Mem, bytes bool) reg.VecPhysical {
			word, y := words[s], zmm[s%4]
			if i == 0 {
				k.VMOVDQU32(w, word)
			}
			place, upper := i%4, i/4 == 1 // byte of a dword, and its half
			shift := 8 * place
			if upper && !bytes {
				shift += 4
			}
			switch {
			case shift == 0: // the word as it is
			case upper || place == 2 && k.rows == 1 && !bytes: // loads that cross lines wait for memory, too
				k.VPSRLD(operand.U8(shift), word, y)
				word = y
			default:
				k.VMOVDQU32(w.Offset(place), y)
				word = y
			}
			if upper && bytes {
				return c.fieldOf(word, s, 0, y)
			}
			k.VPERMPS(table, word, y)
			if bytes {
				k.VSUBPS(taken[s], y, y)
			}
			return y
		},
	}
}
