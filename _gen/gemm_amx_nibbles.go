package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const amxPairsOnTheWay = `
Codes are unpacked to pairs while other tiles are multiplied, to one of four tiles that stay
in the first cache. Words of codes, shifted, look up their bfloat16 less the zero point in a table, twice
the same 16. Where each column has a zero point it is taken first, from bytes of one code: the
table is of -16 to 15, and so are what it looks up.

	packed line -> features 0 2, 1 3, 4 6, 5 7: four lines of a tile

A tile of them takes four packed lines, one segment's of a block, from where Call.Places says.
What is unpacked is two tiles ahead of what is multiplied, and with each line one is fetched, as
in DotW4AMX.
`

// pairMeanings makes the table the bfloat16 of codes less the zero point that is one for all, twice, or
// of -16 to 15, and fills the mask.
func (k *amx) pairMeanings(c reg.Register) {
	low, high, codes := zmm[4], zmm[5], zmm[6]
	k.Comment("Codes, less the zero point that is one for all.")
	k.VXORPS(low.AsX(), low.AsX(), low.AsX())
	k.VCVTSI2SSQ(at(c, callZero), low.AsX(), low.AsX())
	k.VBROADCASTSS(low.AsX(), low)
	k.VMOVAPS(low, high)
	k.TESTB(operand.Imm(formZeroMask), k.scalar(vnniForm))
	k.JEQ(operand.LabelRef("constant_zero"))
	k.VXORPS(low.AsX(), low.AsX(), low.AsX())
	k.MOVL(operand.U32(0x41800000), reg.R8L) // 16
	k.VPBROADCASTD(reg.R8L, high)
	k.Label("constant_zero")
	k.MOVQ(operand.U64(0x0706050403020100), reg.R8)
	k.VMOVQ(reg.R8, codes.AsX())
	k.MOVQ(operand.U64(0x0f0e0d0c0b0a0908), reg.R8)
	k.VPINSRQ(operand.Imm(1), reg.R8, codes.AsX(), codes.AsX())
	k.VPMOVZXBD(codes.AsX(), codes)
	k.VCVTDQ2PS(codes, codes)
	k.pairTable(codes, low, high, zmm[k.table])
	k.MOVL(operand.U32(0x0f0f0f0f), reg.R8L)
	k.VPBROADCASTD(reg.R8L, zmm[k.table+1])
}

// pairPlace makes R11 the way from line to line of a tile, which its place has in its
// lowest bits, and zeros where its zero points are.
func (k *amx) pairPlace(place, from, zeros reg.GPPhysical) {
	step := reg.R11
	k.MOVL(from.As32(), step.As32())
	k.ANDL(operand.U32(63), step.As32())
	k.SUBQ(step, from)
	k.SHLL(operand.Imm(6), step.As32())
	k.MOVL(at(place, 4), zeros.As32())
	k.ADDQ(k.scalar(amxBase), zeros)
}

// pairLines unpacks the lines of a tile to pairs.
func (k *amx) pairLines(label string, from, ahead, to, zeros reg.Register) {
	const lines = 4
	line := func(n int, unpack func(z []reg.VecPhysical)) {
		z := zmm[4+4*(n%2):][:4]
		k.PREFETCHT1(indexed(from, ahead, 1, 0))
		k.VMOVDQA64(at(from, 0), z[0])
		if n+1 < lines {
			k.ADDQ(reg.R11, from)
		}
		unpack(z)
		for i := range z {
			k.VPERMW(zmm[k.table], z[i], z[i])
			k.VMOVDQA64(z[i], at(to, amxRing+256*n+64*i))
		}
	}
	k.TESTB(operand.Imm(formZeroMask), k.scalar(vnniForm))
	k.JNE(operand.LabelRef(label + "_zeros"))
	for n := range lines {
		line(n, func(z []reg.VecPhysical) {
			k.VPSRLW(operand.Imm(8), z[0], z[1])
			k.VPSRLW(operand.Imm(4), z[0], z[2])
			k.VPSRLW(operand.Imm(12), z[0], z[3])
		})
	}
	k.later(func() {
		k.Label(label + "_zeros")
		mask, points := zmm[k.table+1], zmm[k.table+2]
		k.VPMOVZXBD(at(zeros, 0), points)
		for _, bits := range []uint64{8, 16} {
			k.VPSLLD(operand.Imm(bits), points, zmm[4])
			k.VPORD(zmm[4], points, points)
		}
		for n := range lines {
			line(n, func(z []reg.VecPhysical) {
				k.VPSRLW(operand.Imm(4), z[0], z[2])
				for _, nibbles := range []reg.VecPhysical{z[0], z[2]} {
					k.VPANDD(mask, nibbles, nibbles)
					k.VPSUBB(points, nibbles, nibbles)
				}
				k.VPSRLW(operand.Imm(8), z[0], z[1])
				k.VPSRLW(operand.Imm(8), z[2], z[3])
			})
		}
		k.JMP(operand.LabelRef(label + "_done"))
	})
}
