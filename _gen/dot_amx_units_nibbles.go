package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// firstPlace begins with what is unpacked, and does so as far as it is ahead.
func (k *amxUnits) firstPlace(c reg.Register) {
	k.moves(c, callPlaces, amxPlace, callW, amxBase, callTiles, amxBaseTiles, callWStep, unitWStep)
	k.move(k.scalar(amxRows), unitBaseRows)
	k.endOfPlaces(c)
	k.MOVQ(reg.RBP, k.scalar(unitSpare))
	k.MOVQ(operand.I32(0), k.scalar(amxRingAt))
	k.fetchBehind()
	for i := range amxTilesAhead {
		k.unpackTile(fmt.Sprintf("unpack_first%d", i), i%2)
	}
	k.Load(k.Param("c"), c)
}

// fetchBehind finds how far behind what is unpacked of two tiles of columns lies what is
// fetched: the next two, or behind the last what Call.Soon says. It uses BX and R9.
func (k *amxUnits) fetchBehind() {
	c, ahead := reg.RBX, reg.R9
	k.Load(k.Param("c"), c)
	k.MOVQ(at(c, callSoon), ahead)
	k.SUBQ(k.scalar(amxBase), ahead)
	k.MOVQ(k.scalar(unitWStep), c)
	k.ADDQ(c, c)
	k.CMPQ(k.scalar(amxBaseTiles), operand.Imm(2))
	k.CMOVQNE(c, ahead)
	k.MOVQ(ahead, k.scalar(amxAhead))
}

// unpackUnit unpacks a tile of weights of one of two tiles of columns, and returns where
// the one is that is multiplied.
func (k *amxUnits) unpackUnit(label string, column int) operand.Mem {
	k.unpackTile(label, column)
	return k.ready(k.scalar(unitSpare), amxRingTiles-amxTilesAhead-1)
}

// again is where the tile of a column is that is multiplied, behind those that were unpacked meanwhile.
func (k *amxUnits) again(column int) operand.Mem {
	return k.ready(k.scalar(unitSpare), amxRingTiles-amxTilesAhead-2+column)
}

// unpackTile unpacks a tile of weights to the next of the ring.
func (k *amxUnits) unpackTile(label string, column int) {
	from, ahead, to, place, zeros := reg.RAX, reg.R9, reg.RBX, reg.RBX, reg.R8
	k.MOVQ(k.scalar(amxPlace), place)
	k.MOVL(at(place, 0), from.As32())
	if k.pairs {
		k.pairPlace(place, from, zeros)
	}
	k.ADDQ(k.scalar(amxBase), from)
	if column == 1 {
		k.ADDQ(k.scalar(unitWStep), from)
		if k.pairs {
			k.ADDQ(k.scalar(unitWStep), zeros)
		}
	}
	k.MOVQ(k.scalar(amxAhead), ahead)
	k.MOVQ(k.scalar(amxRingAt), to)
	k.ADDQ(k.scalar(unitSpare), to)
	if k.pairs {
		k.pairLines(label, from, ahead, to, zeros)
	} else {
		k.nibbleLines(label, from, ahead, to)
	}
	k.Label(label + "_done")
	k.nextOfRing()
	if column == 0 {
		return
	}
	next := reg.R9
	k.MOVQ(k.scalar(amxPlace), next)
	k.ADDQ(operand.Imm(uint64(k.placeBytes())), next)
	k.MOVQ(next, k.scalar(amxPlace))
	k.CMPQ(next, k.scalar(amxPlaceEnd))
	k.JEQ(operand.LabelRef(label + "_unit"))
	k.Label(label + "_on")
	k.later(func() { k.nextPlaces(label) })
}

// nextPlaces goes to what is unpacked for the next unit: the same for the next rows, or the
// next tiles of columns, behind the last ones the first, which nothing is multiplied by.
func (k *amxUnits) nextPlaces(label string) {
	c, r := reg.RBX, reg.R9
	k.Label(label + "_unit")
	k.Load(k.Param("c"), c)
	k.moves(c, callPlaces, amxPlace)
	k.SUBQ(operand.Imm(k.rows()), k.scalar(unitBaseRows))
	k.JGT(operand.LabelRef(label + "_on"))
	k.move(k.scalar(amxRows), unitBaseRows)
	k.MOVQ(k.scalar(unitWStep), r)
	k.ADDQ(r, r)
	k.ADDQ(r, k.scalar(amxBase))
	k.SUBQ(operand.Imm(2), k.scalar(amxBaseTiles))
	k.JNE(operand.LabelRef(label + "_fetch"))
	k.moves(c, callW, amxBase, callTiles, amxBaseTiles)
	k.Label(label + "_fetch")
	k.fetchBehind()
	k.JMP(operand.LabelRef(label + "_on"))
}
