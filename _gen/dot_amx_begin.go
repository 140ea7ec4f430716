package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// begin reads the Call, which is in BX then. The frame has so many bytes.
func (k *amx) begin(frame int) {
	k.frame = k.AllocLocal(frame)
	c, r := reg.RBX, reg.R8
	k.Load(k.Param("c"), c)
	if k.pairs && !k.nibbles {
		k.unscaled()
	} else {
		k.form(c)
	}
	k.MOVQ(k.scalar(vnniScaleBytes), r)
	k.ADDQ(k.scalar(vnniZeroBytes), r)
	k.MOVQ(r, k.scalar(amxHeader))
	k.moves(c, callYStep, vnniYStep)
	if !k.nibbles {
		k.moves(c, callShare, amxShare)
	}
	if !k.nibbles && !k.pairs {
		k.moves(c, callSoon, amxSoon, callSoonStep, amxSoonStep)
	}
	k.times16(c, callYStep, amxBlockY, callXStep, amxBlockX)
	if !k.pairs {
		k.times16(c, callSStep, amxBlockSide)
		k.MOVQ(at(c, callScales), r)
		k.SUBQ(at(c, callSide), r)
		k.MOVQ(r, k.scalar(amxToScales))
	}
	k.MOVQ(at(c, callSpare), reg.RBP)
}

// rowsOfTiles finds the rows that tiles of x and of sums have: where the call has fewer than 16, as
// many.
func (k *amx) rowsOfTiles(c, rows reg.GPPhysical) {
	k.wholeRows(c, rows, reg.R9)
	k.CMPQ(rows, operand.Imm(16))
	k.JGE(operand.LabelRef("rows_whole"))
	k.CMPQ(rows, operand.Imm(8))
	k.JHI(operand.LabelRef("rows_clear"))
	k.ORL(operand.U32(amxEight), k.scalar(vnniForm))
	k.CMPQ(rows, operand.Imm(4))
	k.JHI(operand.LabelRef("rows_clear"))
	k.ORL(operand.U32(amxFour), k.scalar(vnniForm))
	k.Label("rows_clear")
	k.clearRows(rows, "rows_found", 0, 1, 2, 3)
	k.Label("rows_whole")
	k.MOVL(operand.U32(16), rows.As32())
	k.Label("rows_found")
}

// wholeRows loads the rows of the call, and finds all with those that fill the last 16.
func (k *amx) wholeRows(c, rows, all reg.GPPhysical) {
	k.MOVQ(at(c, callRows), rows)
	k.LEAQ(at(rows, 15), all)
	k.ANDQ(operand.I32(-16), all)
	k.MOVQ(all, k.scalar(amxRows))
}

// clearRows clears the sums in Call.Spare of the rows that some tiles with so many lack, before they are corrected,
// as some of them are scaled: what is left there might be subnormal, which takes long. It uses R8 and Z0,
// and goes to done.
func (k *amx) clearRows(rows reg.GPPhysical, done string, tiles ...int) {
	row := reg.R8
	k.VPXORD(zmm[0], zmm[0], zmm[0])
	k.MOVQ(rows, row)
	k.SHLQ(operand.Imm(6), row)
	k.Label("clear_row")
	k.CMPQ(row, operand.I32(amxTile))
	k.JEQ(operand.LabelRef(done))
	for _, tile := range tiles {
		k.VMOVDQA64(zmm[0], indexed(reg.RBP, row, 1, tile*amxTile))
	}
	k.ADDQ(operand.Imm(64), row)
	k.JMP(operand.LabelRef("clear_row"))
}

// configure configures the tiles, of which each has a letter: s of sums, x and w, and S and X where
// others are the rows.
func (k *amx) configure(c reg.Register, tiles string, others operand.Op) {
	k.Comment("Palette 1. Tiles of weights have a line for four bytes of a row of x.")
	k.MOVQ(at(c, callTileBytes), reg.RSI)
	k.VPXORD(zmm[0], zmm[0], zmm[0])
	k.VMOVDQU64(zmm[0], at(reg.RBP, amxConfig))
	k.MOVB(operand.Imm(1), at(reg.RBP, amxConfig))
	k.MOVL(reg.ESI, reg.ECX)
	k.SHRL(operand.Imm(2), reg.ECX)
	for n, tile := range tiles {
		row, rows := operand.Op(operand.U16(64)), operand.Op(operand.Imm(16))
		switch tile {
		case 'w':
			rows = reg.CL
		case 'X', 'S':
			rows = others
		}
		if tile == 'x' || tile == 'X' {
			row = reg.SI
		}
		k.MOVW(row, at(reg.RBP, configBytes+2*n))
		k.MOVB(rows, at(reg.RBP, configRows+n))
	}
	k.loadTileConfig(at(reg.RBP, amxConfig))
	k.SHLL(operand.Imm(6), reg.ECX)
	switch {
	case k.pairs && k.nibbles:
		k.pairMeanings(c)
	case k.nibbles:
		k.meanings(c)
	}
}

// unscaled is form for pairs: headers have scales of float32 or, with packed lines, nothing.
func (k *amx) unscaled() {
	k.MOVQ(operand.I32(0), k.scalar(vnniForm))
	k.MOVQ(operand.I32(0), k.scalar(vnniZeroBytes))
	k.MOVQ(operand.I32(0), k.scalar(vnniZeroStep))
	header := uint64(4 * 64)
	if k.packed {
		header = 0
	}
	k.MOVQ(operand.I32(64), k.scalar(vnniScaleStep))
	k.MOVQ(operand.I32(header), k.scalar(vnniScaleBytes))
	if k.packed {
		k.withoutSubnormals(k.scalar(amxKept), k.scalar(amxKept).Offset(4), reg.R8)
	}
}

// moves copies fields of the Call, each to the scalar behind it.
func (k *amx) moves(c reg.Register, fields ...int) {
	for i := 0; i < len(fields); i += 2 {
		k.move(at(c, fields[i]), fields[i+1])
	}
}

// times16 does so times 16.
func (k *amx) times16(c reg.Register, fields ...int) {
	for i := 0; i < len(fields); i += 2 {
		k.MOVQ(at(c, fields[i]), reg.R8)
		k.SHLQ(operand.Imm(4), reg.R8)
		k.MOVQ(reg.R8, k.scalar(fields[i+1]))
	}
}

// nextRows moves a scalar on to the next 16 rows, and for codes another.
func (k *amx) nextRows(at, step, side int) {
	for _, s := range []struct{ at, step int }{{at, step}, {side, amxBlockSide}} {
		if s.at == side && k.pairs {
			continue
		}
		k.MOVQ(k.scalar(s.step), reg.R8)
		k.ADDQ(reg.R8, k.scalar(s.at))
	}
}

// widen writes the entries of all segments, and counts the sums of a unit.
func (k *amx) widen() {
	c, entry, tile, tiles := reg.RBX, reg.R12, reg.RDX, reg.R15
	start, scale, zero, segments, blocks, ends := reg.R13, reg.RAX, reg.R11, reg.R9, reg.R10, reg.R8L
	k.LEAQ(at(reg.RBP, amxEntries), entry)
	k.MOVQ(at(c, callTiles), tiles)
	k.MOVQ(at(c, callW), tile)
	k.Label("widen_tile")
	k.MOVQ(operand.I32(0), k.scalar(amxSums))
	k.MOVQ(at(c, callBlocks), vnniBlock)
	k.MOVQ(at(c, callCount), blocks)
	k.MOVQ(tile, start)
	k.Label("widen_block")
	k.MOVQ(start, scale)
	k.MOVQ(start, zero)
	k.ADDQ(k.scalar(vnniScaleBytes), zero)
	k.MOVQ(at(c, callSegments), segments)
	k.TESTQ(segments, segments)
	k.JNE(operand.LabelRef("widen_chosen"))
	k.MOVBLZX(at(vnniBlock, blockEnds), ends)
	k.MOVBLZX(at(vnniBlock, blockSegments), segments.As32())
	k.Label("widen_segment")
	if !k.pairs {
		k.SHRL(operand.Imm(1), ends)
		k.JCC(operand.LabelRef("widen_on"))
	}
	k.INCQ(k.scalar(amxSums))
	k.Label("widen_counted")
	if k.packed {
		k.MOVL(operand.U32(0x3f800000), reg.R8L)
		k.VPBROADCASTD(reg.R8L, zmm[0])
	} else {
		k.loadScales("widen_", scale, zmm[:1])
	}
	k.VMOVUPS(zmm[0], at(entry, 0))
	if !k.pairs {
		k.TESTB(operand.Imm(k.zeros()), k.scalar(vnniForm))
		k.JNE(operand.LabelRef("widen_zeros"))
	}
	k.Label("widened")
	k.ADDQ(k.scalar(vnniScaleStep), scale)
	k.ADDQ(k.scalar(vnniZeroStep), zero)
	k.ADDQ(operand.I32(entryBytes), entry)
	k.DECQ(segments)
	k.JNE(operand.LabelRef("widen_segment"))
	k.segment(vnniBlock, reg.R8)
	k.MOVBLZX(at(vnniBlock, blockSegments), segments.As32())
	k.IMULQ(segments, reg.R8)
	k.ADDQ(k.scalar(amxHeader), start)
	k.ADDQ(reg.R8, start)
	k.ADDQ(operand.Imm(blockSize), vnniBlock)
	k.DECQ(blocks)
	k.JNE(operand.LabelRef("widen_block"))
	k.ADDQ(at(c, callWStep), tile)
	k.DECQ(tiles)
	k.JNE(operand.LabelRef("widen_tile"))
	k.later(func() {
		k.Label("widen_chosen")
		for _, s := range []struct {
			step int
			at   reg.Register
		}{{vnniScaleStep, scale}, {vnniZeroStep, zero}} {
			k.MOVQ(k.scalar(s.step), reg.R8)
			k.IMULQ(at(c, callFirst), reg.R8)
			k.ADDQ(reg.R8, s.at)
		}
		k.MOVL(operand.U32(15), ends)
		k.JMP(operand.LabelRef("widen_segment"))
		if k.pairs {
			return
		}
		k.Label("widen_on")
		k.ORL(operand.U32(amxGoesOn), k.scalar(vnniForm))
		k.JMP(operand.LabelRef("widen_counted"))
		k.Label("widen_zeros")
		k.TESTB(operand.Imm(formPairs), k.scalar(vnniForm))
		k.JNE(operand.LabelRef("widen_pairs"))
		k.VPMOVZXBD(at(zero, 0), zmm[1])
		k.VMOVDQA64(zmm[1], at(entry, entryZeros))
		k.JMP(operand.LabelRef("widened"))
		k.Label("widen_pairs")
		k.VMOVDQU32(at(zero, 0), zmm[1])
		k.VMOVDQA64(zmm[1], at(entry, entryZeros))
		k.JMP(operand.LabelRef("widened"))
	})
}

// firstSegment finds where a unit begins.
func (k *amx) firstSegment() {
	c, first, segments := reg.RBX, reg.R8, reg.R9
	k.MOVQ(at(c, callBlocks), vnniBlock)
	if k.packed {
		k.MOVQ(at(c, callFirst), first)
		k.SHLQ(operand.Imm(6), first)
	} else {
		k.segment(vnniBlock, first)
		k.IMULQ(at(c, callFirst), first)
	}
	k.ADDQ(k.scalar(amxHeader), first)
	k.MOVQ(first, k.scalar(amxFirst))
	k.MOVQ(at(c, callSegments), segments)
	k.TESTQ(segments, segments)
	k.JNE(operand.LabelRef("chosen"))
	k.MOVBLZX(at(vnniBlock, blockSegments), segments.As32())
	k.Label("chosen")
	k.MOVQ(segments, k.scalar(amxSegments))
}

// beginWalks goes to the first unit with what multiplies; what scales does so in three
// turns.
func (k *amx) beginWalks() {
	c := reg.RBX
	k.move(k.scalar(amxRows), amxLeft)
	k.move(k.scalar(amxRows), amxScaleLeft)
	k.moves(c, callTiles, amxTiles, callTiles, amxScaleTiles, callX, amxRowX, callY, amxRowY)
	k.ORL(operand.U32(amxFilling), k.scalar(vnniForm))
	if !k.packed {
		k.MOVL(operand.U32(64), reg.EDI)
	}
	switch {
	case k.pairs && !k.nibbles:
		k.MOVQ(at(c, callSoon), reg.R11)
		k.MOVQ(at(c, callSoonStep), reg.R13)
	case !k.pairs:
		k.MOVQ(at(c, callSStep), vnniSideStep)
	}
	k.LEAQ(at(reg.RBP, amxEntries), reg.R8)
	k.MOVQ(reg.R8, k.scalar(amxEntry))
	if !k.pairs {
		k.moves(c, callSide, amxRowSide, callSide, amxScaleSide)
		for turn := range amxSlots {
			k.MOVQ(operand.I32(0), k.slot(turn, slotFix))
		}
	}
	k.MOVL(operand.U32(amxSlots-1), reg.R15L)
	k.MOVQ(at(c, callW), vnniW)
	k.beginUnit()
}
