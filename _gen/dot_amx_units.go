package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// amxUnitsTwo, amxUnitsThree: what units of two and of three tiles of rows are.
const amxUnitsTwo = `
A unit is 32 rows by 32 columns, two tiles of both, so that each tile that is loaded is
multiplied twice; the last 16 rows are one by two:

	for each two tiles of columns:        in turn i, at the same time, tile by tile:
	  for 32 rows:                          Call.Spare(i-1)  = TMM0 to TMM3, sum i-1
	    for each sum: ...                   TMM0 to TMM3     = products of sum i
	                                        Y               += Call.Spare(i-2), scaled

Tiles of x and of sums take time by their rows. In calls of 17 to 47 those of the other 16 rows, TMM2, TMM3
and TMM5, have as many as there are of the last 16: these go with the first 16, and the second 16 of more
than 32 on their own. What Call.Spare has for rows that such tiles lack is 0.
`

const amxUnitsThree = `
A unit is 48 rows by 32 columns, three by two tiles: the call has 33 to 48 rows, for all of
which weights are unpacked once. Six tiles have sums, and two are left for x and weights, of which
one changes with each product:

	for each two tiles of columns:        in turn i, at the same time, tile by tile:
	  for each sum: ...                     Call.Spare(i-1)  = TMM0 to TMM5, sum i-1
	                                        TMM0 to TMM5     = products of sum i
	                                        Y               += Call.Spare(i-2), scaled
`

const amxUnitsWalk = `
A tile is stored just before it is cleared for the next sum: it has been ready for long
by then, as the others were multiplied and other sums scaled since. The processor
has other products to do while it stores and scales. Scales and zeros of all segments are
widened before.

All segments end sums. Lines of x come from the second cache each time, and TILELOADDT1
leaves room in the first. In calls of up to 48 rows those of the last 16 are scaled that there are, in fours or eights.

	Call.Spare = sums of two turns [2][4 or 6 tiles][16 rows][16 columns] of 4 bytes
	             of 4 tiles, unused, [4 tiles]
	             configuration of tiles, 64 bytes
	             weights [4 tiles][16 lines], of codes that are unpacked on the way
	             entries [tiles][segments]: scales [16] of float32, of codes
	                                        zeros [16] of uint8 as int32, or of pairs

Registers: AX and R11 next lines of both tiles of columns, DX and R13 x of the first 16 rows
and the others, CX bytes of a tile of weights, and of x, SI bytes from row to row in a tile of
x, R15 where sums are stored, BP where those are that are scaled, R10 bytes left of a tile of
columns in the segment, R14 Block, 0: none is left; R12 entry of what is scaled, 0: nothing;
R8, R9 and BX are for a few instructions; Z0 scales of what is scaled, of codes Z1 zeros and Z2 sums in Y, Z4 to Z11 eight rows of it;
`

// unitTiles is what tiles are for (see configure), and the registers of those for x and weights, by
// the tiles of rows of a unit.
var unitTiles = map[int]struct{ kinds, registers, head string }{
	2: {"ssSSxXww", "TMM4 and TMM5 x, TMM6 and TMM7 weights;", amxUnitsTwo},
	3: {"ssssssxw", "TMM6 x, TMM7 weights;", amxUnitsThree},
}

// Scalars in the frame, behind those of amx.
const (
	unitApart       = amxFrame + 8*iota // bytes from the entries of a tile to those of the next
	unitEntry                           // of the sum that is multiplied
	unitSide                            // its Side
	unitY                               // and its Y
	unitShort                           // which of its last 16 rows it has: 0, all, or unitEight and so on
	unitStoredEntry                     // of the one that is stored, likewise
	unitStoredSide
	unitStoredY
	unitStoredShort
	unitScaledSide // of the one that is scaled
	unitScaledY
	unitScaledShort
	unitRowY  // Y of the unit's rows
	unitTileY // and of row 0
	unitTileEntry
	unitTileSoon
	unitSideStep // from row to row of Side
	unitSegments // left in the block
	unitSpare    // Call.Spare
	unitWStep    // to the other tile of columns
	unitBaseRows // left of what is unpacked, its own too
	unitLast     // unitShort of those with rows
	unitOtherX   // from the first 16 rows of a unit to the others
	unitOtherY
	unitOtherSide
	unitNextX // and to those of the next
	unitNextY
	unitNextSide

	unitFrame
)

func init() {
	const codes, onTheWay = `DI 64.`, `DI 64; Z16 the table, Z17 a mask of codes and Z18 zero points. While a tile is unpacked, AX is where it is
packed, R11 the way from line to line, R8 zero points, R9 the way to what is fetched, and BX where it goes.`
	for _, w := range []struct {
		file, name, head, registers, what string
		amx                               amx
		high                              int
	}{
		{"dot_w8_x2_amx", "DotW8AMXx2", "\n8-bit weights " + amxCodesMaths, codes, "int8 and Call.Tiles tiles of 8-bit codes", amx{lines: 1}, 2},
		{"dot_p4_x2_amx", "DotP4AMXx2", "\n4-bit weights, unpacked by UnpackW4AMX, " + amxCodesMaths, codes, "int8 and Call.Tiles tiles of unpacked 4-bit codes", amx{lines: 2, less: true}, 2},
		{"dot_w4_x2_amx", "DotW4AMXx2", "\n4-bit weights " + amxCodesMaths + amxOnTheWay, onTheWay, "int8 and Call.Tiles tiles of 4-bit codes", amx{lines: 1, less: true, nibbles: true}, 2},
		{"gemm_w4_x2_amx", "GemmW4AMXx2", "\n4-bit weights " + amxPairsMaths + amxPairsOnTheWay, onTheWay, "bfloat16 and Call.Tiles tiles of 4-bit codes", amx{lines: 1, pairs: true, nibbles: true}, 2},
		{"gemm_x2_amx", "GemmAMXx2", "\nUnpacked panels of pairs, " + amxPairsMaths, codes, "bfloat16 and Call.Tiles unpacked panels of pairs", amx{pairs: true}, 2},
		{"gemm_bf16_x2_amx", "GemmBF16AMXx2", "\nPlain bfloat16 weights as they are packed, " + amxPairsMaths, `DI the distance of lines in a tile of
weights, which is that of a block's segments. Entries have scales
of 1. Additions of vectors, too, take subnormal numbers for 0, as tiles do.`, "bfloat16 and Call.Tiles packed tiles of plain bfloat16 weights", amx{pairs: true, packed: true}, 2},
		{"dot_w4_x3_amx", "DotW4AMXx3", "\n4-bit weights " + amxCodesMaths + amxOnTheWay, onTheWay, "int8 and Call.Tiles tiles of 4-bit codes", amx{lines: 1, less: true, nibbles: true}, 3},
		{"gemm_w4_x3_amx", "GemmW4AMXx3", "\n4-bit weights " + amxPairsMaths + amxPairsOnTheWay, onTheWay, "bfloat16 and Call.Tiles tiles of 4-bit codes", amx{lines: 1, pairs: true, nibbles: true}, 3},
	} {
		register(asmDir, w.file, w.head+unitTiles[w.high].head+amxUnitsWalk+unitTiles[w.high].registers+" "+w.registers, func(f *file) {
			f.function(w.name, "c *Call", w.name+" adds the products of Call.Rows rows of "+w.what+" to Y. Tiles go two by two.")
			k := w.amx
			k.intVNNI, k.table = &intVNNI{file: f, tiles: 1}, 16
			(&amxUnits{&k, w.high}).write()
		})
	}
}

// amxUnits is a kernel for units of two or three tiles of rows by two of columns.
type amxUnits struct {
	*amx
	high int // tiles of rows
}

// tiles is the tiles of sums of a unit, rows its rows.
func (k *amxUnits) tiles() int   { return 2 * k.high }
func (k *amxUnits) rows() uint64 { return uint64(16 * k.high) }

func (k *amxUnits) write() {
	k.begin(unitFrame)
	k.lastRows(reg.RBX, reg.RDX)
	k.configure(reg.RBX, unitTiles[k.high].kinds, reg.DL)
	if k.nibbles {
		k.firstPlace(reg.RBX)
	}
	k.widen()
	k.firstSegment()
	k.beginWalk()
	k.Label("turn")
	for i := range k.tiles() {
		tile := k.order(i)
		k.storeTile(tile, indexed(reg.R15, k.stored(), 1, tile*amxTile))
		k.TESTQ(vnniBlock, vnniBlock)
		k.JEQ(operand.LabelRef(halfLabel(i, "scale")))
		k.onlyWhole(unitShort, tile, halfLabel(i, "scale"))
		k.zeroTile(tile)
		k.step("first", i)
		k.fetch("fetch_first", i)
		k.scaleHalf(i)
	}
	k.rest()
	k.Label("done")
	if k.packed {
		k.LDMXCSR(k.scalar(amxKept))
	}
	k.releaseTiles()
	k.VZEROUPPER()
	k.RET()
	for i := 0; i < len(k.aside); i++ {
		k.aside[i]()
	}
}

// beginWalk goes to the first unit.
func (k *amxUnits) beginWalk() {
	c, r := reg.RBX, reg.R8
	k.move(k.scalar(amxRows), amxLeft)
	k.moves(c, callW, amxW, callTiles, amxTiles, callX, amxRowX, callY, unitRowY, callY, unitTileY,
		callSoon, amxSoon, callSoon, unitTileSoon, callSoonStep, amxSoonStep)
	if !k.pairs {
		k.moves(c, callSide, amxRowSide, callSStep, unitSideStep)
	}
	k.LEAQ(at(reg.RBP, amxEntries), r)
	k.MOVQ(r, k.scalar(unitTileEntry))
	k.MOVQ(k.scalar(amxSums), r)
	k.SHLQ(operand.Imm(7), r) // entryBytes
	k.MOVQ(r, k.scalar(unitApart))
	k.LEAQ(at(reg.RBP, k.tiles()*amxTile), reg.R15)
	k.XORL(reg.R12L, reg.R12L)
	k.MOVQ(reg.R12, k.scalar(unitStoredEntry))
	if !k.packed {
		k.MOVL(operand.U32(64), reg.EDI)
	}
	k.beginUnit()
}

// beginUnit goes to the first sum of a unit. RBX is the Call.
func (k *amxUnits) beginUnit() {
	c := reg.RBX
	if !k.nibbles {
		k.MOVQ(k.scalar(amxW), vnniW)
		k.ADDQ(k.scalar(amxFirst), vnniW)
		k.MOVQ(at(c, callWStep), reg.R11)
		k.ADDQ(vnniW, reg.R11)
	}
	k.MOVQ(k.scalar(amxRowX), reg.RDX)
	k.MOVQ(k.scalar(unitOtherX), reg.R13)
	k.ADDQ(reg.RDX, reg.R13)
	k.move(k.scalar(unitTileEntry), unitEntry)
	k.move(k.scalar(unitRowY), unitY)
	k.MOVL(operand.U32(unitNone), reg.R8L)
	k.CMPQ(k.scalar(amxLeft), operand.Imm(16))
	k.CMOVQNE(k.scalar(unitLast), reg.R8)
	k.MOVQ(reg.R8, k.scalar(unitShort))
	if !k.pairs {
		k.move(k.scalar(amxRowSide), unitSide)
	}
	k.move(at(c, callCount), vnniCount)
	k.MOVQ(at(c, callBlocks), vnniBlock)
	k.move(k.scalar(amxSegments), unitSegments)
	k.apart()
}

// onlyWhole goes to a label instead of on to tiles of the other 16 rows, where
// there are none.
func (k *amxUnits) onlyWhole(short, tile int, label string) {
	if tile >= 2 && k.high == 2 {
		k.CMPQ(k.scalar(short), operand.Imm(unitNone))
		k.JEQ(operand.LabelRef(label))
	}
}

// step multiplies a tile of weights and one of x, and loads the one of both that is used
// first.
func (k *amxUnits) step(label string, tile int) {
	if k.high == 3 {
		k.stepOfThree(label, tile)
		return
	}
	x, w := 4+tile/2, 6+tile%2
	weights := indexed([]reg.Register{vnniW, reg.R11}[tile%2], reg.RDI, 1, 0)
	if k.nibbles && tile < 2 {
		weights = k.unpackUnit(fmt.Sprintf("%s_unpack%d", label, tile), tile)
	}
	switch tile {
	case 0:
		k.streamTile(indexed(reg.RDX, reg.RSI, 1, 0), x)
	case 2:
		k.streamTile(indexed(reg.R13, reg.RSI, 1, 0), x)
	}
	if tile < 2 {
		k.loadTile(weights, w)
	}
	k.multiplyTiles(k.product(), w, x, tile)
}

// next moves on to the next tiles of x and of weights.
func (k *amxUnits) next() {
	k.ADDQ(reg.RCX, reg.RDX)
	k.ADDQ(reg.RCX, reg.R13)
	if k.nibbles {
		return
	}
	tile := reg.RCX
	if k.packed {
		tile = reg.R9
		k.MOVQ(reg.RDI, tile)
		k.SHLQ(operand.Imm(4), tile)
	}
	k.ADDQ(tile, vnniW)
	k.ADDQ(tile, reg.R11)
}

// fetch asks for a share of what is read next, twice with each step.
func (k *amxUnits) fetch(label string, tile int) {
	if tile >= 2 || k.nibbles { // a unit of 16 rows has two alone, and unpacking fetches
		return
	}
	label = fmt.Sprintf("%s%d", label, tile)
	k.MOVQ(k.scalar(amxSoon), reg.R9)
	k.MOVQ(k.scalar(amxSoonStep), reg.RBX)
	k.fetchLines(label, reg.R9, reg.RBX, reg.R8)
	k.MOVQ(reg.R9, k.scalar(amxSoon))
}

// rest multiplies the rest of a sum and goes to the next.
func (k *amxUnits) rest() {
	left := reg.R10
	k.TESTQ(vnniBlock, vnniBlock)
	k.JEQ(operand.LabelRef("scale_only"))
	k.next()
	k.segment(vnniBlock, left)
	if k.nibbles {
		k.SHLQ(operand.Imm(k.unpackedTimes()), left)
	}
	k.SUBQ(reg.RCX, left)
	k.JEQ(operand.LabelRef("scale_only"))
	for i := range k.tiles() {
		k.onlyWhole(unitShort, k.order(i), halfLabel(k.tiles()+i, "scale"))
		k.step("second", i)
		k.fetch("fetch_second", i)
		k.scaleHalf(k.tiles() + i)
	}
	k.next()
	k.Label("tiles")
	k.SUBQ(reg.RCX, left)
	k.JEQ(operand.LabelRef("multiplied"))
	for i := range k.tiles() {
		if i == 2 {
			k.onlyWhole(unitShort, i, "next")
		}
		k.step("others", i)
		k.fetch("fetch", i)
	}
	k.Label("next")
	k.next()
	k.JMP(operand.LabelRef("tiles"))
	k.later(func() {
		k.Label("scale_only")
		for i := range k.tiles() {
			k.scaleHalf(2*k.tiles() + i)
		}
		k.TESTQ(vnniBlock, vnniBlock)
		k.JEQ(operand.LabelRef("drained"))
		k.JMP(operand.LabelRef("multiplied"))
	})
	k.Label("multiplied")
	k.shift()
	for _, s := range []struct{ from, to int }{{unitEntry, unitStoredEntry}, {unitSide, unitStoredSide}, {unitY, unitStoredY}, {unitShort, unitStoredShort}} {
		if s.from != unitSide || !k.pairs {
			k.move(k.scalar(s.from), s.to)
		}
	}
	k.ADDQ(operand.I32(entryBytes), k.scalar(unitEntry))
	if !k.pairs {
		k.ADDQ(operand.Imm(4), k.scalar(unitSide))
	}
	k.DECQ(k.scalar(unitSegments))
	k.JEQ(operand.LabelRef("block"))
	if k.packed {
		k.Comment("Back to the next segment's first line.")
		k.MOVWLZX(at(vnniBlock, blockFeatures), reg.R8L)
		k.IMULQ(reg.RDI, reg.R8)
		k.SHRQ(operand.Imm(1), reg.R8)
		k.SUBQ(operand.Imm(64), reg.R8)
		k.SUBQ(reg.R8, vnniW)
		k.SUBQ(reg.R8, reg.R11)
	}
	k.JMP(operand.LabelRef("turn"))
	k.later(func() {
		k.Label("block")
		if !k.nibbles {
			k.MOVQ(k.scalar(amxHeader), reg.R8)
			if k.packed { // whose last line it is, and there is no header
				k.MOVL(operand.U32(64), reg.R8L)
				k.SUBQ(reg.RDI, reg.R8)
			}
			k.ADDQ(reg.R8, vnniW)
			k.ADDQ(reg.R8, reg.R11)
		}
		k.ADDQ(operand.Imm(blockSize), vnniBlock)
		k.DECQ(k.scalar(vnniCount))
		k.JEQ(operand.LabelRef("unit"))
		k.MOVBLZX(at(vnniBlock, blockSegments), reg.R8L)
		k.MOVQ(reg.R8, k.scalar(unitSegments))
		k.apart()
		k.JMP(operand.LabelRef("turn"))
		k.nextUnit()
		k.Label("drained")
		k.shift()
		k.MOVQ(operand.I32(0), k.scalar(unitStoredEntry))
		k.TESTQ(reg.R12, reg.R12)
		k.JNE(operand.LabelRef("turn"))
		k.JMP(operand.LabelRef("done"))
	})
}

// shift makes what was stored what is scaled, and stores to the other place.
func (k *amxUnits) shift() {
	k.MOVQ(k.scalar(unitStoredEntry), reg.R12)
	k.move(k.scalar(unitStoredY), unitScaledY)
	k.move(k.scalar(unitStoredShort), unitScaledShort)
	if !k.pairs {
		k.move(k.scalar(unitStoredSide), unitScaledSide)
	}
	k.MOVQ(reg.RBP, reg.R8)
	k.MOVQ(reg.R15, reg.RBP)
	k.MOVQ(reg.R8, reg.R15)
}

// nextUnit goes to the next rows, or to the next tiles of columns, if there are any.
func (k *amxUnits) nextUnit() {
	c, r := reg.RBX, reg.R8
	twice := func(step, to int) {
		k.MOVQ(k.scalar(step), r)
		k.ADDQ(r, r)
		k.ADDQ(r, k.scalar(to))
	}
	k.Label("unit")
	k.Load(k.Param("c"), c)
	k.SUBQ(operand.Imm(k.rows()), k.scalar(amxLeft))
	k.JLE(operand.LabelRef("unit_tiles"))
	for _, s := range []struct{ step, to int }{{unitNextX, amxRowX}, {unitNextY, unitRowY}, {unitNextSide, amxRowSide}} {
		if s.to != amxRowSide || !k.pairs {
			k.MOVQ(k.scalar(s.step), r)
			k.ADDQ(r, k.scalar(s.to))
		}
	}
	k.Label("unit_begin")
	k.beginUnit()
	k.JMP(operand.LabelRef("turn"))
	k.Label("unit_tiles")
	k.XORL(vnniBlock.As32(), vnniBlock.As32())
	k.SUBQ(operand.Imm(2), k.scalar(amxTiles))
	k.JEQ(operand.LabelRef("turn"))
	k.MOVQ(at(c, callWStep), r)
	k.ADDQ(r, r)
	k.ADDQ(r, k.scalar(amxW))
	twice(unitApart, unitTileEntry)
	twice(amxSoonStep, unitTileSoon)
	k.ADDQ(operand.U32(128), k.scalar(unitTileY))
	k.move(k.scalar(amxRows), amxLeft)
	k.moves(c, callX, amxRowX)
	if !k.pairs {
		k.moves(c, callSide, amxRowSide)
	}
	k.move(k.scalar(unitTileY), unitRowY)
	k.move(k.scalar(unitTileSoon), amxSoon)
	k.JMP(operand.LabelRef("unit_begin"))
}
