package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Which of its last 16 rows a unit has, where not all: up to eight, up to four, or none.
const (
	unitEight = 1 + iota
	unitFour
	unitNone
)

// lastRows finds how the rows of the call go together, and makes last the rows that tiles of
// the other 16 of units of two have. It uses R8 to R11.
func (k *amxUnits) lastRows(c, last reg.GPPhysical) {
	rows, all, r, short := reg.R8, reg.R9, reg.R10, reg.R11
	k.Comment("Rows, with those that fill the last 16, and which of these there are.")
	k.wholeRows(c, rows, all)
	k.XORL(short.As32(), short.As32())
	k.MOVL(operand.U32(16), last.As32())
	k.unitSteps(r, false)
	k.CMPQ(all, operand.Imm(32))
	k.JEQ(operand.LabelRef("last_rows"))
	k.CMPQ(all, operand.Imm(48))
	k.JNE(operand.LabelRef("rows_together"))
	if k.high == 2 {
		k.unitSteps(r, true)
	}
	k.Label("last_rows")
	k.ADDQ(rows, last)
	k.SUBQ(all, last)
	k.CMPQ(last, operand.Imm(8))
	k.SETLS(short.As8()) // unitEight
	k.MOVL(operand.U32(unitFour), r.As32())
	k.CMPQ(last, operand.Imm(4))
	k.CMOVQLS(r, short)
	if k.high == 2 {
		k.clearRows(last, "rows_together", 2, 3, k.tiles()+2, k.tiles()+3)
	}
	k.Label("rows_together")
	k.MOVQ(short, k.scalar(unitLast))
}

// unitSteps finds the distances from the first 16 rows of a unit to the others, and to the next
// unit: two tiles of rows, or where the last go with the first, one.
func (k *amxUnits) unitSteps(r reg.Register, lastFirst bool) {
	for _, s := range []struct{ block, other, next int }{
		{amxBlockX, unitOtherX, unitNextX}, {amxBlockY, unitOtherY, unitNextY}, {amxBlockSide, unitOtherSide, unitNextSide},
	} {
		if s.block == amxBlockSide && k.pairs {
			continue
		}
		once, twice := s.other, s.next
		if lastFirst {
			once, twice = twice, once
		}
		k.MOVQ(k.scalar(s.block), r)
		k.MOVQ(r, k.scalar(once))
		k.ADDQ(r, r)
		k.MOVQ(r, k.scalar(twice))
	}
}

// order is the tile of sums that a step multiplies i-th. Those of three by two go to and fro, so that each
// has x or weights of the one before.
func (k *amxUnits) order(i int) int {
	if k.high == 3 {
		return [...]int{0, 1, 3, 2, 4, 5}[i]
	}
	return i
}

// stepOfThree is step for units of three by two tiles.
func (k *amxUnits) stepOfThree(label string, i int) {
	const x, w = 6, 7
	tile := k.order(i)
	switch i {
	case 0:
		weights := k.unpackUnit(label+"_unpack0", 0)
		k.streamTile(indexed(reg.RDX, reg.RSI, 1, 0), x)
		k.loadTile(weights, w)
	case 1:
		k.loadTile(k.unpackUnit(label+"_unpack1", 1), w)
	case 2:
		k.streamTile(indexed(reg.R13, reg.RSI, 1, 0), x)
	case 4:
		k.MOVQ(k.scalar(amxBlockX), reg.RBX)
		k.ADDQ(reg.R13, reg.RBX)
		k.streamTile(indexed(reg.RBX, reg.RSI, 1, 0), x)
	default:
		k.loadTile(k.again(tile%2), w)
	}
	k.multiplyTiles(k.product(), w, x, tile)
}
