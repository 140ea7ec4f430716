package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const amxOnTheWay = `
Codes are unpacked to one in each byte while other tiles are multiplied, to one of four
tiles that stay in the first cache:

	packed line -> low halves, high halves: two lines of a tile

A tile of them takes eight packed lines, or four, from where Call.Places says. Loading a
tile waits until its lines have left the core's buffers: hence what is unpacked is two
tiles ahead of what is multiplied. With each line one is fetched, as far behind as the
next tile of columns, for the last of them from Call.Soon on.
`

// amxTilesAhead is how many tiles unpacking is ahead.
const amxTilesAhead = 2

// meanings makes the table what a code of 4 bits stands for, by byte: itself less the zero point
// where that is one for all, four times over, as VPERMB looks at six bits.
func (k *amx) meanings(c reg.Register) {
	low, high := reg.R8, reg.R9
	k.Comment("Codes, less the zero point that is one for all.")
	k.MOVQ(operand.U64(0x0706050403020100), low)
	k.MOVQ(operand.U64(0x0f0e0d0c0b0a0908), high)
	k.VMOVQ(low, reg.X4)
	k.VPINSRQ(operand.Imm(1), high, reg.X4, reg.X4)
	k.VSHUFI32X4(operand.Imm(0), zmm[4], zmm[4], zmm[k.table])
	k.XORL(reg.R8L, reg.R8L)
	k.TESTB(operand.Imm(formZeroMask), k.scalar(vnniForm))
	k.MOVL(at(c, callZero), reg.R9L)
	k.CMOVLEQ(reg.R9L, reg.R8L)
	k.VPBROADCASTB(reg.R8L, zmm[4])
	k.VPSUBB(zmm[4], zmm[k.table], zmm[k.table])
}

// firstPlace begins with what is unpacked, and does so as far as it is ahead.
func (k *amx) firstPlace(c reg.Register) {
	k.moves(c, callPlaces, amxPlace, callW, amxBase, callTiles, amxBaseTiles)
	k.endOfPlaces(c)
	k.fetchBehind("first")
	k.MOVQ(operand.I32(0), k.scalar(amxRingAt))
	for i := range amxTilesAhead {
		k.unpackNext(fmt.Sprintf("unpack_first%d", i))
	}
	k.Load(k.Param("c"), c)
}

// fetchBehind finds how far behind what is unpacked of a unit lies what is fetched. It
// uses BX.
func (k *amx) fetchBehind(label string) {
	r := reg.RBX
	k.Load(k.Param("c"), r)
	k.CMPQ(k.scalar(amxBaseTiles), operand.Imm(1))
	k.JEQ(operand.LabelRef(label + "_last"))
	k.MOVQ(at(r, callWStep), r)
	k.Label(label + "_behind")
	k.MOVQ(r, k.scalar(amxAhead))
	k.later(func() {
		k.Label(label + "_last")
		k.MOVQ(at(r, callSoon), r)
		k.SUBQ(k.scalar(amxBase), r)
		k.JMP(operand.LabelRef(label + "_behind"))
	})
}

// unpackAhead unpacks a tile of weights and returns where the one is that is multiplied.
func (k *amx) unpackAhead(label string) operand.Mem {
	k.unpackNext(label)
	return k.ready(reg.RBP, amxRingTiles-amxTilesAhead-1)
}

// unpackNext unpacks a tile of weights to the next of the ring.
func (k *amx) unpackNext(label string) {
	from, ahead, to, place := reg.RAX, reg.R9, reg.RBX, reg.RBX
	k.MOVQ(k.scalar(amxPlace), place)
	k.MOVL(at(place, 0), from.As32())
	if k.pairs {
		k.pairPlace(place, from, reg.R13)
	}
	k.ADDQ(k.scalar(amxBase), from)
	k.MOVQ(k.scalar(amxAhead), ahead)
	k.ADDQ(operand.Imm(uint64(k.placeBytes())), place)
	k.MOVQ(place, k.scalar(amxPlace))
	k.CMPQ(place, k.scalar(amxPlaceEnd))
	k.JEQ(operand.LabelRef(label + "_unit"))
	k.Label(label)
	k.MOVQ(k.scalar(amxRingAt), to)
	k.ADDQ(reg.RBP, to)
	if k.pairs {
		k.pairLines(label, from, ahead, to, reg.R13)
	} else {
		k.nibbleLines(label, from, ahead, to)
	}
	k.Label(label + "_done")
	k.nextOfRing()
	k.later(func() { k.nextPlaces(label) })
}

// nibbleLines unpacks the lines of a tile to one code in each byte.
func (k *amx) nibbleLines(label string, from, ahead, to reg.Register) {
	const most, half = 8, 4 // lines
	for line := range most {
		if line == half {
			k.CMPL(reg.ECX, operand.U32(amxTile))
			k.JNE(operand.LabelRef(label + "_done"))
		}
		low, high := zmm[4+2*(line%6)], zmm[5+2*(line%6)]
		k.PREFETCHT1(indexed(from, ahead, 1, 64*line))
		k.VMOVDQA64(at(from, 64*line), low)
		k.VPSRLW(operand.Imm(4), low, high)
		k.VPERMB(zmm[k.table], low, low)
		k.VPERMB(zmm[k.table], high, high)
		k.VMOVDQA64(low, at(to, amxRing+128*line))
		k.VMOVDQA64(high, at(to, amxRing+128*line+64))
	}
}

// nextPlaces goes to the next unit with what is unpacked next, behind the rows' last to
// the first for the rows after them, if there are any.
func (k *amx) nextPlaces(label string) {
	r := reg.RBX
	k.Label(label + "_unit")
	k.Load(k.Param("c"), r)
	k.MOVQ(at(r, callPlaces), r)
	k.MOVQ(r, k.scalar(amxPlace))
	k.Load(k.Param("c"), r)
	k.MOVQ(at(r, callWStep), r)
	k.ADDQ(r, k.scalar(amxBase))
	k.DECQ(k.scalar(amxBaseTiles))
	k.JNE(operand.LabelRef(label + "_on"))
	k.Load(k.Param("c"), r)
	k.MOVQ(at(r, callW), r)
	k.MOVQ(r, k.scalar(amxBase))
	k.Load(k.Param("c"), r)
	k.MOVQ(at(r, callTiles), r)
	k.MOVQ(r, k.scalar(amxBaseTiles))
	k.Label(label + "_on")
	k.fetchBehind(label)
	k.JMP(operand.LabelRef(label))
}

// placeBytes is the bytes of an entry in Call.Places.
func (k *amx) placeBytes() int {
	if k.pairs {
		return 8
	}
	return 4
}

// unpackedTimes is by how many bits a tile of weights is longer than its packed lines.
func (k *amx) unpackedTimes() uint64 {
	if k.pairs {
		return 2
	}
	return 1
}

// endOfPlaces finds where the places of a unit end.
func (k *amx) endOfPlaces(c reg.Register) {
	k.MOVQ(at(c, callPlaceCount), reg.R8)
	k.SHLQ(operand.Imm(log2(k.placeBytes())), reg.R8)
	k.ADDQ(at(c, callPlaces), reg.R8)
	k.MOVQ(reg.R8, k.scalar(amxPlaceEnd))
}

// nextOfRing goes to the next tile of the ring. It uses R9.
func (k *amx) nextOfRing() {
	next := reg.R9
	k.MOVQ(k.scalar(amxRingAt), next)
	k.ADDQ(operand.I32(amxTile), next)
	k.ANDL(operand.U32(amxRingTiles*amxTile-1), next.As32())
	k.MOVQ(next, k.scalar(amxRingAt))
}

// ready is a tile of the ring, so many behind the next that is unpacked, by way of BX.
func (k *amx) ready(spare operand.Op, behind int) operand.Mem {
	ready := reg.RBX
	k.MOVQ(k.scalar(amxRingAt), ready)
	k.ADDQ(operand.I32(behind*amxTile), ready)
	k.ANDL(operand.U32(amxRingTiles*amxTile-1), ready.As32())
	k.ADDQ(spare, ready)
	return indexed(ready, reg.RDI, 1, amxRing)
}
