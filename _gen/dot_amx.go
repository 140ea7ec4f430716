package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const amxCodesMaths = `
by int8 x, on tiles: see package asm for the layout and the sums.

Maths: TDPBSUD adds to each dword of a tile of sums, [16 rows][16 columns], four
products of signed bytes of x and unsigned codes for each line of a tile of weights,
TDPBSSD of signed ones. The sums are int32 without saturation, as in any other order.

A tile of weights is 16 lines of 8-bit codes as they lie in the panel, which is 64
features, or 8 lines, which is 32; one of x is 64 or 32 bytes of 16 rows each.
`

const amxPairsMaths = `
by bfloat16 x, on tiles: see package asm for the layout and the sums.

Maths: TDPBF16PS adds to each float of a tile of sums, [16 rows][16 columns], the
products of 16 pairs of bfloat16, the lower and the upper halves apart.

A tile of weights is 16 lines of pairs, which is 32 features; one of x is 64 bytes of
16 rows each. All segments end sums, and nothing corrects them.
`

// Heads of kernels.
const (
	amxHead      = amxCodesMaths + amxWalk
	amxPairsHead = amxPairsMaths + amxWalk

	amxPanelHead = amxPairs + `DI 64.`
	amxPlainHead = amxPairs + `DI the distance of lines in a tile of
weights, which is that of a block's segments, and R9 16 times that. Entries have scales
of 1. Additions of vectors, too, take subnormal numbers for 0, as tiles do.`
)

const amxWalk = `
A unit is 16 rows by 16 columns. Its float sums stay in registers while it goes through
all segments:

	for 16 rows:                          in turn i, at the same time:
	  for each tile of columns:             TMM(i mod 4)     = products of sum i
	    Z16 to Z31 = Y                      Call.Spare(i-1)  = TMM(i-1 mod 4)
	    for each integer sum: ...           Z16 to Z31      += Call.Spare(i-3), scaled
	    Y = Z16 to Z31

The processor has no other way from tiles to vectors than memory, and storing a tile
waits for products in the same one: hence four of them. What waits three turns is
there when it is loaded. A turn takes as long as what is in flight lets it, so that
there is little in it but that: scales and zeros of all segments are widened before.

What scales follows what multiplies three turns behind, through the same units.

The call may name some segments of one block, each of which ends a sum: those that
with x of 16 rows stay in the first cache.
`

const amxCodes = `
A segment that ends no sum leaves its products in the tile. What it corrects is
added up in Call.Spare and joins the sums when these are scaled; turns of calls with
such segments say where their scales are.

	Call.Spare = sums [4 turns][16 rows][16 columns] of int32
	             corrections of segments that ended no sum, the same
	             configuration of tiles, 64 bytes
	             weights [4 tiles][16 lines], of DotW4AMX
	             entries [tiles][segments]: scales [16] of float32,
	                                        zeros [16] of uint8 as int32, or of pairs

` + amxRegisters + `DI 64, R11 Side of row 0 and R13 its step; Z0 scales and Z1 zeros of the
sums that are scaled, Z4 to Z15 those.`

const amxPairs = `
	Call.Spare = sums [4 turns][16 rows][16 columns] of float32
	             unused, the same
	             configuration of tiles, 64 bytes
	             unused, [4 tiles]
	             entries [tiles][segments]: scales [16] of float32, 64 bytes unused

` + amxRegisters + `R11 what is fetched next and R13 the way to another of that; Z0 scales
of the sums that are scaled;
`

const amxRegisters = `Registers: AX next line, CX bytes of a tile of weights, and of x, DX x, SI bytes from
row to row in a tile of x, BP Call.Spare, R10 segments left in the block, R14 Block, 0:
none is left; R12 entry and R15 sums left in the unit of what is scaled; R8, R9 and BX
are for a few instructions; TMM4 and TMM5 x, TMM6 and TMM7 weights;
`

// mostTileRows is the most rows of a call, amxTile the bytes of a tile, amxSlots
// how many tiles of sums there are: of those that are scaled, stored and made, and
// amxRingTiles how many of weights that are unpacked on the way.
const mostTileRows, amxTile, amxSlots, amxRingTiles = 240, 1024, 4, 4

// Offsets in Call.Spare, in which a configuration has the bytes of a row and the
// rows of each tile.
const (
	amxFixes   = amxSlots * amxTile
	amxConfig  = 2 * amxSlots * amxTile
	amxRing    = amxConfig + 64
	amxEntries = amxRing + amxRingTiles*amxTile

	configBytes = amxConfig + 16
	configRows  = amxConfig + 48

	entryZeros = 64
	entryBytes = 128
)

// Scalars in the frame, behind those of intVNNI. What multiplies and what scales
// each have their own walk over units.
const (
	amxHeader     = vnniFrame + 8*iota // bytes of a block's header
	amxSums                            // of a unit
	amxSegments                        // of a unit's first block
	amxFirst                           // bytes to the first of them
	amxW                               // of the unit that is multiplied
	amxTiles                           // left of its rows
	amxLeft                            // rows left, its own too
	amxRowX                            // of its rows
	amxSide                            // of the segment that is multiplied, where some end no sum
	amxRowSide                         // of its rows
	amxEntry                           // of the segment
	amxY                               // of the unit that is scaled
	amxRowY                            // of its rows
	amxScaleSide                       // likewise
	amxScaleTiles                      // left of its rows
	amxScaleLeft                       // rows left, its own too
	amxBlockX                          // bytes of 16 rows of x
	amxBlockY                          // and of Y
	amxBlockSide                       // and of Side
	amxToScales                        // from Side to Scales
	amxSoon                            // what is fetched next; of pairs it is in R11
	amxSoonStep                        // to another of that; in R13
	amxShare                           // lines of both fetched with a sum, or of pairs with each tile
	amxRingAt                          // where the next tile is unpacked to on the way, from the first of these on
	amxPlace                           // of what is unpacked next, in Call.Places
	amxPlaceEnd                        // behind those of a unit
	amxBase                            // of its unit
	amxBaseTiles                       // left of its rows, its own too
	amxAhead                           // from there to what is fetched meanwhile
	amxKept                            // MXCSR before the kernel and, in the upper half, while it runs
	amxQueue                           // slots: what is to be scaled, where segments end no sum
)

// A slot of the queue.
const (
	slotEntry = 8 * iota
	slotSide
	slotFix // 1: there are corrections in Call.Spare
	slotBytes

	amxFrame = amxQueue + amxSlots*slotBytes
)

// In the form: there are segments that end no sum; there is nothing to be scaled
// yet.
const (
	amxGoesOn  = 1 << 9
	amxFilling = 1 << 10
)

func init() {
	register(asmDir, "dot_w8_amx", "\n8-bit weights "+amxHead[1:]+amxCodes, func(f *file) {
		f.function("DotW8AMX", "c *Call", amxDoc("DotW8AMX", "8-bit codes"))
		(&amx{intVNNI: &intVNNI{file: f, tiles: 1}, lines: 1}).write()
	})
	register(asmDir, "dot_w4_amx", "\n4-bit weights "+amxHead[1:]+amxOnTheWay+amxCodes+`
Z2 what a code stands for. While a tile is unpacked, AX is where it is packed, R9 the way
from there to what is fetched, and BX where it goes.`, func(f *file) {
		f.function("DotW4AMX", "c *Call", amxDoc("DotW4AMX", "4-bit codes"))
		(&amx{intVNNI: &intVNNI{file: f, tiles: 1}, lines: 1, less: true, nibbles: true, table: 2}).write()
	})
	register(asmDir, "dot_p4_amx", "\n4-bit weights, unpacked by UnpackW4AMX, "+amxHead[1:]+amxCodes, func(f *file) {
		f.function("DotP4AMX", "c *Call", amxDoc("DotP4AMX", "unpacked 4-bit codes"))
		(&amx{intVNNI: &intVNNI{file: f, tiles: 1}, lines: 2, less: true}).write()
	})
	register(asmDir, "gemm_amx", "\nUnpacked panels of pairs, "+amxPairsHead[1:]+amxPanelHead, func(f *file) {
		f.function("GemmAMX", "c *Call", "GemmAMX adds the products of Call.Rows rows of bfloat16 and Call.Tiles unpacked panels of pairs to Y.")
		(&amx{intVNNI: &intVNNI{file: f, tiles: 1}, pairs: true}).write()
	})
	register(asmDir, "gemm_w4_amx", "\n4-bit weights "+amxPairsHead[1:]+amxPairsOnTheWay+strings.Replace(amxPanelHead, "R11 what is fetched next and R13 the way to another of that; ", "", 1)+`
Z13 the table, Z14 a mask of codes and Z15 zero points. While a tile is unpacked, AX is where it is packed,
R11 the way from line to line, R13 zero points, R9 the way to what is fetched, and BX where it goes.`, func(f *file) {
		f.function("GemmW4AMX", "c *Call", "GemmW4AMX adds the products of Call.Rows rows of bfloat16 and Call.Tiles tiles of 4-bit codes to Y.")
		(&amx{intVNNI: &intVNNI{file: f, tiles: 1}, lines: 1, pairs: true, nibbles: true, table: 13}).write()
	})
	register(asmDir, "gemm_bf16_amx", "\nPlain bfloat16 weights as they are packed, "+amxPairsHead[1:]+amxPlainHead, func(f *file) {
		f.function("GemmBF16AMX", "c *Call", "GemmBF16AMX adds the products of Call.Rows rows of bfloat16 and Call.Tiles packed tiles of plain bfloat16 weights to Y.")
		(&amx{intVNNI: &intVNNI{file: f, tiles: 1}, pairs: true, packed: true}).write()
	})
}

// amx is a kernel of AMX while it is written. The walk over blocks and segments is that
// of the kernels for VNNI.
type amx struct {
	*intVNNI
	lines   int  // of 8-bit codes, for each of the panel
	less    bool // codes are signed and less their zero point, but for pairs: Side is not read
	nibbles bool // codes of 4 bits as they are packed; with less, those of ZeroConstant alone are less it
	pairs   bool // no codes but pairs of bfloat16; with nibbles, these are what codes are unpacked to

	table  int  // with nibbles, the register of what codes stand for, and those behind it of a mask and of zero points
	packed bool // with pairs, plain weights whose lines are those of a block's segments in turn
}

func amxDoc(name, what string) string {
	return name + " adds the products of Call.Rows rows of int8 and Call.Tiles tiles of " + what + " to Y."
}

func (k *amx) write() {
	k.begin(amxFrame)
	if k.nibbles {
		k.firstPlace(reg.RBX)
	}
	k.widen()
	k.firstSegment()
	k.beginWalks()
	for turn := range amxSlots {
		k.turn(turn)
	}
	k.JMP(operand.LabelRef("turn0"))
	k.Label("done")
	if k.packed {
		k.LDMXCSR(k.scalar(amxKept))
	}
	k.releaseTiles()
	k.VZEROUPPER()
	k.RET()
	for i := 0; i < len(k.aside); i++ { // which may put more aside
		k.aside[i]()
	}
}

// zeros is the kinds of zero points that sums are corrected by, in the form.
func (k *amx) zeros() uint64 {
	switch {
	case k.pairs:
		return 0
	case k.less && !k.nibbles:
		return formPairs
	}
	return formZeroMask
}

// segment makes bytes those of a segment of a block.
func (k *amx) segment(block reg.Register, bytes reg.GPPhysical) {
	if k.pairs && !k.nibbles {
		k.MOVWLZX(at(block, blockFeatures), bytes.As32())
		k.SHLQ(operand.Imm(5), bytes)
		return
	}
	k.MOVL(at(block, blockLines), bytes.As32())
	k.SHLQ(operand.Imm(uint64(5+k.lines)), bytes)
}

func (k *amx) product() tileProduct {
	switch {
	case k.pairs:
		return bfloat16Pairs
	case k.less:
		return signedBytes
	}
	return unsignedBytes
}

// of is a label of a turn.
func of(turn int, name string) string { return fmt.Sprintf("%s%d", name, turn%amxSlots) }

func (k *amx) slot(turn, field int) operand.Mem {
	return k.scalar(amxQueue + turn%amxSlots*slotBytes + field)
}

// sums is a row of a turn's sums in Call.Spare, fixes of its corrections.
func (k *amx) sums(turn, row int) operand.Mem {
	return at(reg.RBP, turn%amxSlots*amxTile+64*row)
}

func (k *amx) fixes(turn, row int) operand.Mem {
	return at(reg.RBP, amxFixes+turn%amxSlots*amxTile+64*row)
}

// move copies a scalar by way of R8.
func (k *amx) move(from operand.Op, to int) {
	k.MOVQ(from, reg.R8)
	k.MOVQ(reg.R8, k.scalar(to))
}

// beginUnit goes to the first segment of the unit at AX. RBX is the Call.
func (k *amx) beginUnit() {
	c := reg.RBX
	k.MOVQ(vnniW, k.scalar(amxW))
	k.ADDQ(k.scalar(amxFirst), vnniW)
	k.MOVQ(k.scalar(amxRowX), reg.RDX)
	if !k.pairs {
		k.move(k.scalar(amxRowSide), amxSide)
	}
	k.move(at(c, callCount), vnniCount)
	k.MOVQ(at(c, callBlocks), vnniBlock)
	k.MOVQ(k.scalar(amxSegments), reg.R10)
	k.apart()
	if !k.pairs && !k.less {
		k.fetchUnit(c)
	}
}

// apart makes DI the distance of lines in a tile of packed weights.
func (k *amx) apart() {
	if k.packed {
		k.MOVBLZX(at(vnniBlock, blockSegments), reg.EDI)
		k.SHLL(operand.Imm(6), reg.EDI)
	}
}

// stored is 64 in a register: the distance of rows in a tile of sums.
func (k *amx) stored() reg.Register {
	if k.pairs {
		return reg.RSI
	}
	return reg.RDI
}

// turn makes a sum of products, scales that of three turns before, and stores that
// of the turn before.
func (k *amx) turn(turn int) {
	k.Label(of(turn, "turn"))
	k.TESTQ(vnniBlock, vnniBlock)
	k.JEQ(operand.LabelRef(of(turn, "scale")))
	k.products(turn)
	k.Label(of(turn, "scale"))
	k.convert(turn)
	before := (turn + amxSlots - 1) % amxSlots
	k.storeTile(before, indexed(reg.RBP, k.stored(), 1, before*amxTile))
}

// products adds those of a segment, and of further ones until a sum ends, to the
// turn's tile.
func (k *amx) products(turn int) {
	k.zeroTile(turn)
	k.Label(of(turn, "segment"))
	left := reg.R8
	k.segment(vnniBlock, left)
	tile := reg.RCX
	switch {
	case k.packed:
		tile = reg.R9
		k.MOVQ(reg.RDI, tile)
		k.SHLQ(operand.Imm(4), tile)
	case k.nibbles: // whose tiles have places of their own
		k.SHLQ(operand.Imm(k.unpackedTimes()), left)
	}
	k.Label(of(turn, "tile"))
	for i := range 2 {
		x, w := 4+i, 6+i
		weights := indexed(vnniW, reg.RDI, 1, 0)
		switch {
		case k.nibbles:
			weights = k.unpackAhead(of(turn, fmt.Sprintf("unpack%d", i)))
		case !k.pairs && !k.less:
			k.fetchTile(of(turn, fmt.Sprintf("behind%d", i)))
		}
		k.loadTile(indexed(reg.RDX, reg.RSI, 1, 0), x)
		k.loadTile(weights, w)
		k.multiplyTiles(k.product(), w, x, turn)
		if k.pairs && !k.nibbles {
			k.fetchLines(of(turn, fmt.Sprintf("lines%d", i)), reg.R11, reg.R13, reg.RBX)
		}
		k.ADDQ(reg.RCX, reg.RDX)
		if !k.nibbles {
			k.ADDQ(tile, vnniW)
		}
		k.SUBQ(reg.RCX, left)
		if i == 0 {
			k.JEQ(operand.LabelRef(of(turn, "multiplied")))
		}
	}
	k.JNE(operand.LabelRef(of(turn, "tile")))
	k.Label(of(turn, "multiplied"))
	if !k.pairs {
		k.TESTL(operand.U32(amxGoesOn), k.scalar(vnniForm))
		k.JNE(operand.LabelRef(of(turn, "check")))
	}
	k.Label(of(turn, "ends"))
	if !k.pairs && !k.nibbles {
		k.fetchSoon(turn)
	}
	k.DECL(reg.R10L)
	k.JEQ(operand.LabelRef(of(turn, "block")))
	if k.packed {
		k.Comment("Back to the next segment's first line.")
		k.MOVWLZX(at(vnniBlock, blockFeatures), reg.R8L)
		k.IMULQ(reg.RDI, reg.R8)
		k.SHRQ(operand.Imm(1), reg.R8)
		k.SUBQ(reg.R8, vnniW)
		k.ADDQ(operand.Imm(64), vnniW)
	}
	k.later(func() {
		k.Label(of(turn, "block"))
		if k.packed { // its last line
			k.SUBQ(reg.RDI, vnniW)
			k.ADDQ(operand.Imm(64), vnniW)
		}
		k.ADDQ(operand.Imm(blockSize), vnniBlock)
		k.DECQ(k.scalar(vnniCount))
		k.JEQ(operand.LabelRef(of(turn, "unit")))
		k.header()
		k.JMP(operand.LabelRef(of(turn, "scale")))
		k.nextUnit(turn)
		if !k.pairs {
			k.check(turn)
		}
	})
}

// header goes to a block's first segment.
func (k *amx) header() {
	k.ADDQ(k.scalar(amxHeader), vnniW)
	k.MOVBLZX(at(vnniBlock, blockSegments), reg.R10L)
	k.apart()
}

// nextUnit goes to the rows' next tile, or to the next rows, if there are any.
func (k *amx) nextUnit(turn int) {
	c := reg.RBX
	k.Label(of(turn, "unit"))
	k.Load(k.Param("c"), c)
	k.MOVQ(k.scalar(amxW), vnniW)
	k.ADDQ(at(c, callWStep), vnniW)
	k.DECQ(k.scalar(amxTiles))
	k.JNE(operand.LabelRef(of(turn, "begin")))
	k.XORL(vnniBlock.As32(), vnniBlock.As32())
	k.SUBQ(operand.Imm(16), k.scalar(amxLeft))
	k.JEQ(operand.LabelRef(of(turn, "scale")))
	k.nextRows(amxRowX, amxBlockX, amxRowSide)
	k.move(at(c, callTiles), amxTiles)
	k.LEAQ(at(reg.RBP, amxEntries), reg.R8)
	k.MOVQ(reg.R8, k.scalar(amxEntry))
	k.MOVQ(at(c, callW), vnniW)
	k.Label(of(turn, "begin"))
	k.beginUnit()
	k.JMP(operand.LabelRef(of(turn, "scale")))
}

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

// check notes where the scales of a sum that ends are; of a segment that ends none
// it adds up what that corrects, and goes to the next one.
func (k *amx) check(turn int) {
	label := func(name string) string { return of(turn, "check_"+name) }
	fix := reg.R9
	next := func() {
		k.ADDQ(operand.I32(entryBytes), k.scalar(amxEntry))
		k.ADDQ(operand.Imm(4), k.scalar(amxSide))
	}
	k.Label(of(turn, "check"))
	k.MOVBLZX(at(vnniBlock, blockSegments), reg.R8L)
	k.SUBL(reg.R10L, reg.R8L)
	k.MOVBLZX(at(vnniBlock, blockEnds), reg.R9L)
	k.BTL(reg.R8L, reg.R9L)
	k.MOVQ(k.scalar(amxEntry), reg.R8)
	k.MOVQ(k.scalar(amxSide), reg.RBX)
	k.JCC(operand.LabelRef(label("on")))
	k.MOVQ(reg.R8, k.slot(turn, slotEntry))
	k.MOVQ(reg.RBX, k.slot(turn, slotSide))
	next()
	k.JMP(operand.LabelRef(of(turn, "ends")))

	k.Label(label("on"))
	if k.less {
		k.TESTB(operand.Imm(k.zeros()), k.scalar(vnniForm))
		k.JEQ(operand.LabelRef(label("added")))
	}
	k.VMOVDQA64(at(reg.R8, entryZeros), zmm[1])
	k.CMPQ(k.slot(turn, slotFix), operand.Imm(0))
	k.JNE(operand.LabelRef(label("begun")))
	k.clear(zmm[4])
	for row := range 16 {
		k.VMOVDQA64(zmm[4], k.fixes(turn, row))
	}
	k.MOVQ(operand.I32(1), k.slot(turn, slotFix))
	k.Label(label("begun"))
	k.LEAQ(k.fixes(turn, 0), fix)
	k.MOVL(operand.U32(16), reg.R8L)
	if !k.less {
		k.TESTB(operand.Imm(k.zeros()), k.scalar(vnniForm))
		k.JEQ(operand.LabelRef(label("constant")))
	}
	each := func(name string, correct func()) {
		k.Label(label(name))
		k.VMOVDQA64(at(fix, 0), zmm[4])
		correct()
		k.VMOVDQA64(zmm[4], at(fix, 0))
		k.ADDQ(vnniSideStep, reg.RBX)
		k.ADDQ(operand.Imm(64), fix)
		k.DECL(reg.R8L)
		k.JNE(operand.LabelRef(label(name)))
	}
	each("add", func() { k.VPDPWSSD_BCST(at(reg.RBX, 0), zmm[1], zmm[4]) })
	k.Label(label("added"))
	next()
	k.DECL(reg.R10L)
	k.JNE(operand.LabelRef(of(turn, "segment")))
	k.ADDQ(operand.Imm(blockSize), vnniBlock)
	k.DECQ(k.scalar(vnniCount))
	k.header()
	k.JMP(operand.LabelRef(of(turn, "segment")))
	if !k.less {
		each("constant", func() { k.VPADDD_BCST(at(reg.RBX, 0), zmm[4], zmm[4]) })
		k.JMP(operand.LabelRef(label("added")))
	}
}
