package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// amxTile is the bytes of a tile, amxSlots how many tiles of sums there are: of those that
// are scaled, stored and made, and amxRingTiles how many of weights that are unpacked on the
// way.
const amxTile, amxSlots, amxRingTiles = 1024, 4, 4

// Offsets in Call.Spare, in which a configuration has the bytes of a row and the
// rows of each tile.
const (
	amxFixes   = amxSlots * amxTile
	amxConfig  = 3 * amxSlots * amxTile // units of three by two tiles have so many of sums
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
	amxRows                            // of the call, with those that fill the last 16
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
// yet; of 16 rows there are but up to eight, or up to four.
const (
	amxGoesOn  = 1 << 9
	amxFilling = 1 << 10
	amxEight   = 1 << 11
	amxFour    = 1 << 12
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
	register(asmDir, "gemm_w4_amx", "\n4-bit weights "+amxPairsHead[1:]+amxPairsOnTheWay+amxWayHead, func(f *file) {
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
	k.rowsOfTiles(reg.RBX, reg.RDX)
	k.configure(reg.RBX, "SSSSXXww", reg.DL)
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
