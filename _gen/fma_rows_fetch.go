package main

import "github.com/mmcloughlin/avo/operand"

// aheadOfBlock makes R13 the next line to fetch, a block and Call.Ahead behind the
// first: a segment's lines are those of all of the block with gaps between them, which
// another segment reads, and they are fetched in order, as fast as Call.Pace says.
func (k *rowsFMA) aheadOfBlock() {
	if !k.wide() {
		return
	}
	bytes := rowsFirst
	k.TESTQ(rowsAhead, rowsAhead)
	k.JEQ(operand.LabelRef("here"))
	k.MOVBQZX(at(exBlock, blockSegments), bytes)
	k.MOVL(at(exBlock, blockLines), exLines.As32())
	k.IMULQ(exLines, bytes)
	k.SHLQ(operand.Imm(6), bytes)
	k.ADDQ(bytes, rowsAhead)
	k.Label("here")
	k.ADDQ(exW, rowsAhead)
}

// pace keeps how far what is fetched goes on with a header and with lines: as far as what is
// read, or where several calls read it a share of that.
func (k *rowsFMA) pace() {
	if !k.wide() {
		return
	}
	k.MOVQ(at(exAny, callPace), exLeft)
	if k.scaled {
		k.IMULQ(exLeft, exHead)
		k.SHRQ(operand.Imm(6), exHead)
		k.MOVQ(exHead, k.slots.Offset(rowsHeadPace))
	}
	if lines := k.tiles * k.turn; lines > 1 {
		k.SHLQ(operand.Imm(log2(lines)), exLeft)
	}
	for n := 1; n <= k.together; n *= 2 {
		if n > 1 {
			k.ADDQ(exLeft, exLeft)
		}
		k.MOVQ(exLeft, k.paceOf(n))
	}
}

// paceOf is how far what is fetched goes on with a turn of lines of each of n segments.
func (k *rowsFMA) paceOf(n int) operand.Mem { return k.slots.Offset(rowsPace + 8*int(log2(n))) }

// fetchHeader fetches as much as a header of each tile: the lines of scales of 16 bits, of longer
// headers the rest not.
func (k *rowsFMA) fetchHeader() {
	if !k.wide() {
		return
	}
	for n := range 2 * k.tiles {
		k.PREFETCHT0(at(rowsAhead, 64*n))
	}
	for range k.tiles {
		k.ADDQ(k.slots.Offset(rowsHeadPace), rowsAhead)
	}
}
