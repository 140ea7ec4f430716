package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// fetchSoon asks for some lines of what is unpacked next, while products are made:
// all at once would keep the core waiting.
func (k *amx) fetchSoon(turn int) {
	k.MOVQ(k.scalar(amxSoon), reg.R9)
	k.MOVQ(k.scalar(amxSoonStep), reg.RBX)
	k.fetchLines(of(turn, "fetch"), reg.R9, reg.RBX, reg.R8)
	k.MOVQ(reg.R9, k.scalar(amxSoon))
}

// fetchUnit finds how far behind a unit lies what is fetched with it where Call.Share is
// 0: the next tile of columns, or what Call.Soon says behind the last; 0: nothing is.
func (k *amx) fetchUnit(c reg.Register) {
	ahead, none := reg.R8, reg.R9
	k.MOVQ(at(c, callSoon), ahead)
	k.SUBQ(vnniW, ahead)
	k.CMPQ(k.scalar(amxTiles), operand.Imm(1))
	k.CMOVQNE(at(c, callWStep), ahead)
	k.XORL(none.As32(), none.As32())
	k.CMPQ(at(c, callSoon), operand.Imm(0))
	k.CMOVQEQ(none, ahead)
	k.CMPQ(k.scalar(amxShare), operand.Imm(0))
	k.CMOVQNE(none, ahead)
	k.MOVQ(ahead, k.scalar(amxAhead))
}

// fetchTile asks for as many lines as a tile of weights has.
func (k *amx) fetchTile(label string) {
	const lines, half = 16, 8
	k.MOVQ(k.scalar(amxAhead), reg.R9)
	k.TESTQ(reg.R9, reg.R9)
	k.JEQ(operand.LabelRef(label))
	for line := range lines {
		if line == half {
			k.CMPL(reg.ECX, operand.U32(amxTile))
			k.JNE(operand.LabelRef(label))
		}
		k.PREFETCHT1(indexed(vnniW, reg.R9, 1, 64*line))
	}
	k.Label(label)
}

// fetchLines asks for a share of lines from soon on, and step behind.
func (k *amx) fetchLines(label string, soon, step, left reg.GPPhysical) {
	k.MOVQ(k.scalar(amxShare), left)
	k.TESTQ(left, left)
	k.JEQ(operand.LabelRef(label + "_done"))
	k.Label(label)
	k.PREFETCHT1(at(soon, 0))
	k.PREFETCHT1(indexed(soon, step, 1, 0))
	k.ADDQ(operand.Imm(64), soon)
	k.DECQ(left)
	k.JNE(operand.LabelRef(label))
	k.Label(label + "_done")
}
