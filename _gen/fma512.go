package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const exact512Registers = `
Registers: AX next line, BX next x, CX blocks left, DX scratch, SI Block, DI how
far ahead to fetch, R8 lines left, R9 scales, R10 bytes of a segment of x, then
zero points, R11 three times that, R12 segments left, R13 Form, R14 Y, R15 bytes
of a header;
`

const code512Maths = `
Maths: the package's exact sums. An AND and an OR in one instruction leave one code
below an exponent in the low word of a dword, 2^e + u, and taking 2^e + z from it
u−z, both exactly. The high word is shifted down first.
`

const table512Maths = `
With one zero point for all, codes that are the lowest of a dword look up u−z in a
table instead: those of byte 0, of byte 2 shifted down, and of bytes 1 and 3 in
lines that are read from there on, up to Beyond bytes more than there are.
`

// maths512 and table512 are of the heads of kernels of these codes.
func (c codeBits) maths512() string {
	if c == codes4 {
		return code512Maths + strings.TrimPrefix(table512Maths, "\n")
	}
	return code512Maths
}

func (c codeBits) table512() string {
	if c == codes4 {
		return ", or Z16 the table"
	}
	return ""
}

// codes512 is what kernels of codes for AVX-512 have in registers.
type codes512 struct {
	exactFMA
	bits  codeBits
	masks []reg.VecPhysical // of fields
	ones  []reg.VecPhysical // 2^(23-..) of fields; nil: at onesAt
	taken []reg.VecPhysical // 2^(23-..) + z, [segments][fields]; nil: at takenAt

	onesAt, takenAt operand.Mem // in the frame: a dword and a vector for each
	segments        int
}

// newCodes512 takes Z4 to Z7 for masks, Z8 to Z11 for ones, Z12 on for segments. Z0
// to Z2 hold words and weights, Z3 zero points.
func newCodes512(k exactFMA, c codeBits, segments int) *codes512 {
	n := c.inWord()
	return &codes512{exactFMA: k, bits: c, masks: zmm[4 : 4+n], ones: zmm[8 : 8+n], taken: zmm[12 : 12+n*segments], segments: segments}
}

// denseCodes512 takes Z4 on for masks, and for the rest what there is below left.
func denseCodes512(k exactFMA, c codeBits, segments, left int) *codes512 {
	n := c.inWord()
	d := &codes512{exactFMA: k, bits: c, masks: zmm[4 : 4+n], segments: segments}
	free := zmm[4+n : left]
	if len(free) >= n*segments {
		d.taken, free = free[:n*segments], free[n*segments:]
	}
	if len(free) >= n {
		d.ones = free[:n]
	}
	return d
}

// weights are the codes times float32.
func (k *codes512) weights() weights512 {
	return weights512{
		once: k.once,
		take: k.takeBytes,
		weight: func(s, i int, w operand.Mem, bytes bool) reg.VecPhysical {
			if k.bits == codes4 && !bytes {
				return k.lookedUp(i, w)
			}
			return k.weightIn(s, i, w, zmm[2])
		},
		times: k.timesFloat,
		apart: k.bits == codes4,
	}
}

// inFrame takes the room in the frame for what is there.
func (k *codes512) inFrame() {
	if k.taken == nil {
		k.takenAt = k.AllocLocal(64 * k.segments * len(k.masks))
	}
	if k.ones == nil {
		k.onesAt = k.AllocLocal((4*len(k.masks) + 7) / 8 * 8)
	}
}

// once fills the registers. exAny points at the Call.
func (k *codes512) once() {
	k.inFrame()
	k.constantZero()
	k.VMOVAPS(zmm[0], zmm[3])
	for j, mask := range k.masks {
		one := zmm[2]
		if k.ones != nil {
			one = k.ones[j]
		}
		k.field512(k.bits, j, one, mask)
		if k.ones == nil {
			k.VMOVD(one.AsX(), k.onesAt.Offset(4*j))
		}
	}
	if k.bits == codes4 { // only segments with zero points of bytes take something of their own
		k.take(0)
		k.iota(zmm[2])
		k.VSUBPS(zmm[3], zmm[2], k.table())
		return
	}
	for s := range k.segments {
		k.take(s)
	}
}

// field512 fills the registers that leave field j of a word.
func (k exactFMA) field512(c codeBits, j int, one, mask reg.VecPhysical) {
	k.fill(c.one(j), one)
	k.fill(c.one(j)^c.mask(j), mask)
}

// table is where u−z of each u is, if there is one zero point for all: what is taken
// from a second segment's codes is not needed then.
func (k *codes512) table() reg.VecPhysical { return zmm[16] }

// take makes what is taken from segment s's codes of the zero points in Z3.
func (k *codes512) take(s int) {
	for j := range k.masks {
		to, i := zmm[2], s*len(k.masks)+j
		if k.taken != nil {
			to = k.taken[i]
		}
		if k.ones != nil {
			k.VADDPS(k.ones[j], zmm[3], to)
		} else {
			k.VADDPS_BCST(k.onesAt.Offset(4*j), zmm[3], to)
		}
		if k.taken == nil {
			k.VMOVUPS(to, k.takenAt.Offset(64*i))
		}
	}
}

// takeBytes does so of the zero points at m.
func (k *codes512) takeBytes(s int, m operand.Mem) {
	k.byteZeros(m, zmm[3])
	k.take(s)
}

// weightIn makes y u−z of feature i of the line at w. Features come in order.
func (k *codes512) weightIn(s, i int, w operand.Mem, y reg.VecPhysical) reg.VecPhysical {
	if i == 0 {
		k.words(w)
	}
	return k.field(s, i, y)
}

// words makes Z0 and Z1 the dwords of the line at w, from their low words and from
// their high ones on.
func (k *codes512) words(w operand.Mem) {
	k.VMOVDQU32(w, zmm[0])
	k.VPSRLD(operand.U8(16), zmm[0], zmm[1])
}

// field makes y u−z of feature i of the dwords in Z0 and Z1.
func (k *codes512) field(s, i int, y reg.VecPhysical) reg.VecPhysical {
	high, j := k.bits.at(i)
	word := zmm[0]
	if high {
		word = zmm[1]
	}
	return k.fieldOf(word, s, j, y)
}

// wordOf makes word dwords that have feature i, of 8 bits, in their low words: those of the line
// at w, which are shifted down where they are for the third. Features come in order.
func (k *codes512) wordOf(word reg.VecPhysical, i int, w operand.Mem) {
	switch i {
	case 0:
		k.VMOVDQU32(w, word)
	case 2:
		k.VPSRLD(operand.U8(16), word, word)
	}
}

// wordIn is wordOf for features in any order: it loads the line again.
func (k *codes512) wordIn(word reg.VecPhysical, i int, w operand.Mem) {
	if i < 2 {
		k.VMOVDQU32(w, word)
	} else {
		k.VPSRLD(operand.U8(16), w, word)
	}
}

const andOr = 0xea // of VPTERNLOGD: first and second, or third

// fieldOf makes y u−z of field j of the low word.
func (k *codes512) fieldOf(word reg.VecPhysical, s, j int, y reg.VecPhysical) reg.VecPhysical {
	if word != y {
		k.VMOVDQA32(word, y)
	}
	if k.ones != nil {
		k.VPTERNLOGD(operand.U8(andOr), k.ones[j], k.masks[j], y)
	} else {
		k.VPTERNLOGD_BCST(operand.U8(andOr), k.onesAt.Offset(4*j), k.masks[j], y)
	}
	if i := s*len(k.masks) + j; k.taken != nil {
		k.VSUBPS(k.taken[i], y, y)
	} else {
		k.VSUBPS(k.takenAt.Offset(64*i), y, y)
	}
	return y
}

// lookedUp makes Z2 u−z of feature i of the line at w, of which the table has half.
// Features come in order.
func (k *codes512) lookedUp(i int, w operand.Mem) reg.VecPhysical {
	y := zmm[2]
	if i == 0 {
		k.words(w)
	}
	switch i {
	case 0, 2:
		k.VPERMPS(k.table(), zmm[i/2], y)
	case 1, 3:
		k.VMOVDQU32(w.Offset(i), y)
		k.VPERMPS(k.table(), y, y)
	default:
		return k.field(0, i, y)
	}
	return y
}

// iota makes y the floats 0 to 15.
func (k exactFMA) iota(y reg.VecPhysical) {
	x := y.AsX()
	k.MOVQ(operand.U64(0x0706050403020100), exAny)
	k.VMOVQ(exAny, x)
	k.MOVQ(operand.U64(0x0f0e0d0c0b0a0908), exAny)
	k.VPINSRQ(operand.U8(1), exAny, x, x)
	k.VPMOVZXBD(x, y)
	k.VCVTDQ2PS(y, y)
}

// evenOdd makes index pick, of pairs of columns, first the even and then the odd
// ones.
func (k exactFMA) evenOdd(index reg.VecPhysical) {
	k.MOVQ(operand.U64(0x0705030106040200), exAny)
	k.VMOVQ(exAny, index.AsX())
	k.VPMOVZXBQ(index.AsX(), index)
}

// halfWeights makes Z5 and Z6 the float16 weights at w, and halfWeight Z2 those of
// feature i: columns 0 1 8 9 2 3 10 11 4 5 12 13 6 7 14 15.
func (k exactFMA) halfWeights(w operand.Mem) { k.halfWeightsIn(w, zmm[5:7]) }

func (k exactFMA) halfWeight(i int) reg.VecPhysical { return k.halfWeightIn(i, zmm[5:7], zmm[2]) }

// halfWeightsIn and halfWeightIn do so with other registers.
func (k exactFMA) halfWeightsIn(w operand.Mem, both []reg.VecPhysical) {
	k.VCVTPH2PS(w, both[0])
	k.VCVTPH2PS(w.Offset(32), both[1])
}

func (k exactFMA) halfWeightIn(i int, both []reg.VecPhysical, y reg.VecPhysical) reg.VecPhysical {
	k.VSHUFPS(operand.U8([]uint8{0x88, 0xdd}[i]), both[1], both[0], y)
	return y
}

// bf16Weight makes Z2 the bfloat16 weights of feature i at w. Z4 has a mask of
// upper halves.
func (k exactFMA) bf16Weight(i int, w operand.Mem) reg.VecPhysical {
	return k.bf16WeightIn(i, w, zmm[2])
}

// bf16WeightIn does so with another register.
func (k exactFMA) bf16WeightIn(i int, w operand.Mem, y reg.VecPhysical) reg.VecPhysical {
	if i == 0 {
		k.VPSLLD(operand.U8(16), w, y)
	} else {
		k.VPANDD(w, zmm[4], y)
	}
	return y
}
