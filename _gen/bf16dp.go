package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const dotMaths = `
Maths: the package's sums of pairs. vdpbf16ps adds both products of a pair of
bfloat16 to a sum of float32, that of the upper half first, each rounded.
`

// dotBF16 is VDPBF16PS x, w, sum: EVEX.512.F3.0F38.W0 52 /r. x is a register, or
// memory whose dword goes to all lanes.
func (f *file) dotBF16(x operand.Op, w, sum reg.VecPhysical) {
	number := func(r reg.Register) int { return int(r.(reg.Physical).PhysicalIndex()) }
	high := func(n, bit, at int) byte { return byte(1-n>>bit&1) << at }
	v, r := number(w), number(sum)
	p0 := high(r, 3, 7) | high(r, 4, 4) | 2
	p1 := byte(15-v&15)<<3 | 1<<2 | 2
	p2 := 2<<5 | high(v, 4, 3)
	text := ", " + w.Asm() + ", " + sum.Asm()
	if y, ok := x.(reg.VecPhysical); ok {
		n := number(y)
		f.bytes("VDPBF16PS "+y.Asm()+text, []reg.Register{y, w, sum}, []reg.Register{sum},
			0x62, p0|high(n, 4, 6)|high(n, 3, 5), p1, p2, 0x52, byte(3<<6|r&7<<3|n&7))
		return
	}
	m := x.(operand.Mem)
	base, reads := number(m.Base), []reg.Register{m.Base, w, sum}
	rm, sib, index := byte(base&7), []byte(nil), 0
	if rm == 4 { // SP and R12 are named by a SIB byte alone
		sib = []byte{4<<3 | 4}
	}
	if m.Index != nil {
		index = number(m.Index)
		rm, sib = 4, []byte{byte(log2(int(m.Scale)))<<6 | byte(index&7<<3|base&7)}
		reads = append(reads, m.Index)
	}
	code := []byte{0x62, p0 | high(index, 3, 6) | high(base, 3, 5), p1, p2 | 1<<4, 0x52}
	const unit = 4 // of short displacements
	mod, disp := byte(0), []byte(nil)
	switch short := m.Disp / unit; {
	case m.Disp == 0 && base&7 != 5:
	case m.Disp%unit == 0 && short == int(int8(short)):
		mod, disp = 1, []byte{byte(short)}
	default:
		d := uint32(m.Disp)
		mod, disp = 2, []byte{byte(d), byte(d >> 8), byte(d >> 16), byte(d >> 24)}
	}
	code = append(code, mod<<6|byte(r&7<<3)|rm)
	f.bytes("VDPBF16PS.BCST "+m.Asm()+text, reads, []reg.Register{sum}, append(append(code, sib...), disp...)...)
}

// dotLines is a kind of lines, and how they become pairs of bfloat16.
type dotLines struct {
	name, what string
	pairs      int // of a column in a line: dwords of x
	scaled     bool
	maths      string
	vectors    string                                    // beside Z0 codes and Z3 scales or ones
	others     string                                    // of every other segment or tile
	x          string                                    // registers for x, for kernels of two tiles
	weights    func(k exactFMA, segments int) weights512 // constants and zero points from Z4 on; Z0 to Z3 and the last are others'

	// The same of two tiles whose sums leave fewer than 16 registers; nil: weights.
	dense        func(k exactFMA, segments, left int) weights512
	denseVectors string
}

// head is registers of a kernel, with scaled of those that have codes.
func (l dotLines) head(scaled string) string {
	if !l.scaled {
		scaled = ""
	}
	return scaled + l.vectors + ", " + l.others
}

// lines breaks a text of a head into lines.
func lines(text string) string {
	var out strings.Builder
	length := 0
	for _, word := range strings.Fields(text) {
		if length+1+len(word) > 88 {
			out.WriteString("\n")
			length = 0
		}
		if length > 0 {
			out.WriteString(" ")
			length++
		}
		out.WriteString(word)
		length += len(word)
	}
	return out.String() + "\n"
}

var dotKinds = []dotLines{
	{name: "w4", what: "codes of 4 bits", pairs: 4, scaled: true, weights: dotCodes4, dense: dotCodes4Dense, maths: `
Words of codes, shifted, have a code in their lowest bits and look up its bfloat16 minus
zero point in a table, twice the same 16. Where each column has a zero point it is taken
first, from bytes of one code: the table is of -16 to 15, and so are what it looks up.
`, vectors: "Z1 indices, Z2 weights, Z4 the table, Z8 a mask of codes, Z12 to Z15 zero points",
		others: "Z9, Z10 and Z3 codes, indices and weights of every other segment or tile", x: "Z5 and Z6",
		denseVectors: "Z5 and Z6 are codes and indices of the other tile, Z7 x, zero points from Z8 on, or they too in the frame, where the mask is"},
	{name: "w8", what: "codes of 8 bits", pairs: 2, scaled: true, weights: dotCodes8, dense: dotCodes8Dense, maths: `
An AND and an OR in one instruction leave one code below an exponent, 2^e + u, and taking
2^e + z from it u−z, both exactly: it has at most 8 bits, so that the upper half of the
float32 is its bfloat16. That of the first of a pair goes below that of the second.
`, vectors: "Z2 weights, Z4 and Z5 masks, Z8 and Z9 powers of two, Z10 a first weight, Z11 where upper halves go, K1 below, from Z12 on what is taken from codes",
		others: "Z1 and Z3 codes and weights of every other segment or tile", x: "Z6 and Z7",
		denseVectors: "Z0 and Z1 are weights of the tiles, Z2 a first weight, Z3 x, Z4 and Z5 masks, K1 lower halves, from Z6 on what is taken from codes and powers of two, if not in the frame"},
	{name: "bf16", what: "plain bfloat16 weights", pairs: 1, weights: dotPlain, maths: `
Lines are pairs already.
`, vectors: "Z2 weights", others: "Z3 those of every other segment or tile", x: "Z0 and Z1"},
}

// dotCodes4 looks codes up.
func dotCodes4(k exactFMA, segments int) weights512 {
	return dotCodes4In(k, codes4Registers{
		codes: []reg.VecPhysical{zmm[0], zmm[9]}, less: []reg.VecPhysical{zmm[1], zmm[10]}, out: zmm[2:4], table: zmm[4],
		x: zmm[5:7], mask: zmm[8], zeros: zmm[12 : 12+segments],
	})
}

// dotCodes4Dense does so with eight registers and what is left besides: a mask is in memory, and zero
// points are where there is no room.
func dotCodes4Dense(k exactFMA, segments, left int) weights512 {
	r := codes4Registers{
		codes: []reg.VecPhysical{zmm[0], zmm[5]}, less: []reg.VecPhysical{zmm[1], zmm[6]}, out: zmm[2:4], table: zmm[4], x: zmm[7:8],
		segments: segments,
	}
	if free := zmm[8:left]; len(free) >= segments {
		r.zeros = free[:segments]
	}
	return dotCodes4In(k, r)
}

// codes4Registers are those of 4-bit codes, of every other segment or tile the second.
type codes4Registers struct {
	codes, less, out []reg.VecPhysical
	table            reg.VecPhysical
	x                []reg.VecPhysical
	mask             reg.VecPhysical   // nil: in memory
	zeros            []reg.VecPhysical // of each segment and tile; nil: in memory, of so many
	segments         int
}

func dotCodes4In(k exactFMA, r codes4Registers) weights512 {
	const codeMask = 0x0f0f0f0f
	var maskAt, zerosAt operand.Mem
	zero := func(s int) operand.Op {
		if r.zeros != nil {
			return r.zeros[s]
		}
		return zerosAt.Offset(64 * s)
	}
	right := func(bits int, from, to reg.VecPhysical) { k.VPSRLW(operand.U8(bits), from, to) }
	return weights512{
		times: k.dotBF16,
		x:     r.x,
		apart: true,
		once: func() {
			k.constantZero()
			if r.mask != nil {
				k.fill(codeMask, r.mask)
			} else {
				maskAt = k.AllocLocal(8)
				k.MOVL(operand.U32(codeMask), maskAt)
			}
			if r.zeros == nil {
				zerosAt = k.AllocLocal(64 * r.segments)
			}
			low, high := zmm[0], zmm[1]
			k.VMOVAPS(low, high)
			k.ifBytes("table", exForm, func() {
				k.VXORPS(low, low, low)
				k.fill(0x41800000, high) // 16
			})
			k.iota(zmm[2])
			k.pairTable(zmm[2], low, high, r.table)
		},
		take: func(s int, m operand.Mem) {
			z, shifted := r.out[0], r.out[1]
			if r.zeros != nil {
				z = r.zeros[s]
			}
			k.VPMOVZXBD(m, z)
			for _, bits := range []uint8{8, 16} {
				k.VPSLLD(operand.U8(bits), z, shifted)
				k.VPORD(shifted, z, z)
			}
			if r.zeros == nil {
				k.VMOVDQU32(z, zero(s))
			}
		},
		weight: func(s, i int, w operand.Mem, bytes bool) reg.VecPhysical {
			codes, less, out := r.codes[s%2], r.less[s%2], r.out[s%2]
			if i == 0 {
				k.VMOVDQU32(w, codes)
			}
			from, bits := codes, []int{0, 8, 4, 12}[i]
			if bytes {
				from, bits = less, bits&8
				if i == 0 || i == 2 {
					nibbles := codes
					if i == 2 {
						nibbles = from
						right(4, codes, from)
					}
					if r.mask != nil {
						k.VPANDD(nibbles, r.mask, from)
					} else {
						k.VPANDD_BCST(maskAt, nibbles, from)
					}
					k.VPSUBB(zero(s), from, from)
				}
			}
			if bits > 0 {
				right(bits, from, out)
				from = out
			}
			k.VPERMW(r.table, from, out)
			return out
		},
	}
}

// pairTable makes table the bfloat16 of codes, float32 of 0 to 15, less low, and behind them less
// high, exactly.
func (f *file) pairTable(codes, low, high, table reg.VecPhysical) {
	for _, half := range []reg.VecPhysical{low, high} {
		f.VSUBPS(half, codes, half)
		f.VPSRLD(operand.U8(16), half, half)
		f.VPMOVDW(half, half.AsY())
	}
	f.VINSERTI64X4(operand.U8(1), high.AsY(), low, table)
}

// dotCodes8 computes with float32.
func dotCodes8(k exactFMA, segments int) weights512 {
	codes := newCodes512(k, codes8, segments)
	first, upper, lower := zmm[10], zmm[11], reg.K1
	return weights512{
		times: k.dotBF16,
		once: func() {
			codes.once()
			x := upper.AsX()
			k.MOVQ(operand.U64(0x00000706_00000302), exAny)
			k.VMOVQ(exAny, x)
			k.MOVQ(operand.U64(0x00000f0e_00000b0a), exAny)
			k.VPINSRQ(operand.U8(1), exAny, x, x)
			k.VSHUFI32X4(operand.U8(0), upper, upper, upper)
			k.MOVQ(operand.U64(0x3333333333333333), exAny)
			k.KMOVQ(exAny, lower)
		},
		take: codes.takeBytes,
		x:    zmm[6:8],
		weight: func(s, i int, w operand.Mem, _ bool) reg.VecPhysical {
			word, y := zmm[s%2], zmm[2+s%2]
			codes.wordOf(word, 2*i, w)
			codes.fieldOf(word, s, 0, first)
			codes.fieldOf(word, s, 1, y)
			k.VPSHUFB(upper, first, lower, y)
			return y
		},
	}
}

// dotCodes8Dense does so with six registers and what is left besides: what is taken from codes and
// the powers of two are in memory where there is no room. Words are loaded again for a second pair,
// and what is of the first of a pair is shifted to its lower halves.
func dotCodes8Dense(k exactFMA, segments, left int) weights512 {
	out, first, lower := zmm[:2], zmm[2], reg.K1
	codes := denseCodes512(k, codes8, segments, left)
	return weights512{
		times: k.dotBF16,
		x:     zmm[3:4],
		once: func() {
			codes.once()
			k.MOVL(operand.U32(0x55555555), exAny.As32()) // even words
			k.KMOVD(exAny.As32(), lower)
		},
		take: codes.takeBytes,
		weight: func(s, i int, w operand.Mem, _ bool) reg.VecPhysical {
			y := out[s]
			codes.wordIn(y, 2*i, w)
			codes.fieldOf(y, s, 0, first)
			codes.fieldOf(y, s, 1, y)
			k.VPSRLD(operand.U8(16), first, first)
			k.VMOVDQU16(first, lower, y)
			return y
		},
	}
}

func dotPlain(k exactFMA, _ int) weights512 {
	return weights512{
		times: k.dotBF16,
		x:     zmm[:2],
		weight: func(s, _ int, w operand.Mem, _ bool) reg.VecPhysical {
			y := zmm[2+s%2]
			k.VMOVDQU32(w, y)
			return y
		},
	}
}
