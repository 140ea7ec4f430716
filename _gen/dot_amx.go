package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const amxHead = `
by int8 x, on tiles: see package asm for the layout and the sums.

Maths: TDPBSUD adds to each dword of a tile of sums, [rows][16 columns], four
products of signed bytes of x and unsigned codes for each of 16 lines, TDPBSSD of
signed ones. The sums are int32 without saturation, as in any other order.

A tile of weights is 16 lines of 8-bit codes as they lie in the panel, which is 64
features; one of x is 64 bytes of 16 rows each. The weights of a segment of 64 or
128 features stay in tiles for all rows:

	                   TMM4        TMM6         first 64 features of a segment,
	                   TMM5        TMM7         and the other, of two tiles of W
	TMM2   TMM3      [ TMM0 ]    [ TMM1 ]       16 rows of x, and their sums

Sums go to Call.Spare. They are corrected, scaled and added to Y on vector
registers while the products of the next 16 rows are made: those are a few long
instructions, which come first. Sums of a segment with which they do not end are
corrected and wait in Call.Spare for the next.

	Call.Spare = sums [2 tiles][16 rows][16 columns] of int32
	             sums that wait [15 times 16 rows] of the same
	             configuration of tiles, 64 bytes

Registers: AX next line, CX bytes to the second tile, BX x of the first 16 rows, DX
of those that are next, DI 64, BP Call.Spare, R8 lines left, R9 and R10 scales and
zeros, R11 Side of row 0, R13 the step of Side, R14 Block, R15 ends of the segments
left, above them a 1; Z0 and Z1 scales, Z2 and Z3 zeros of the segment whose sums
are in Call.Spare. In products R9 and R10 are lines of both tiles, R12 is x. While
sums are scaled: R8 sums, R9 Y, R10 Side, R12 from there to Scales, BX step of Y; Z4
to Z12 sums, Side and Y.`

// mostTileRows is the most rows of a call, amxTileLines the lines of a tile of weights
// and amxTile its bytes, and those of x.
const mostTileRows, amxTileLines, amxTile = 240, 16, 1024

// Offsets in Call.Spare: of the second tile's sums, of those that wait, of the
// configuration, in which are the bytes of a row and the rows of each tile.
const (
	amxSecond = 1024
	amxWaits  = 2 * amxSecond
	amxConfig = amxWaits + mostTileRows*2*64

	configBytes = amxConfig + 16
	configRows  = amxConfig + 48
)

// Scalars in the frame, behind those of intVNNI.
const (
	amxRows      = vnniFrame + 8*iota // of the call
	amxLeft                           // from the next 16 on
	amxEnd                            // behind the sums of 16 rows in Call.Spare
	amxLines                          // of the segment
	amxX                              // a register while sums are scaled
	amxToScales                       // from Side to Scales
	amxY                              // of the 16 rows
	amxSide                           // likewise
	amxWaiting                        // likewise, sums in Call.Spare
	amxBlockX                         // bytes of 16 rows of x
	amxBlockY                         // and of Y
	amxBlockSide                      // and of Side
	amxKeptY                          // Y of sums in Call.Spare, 0: there are none
	amxKeptSide                       // and Side
	amxGoesOn                         // 1: the segment begins with sums that wait
	amxSoon                           // what is fetched next
	amxSoonStep                       // to another of that
	amxShare                          // lines of both fetched with 16 rows
	amxFrame
)

func init() {
	register(asmDir, "dot_w8_amx", "\n8-bit weights "+amxHead[1:], func(f *file) {
		dotAMX(f, "DotW8AMX", "a tile of 8-bit codes", &amx{intVNNI: &intVNNI{tiles: 1}, lines: 1})
		dotAMX(f, "DotW8AMXx2", "two tiles of 8-bit codes", &amx{intVNNI: &intVNNI{tiles: 2}, lines: 1})
	})
	register(asmDir, "dot_p4_amx", "\n4-bit weights, unpacked by UnpackW4AMX, "+amxHead[1:], func(f *file) {
		dotAMX(f, "DotP4AMX", "a tile of unpacked 4-bit codes", &amx{intVNNI: &intVNNI{tiles: 1}, lines: 2, less: true})
		dotAMX(f, "DotP4AMXx2", "two tiles of unpacked 4-bit codes", &amx{intVNNI: &intVNNI{tiles: 2}, lines: 2, less: true})
	})
}

// amx is an integer kernel of AMX while it is written. The walk over blocks and
// segments is that of the kernels for VNNI.
type amx struct {
	*intVNNI
	lines int  // of 8-bit codes, for each of the panel
	less  bool // where one zero point is for all, codes are signed and less it: Side is not read
}

func dotAMX(f *file, name, what string, k *amx) {
	k.file = f
	k.function(name, "c *Call", name+" adds the products of Call.Rows rows of int8 and "+what+" to Y.")
	k.begin()

	k.Label("block")
	k.header()
	k.Label("segment")
	k.beginSegment()
	k.Label("rows")
	k.products()
	k.fetchSoon()
	k.CMPQ(k.scalar(amxKeptY), operand.Imm(0))
	k.JEQ(operand.LabelRef("keep"))
	k.convert("before")
	k.Label("keep")
	for t := range k.tiles {
		k.storeTile(t, indexed(reg.RBP, reg.RDI, 1, amxSecond*t))
	}
	k.TESTL(operand.U32(1), vnniEnds.As32())
	k.JEQ(operand.LabelRef("goes_on"))
	k.keepScales()
	k.Label("next_rows")
	k.ADDQ(k.scalar(amxBlockX), reg.RDX)
	for _, s := range []struct{ at, step int }{{amxY, amxBlockY}, {amxSide, amxBlockSide}} {
		k.MOVQ(k.scalar(s.step), reg.R8)
		k.ADDQ(reg.R8, k.scalar(s.at))
	}
	k.ADDQ(operand.I32(amxWaits), k.scalar(amxWaiting))
	k.SUBQ(operand.Imm(16), k.scalar(amxLeft))
	k.JHI(operand.LabelRef("rows"))
	k.endSegment()
	k.advance("segment")
	k.ADDQ(operand.Imm(blockSize), vnniBlock)
	k.DECQ(k.scalar(vnniCount))
	k.JNE(operand.LabelRef("block"))

	k.convert("last")
	k.releaseTiles()
	k.VZEROUPPER()
	k.RET()

	k.Label("goes_on")
	k.wait()
	k.JMP(operand.LabelRef("next_rows"))
	for i := 0; i < len(k.aside); i++ { // which may put more aside
		k.aside[i]()
	}
}

// begin reads the Call and configures the tiles.
func (k *amx) begin() {
	k.frame = k.AllocLocal(amxFrame)
	c, r := vnniW, reg.R8
	k.Load(k.Param("c"), c)
	k.form(c)
	keep := func(at int) { k.MOVQ(r, k.scalar(at)) }
	k.XORL(r.As32(), r.As32())
	keep(amxKeptY)
	keep(amxGoesOn)
	for _, s := range []struct{ field, at int }{{callCount, vnniCount}, {callSoon, amxSoon}, {callSoonStep, amxSoonStep}, {callShare, amxShare}} {
		k.MOVQ(at(c, s.field), r)
		keep(s.at)
	}
	k.MOVQ(at(c, callY), r)
	keep(vnniY)
	k.MOVQ(at(c, callYStep), r)
	keep(vnniYStep)
	k.SHLQ(operand.Imm(4), r)
	keep(amxBlockY)
	k.MOVQ(at(c, callX), vnniX)
	k.MOVQ(at(c, callXStep), r)
	k.SHLQ(operand.Imm(4), r)
	keep(amxBlockX)
	k.MOVQ(at(c, callSide), vnniSide)
	k.MOVQ(at(c, callScales), r)
	k.SUBQ(vnniSide, r)
	keep(amxToScales)
	k.MOVQ(at(c, callSStep), vnniSideStep)
	k.MOVQ(vnniSideStep, r)
	k.SHLQ(operand.Imm(4), r)
	keep(amxBlockSide)
	k.MOVQ(at(c, callBlocks), vnniBlock)
	k.MOVQ(at(c, callSpare), reg.RBP)

	k.MOVQ(at(c, callRows), r)
	keep(amxRows)
	k.LEAQ(at(reg.RBP, amxSecond), r)
	keep(amxEnd)

	k.Comment("Palette 1.")
	k.VPXORD(zmm[0], zmm[0], zmm[0])
	k.VMOVDQU64(zmm[0], at(reg.RBP, amxConfig))
	k.MOVB(operand.Imm(1), at(reg.RBP, amxConfig))
	for n := range 8 {
		k.MOVW(operand.U16(64), at(reg.RBP, configBytes+2*n))
		k.MOVB(operand.Imm(amxTileLines), at(reg.RBP, configRows+n))
	}
	k.loadTileConfig(at(reg.RBP, amxConfig))

	k.MOVL(operand.U32(64), reg.EDI)
	if k.tiles == 2 {
		k.MOVQ(at(c, callWStep), vnniWStep)
	}
	k.MOVQ(at(c, callW), vnniW)
}

// beginSegment goes to the first rows, and loads the weights of a segment of one
// tile or two.
func (k *amx) beginSegment() {
	k.MOVQ(vnniScale, k.scalar(vnniKept))
	k.MOVQ(vnniX, reg.RDX)
	k.MOVQ(vnniSide, k.scalar(amxSide))
	for _, s := range []struct{ from, to int }{{vnniY, amxY}, {amxRows, amxLeft}} {
		k.MOVQ(k.scalar(s.from), reg.R9)
		k.MOVQ(reg.R9, k.scalar(s.to))
	}
	k.LEAQ(at(reg.RBP, amxWaits), reg.R9)
	k.MOVQ(reg.R9, k.scalar(amxWaiting))
	k.MOVL(at(vnniBlock, blockLines), vnniLines.As32())
	if k.lines == 2 {
		k.ADDL(vnniLines.As32(), vnniLines.As32())
	}
	k.MOVQ(vnniLines, k.scalar(amxLines))
	k.CMPQ(vnniLines, operand.Imm(2*amxTileLines))
	k.JHI(operand.LabelRef("rows"))
	weights := []reg.Register{vnniW, reg.R9}[:k.tiles]
	if k.tiles == 2 {
		k.LEAQ(indexed(vnniW, vnniWStep, 1, 0), reg.R9)
	}
	for t, w := range weights {
		k.loadTile(indexed(w, reg.RDI, 1, 0), 4+2*t)
	}
	k.CMPQ(vnniLines, operand.Imm(amxTileLines))
	k.JEQ(operand.LabelRef("rows"))
	for t, w := range weights {
		k.loadTile(indexed(w, reg.RDI, 1, amxTile), 4+2*t+1)
	}
}

// endSegment goes on to the next one's lines.
func (k *amx) endSegment() {
	k.MOVQ(k.scalar(vnniKept), vnniScale)
	k.MOVQ(k.scalar(amxLines), reg.R8)
	k.SHLQ(operand.Imm(6), reg.R8)
	k.ADDQ(reg.R8, vnniX)
	k.ADDQ(reg.R8, vnniW)
	k.XORL(reg.R8L, reg.R8L)
	k.SHRL(operand.Imm(1), vnniEnds.As32())
	k.SETCC(reg.R8B)
	k.MOVQ(reg.R8, k.scalar(amxGoesOn))
}

// products adds those of 16 rows to the tiles.
func (k *amx) products() {
	k.CMPQ(k.scalar(amxGoesOn), operand.Imm(0))
	k.JNE(operand.LabelRef("begun"))
	for t := range k.tiles {
		k.zeroTile(t)
	}
	k.Label("multiply")
	k.later(func() {
		k.Label("begun")
		k.MOVQ(k.scalar(amxWaiting), reg.R8)
		for t := range k.tiles {
			k.loadTile(indexed(reg.R8, reg.RDI, 1, amxSecond*t), t)
		}
		k.JMP(operand.LabelRef("multiply"))
	})
	multiply := func(x reg.Register, disp, tile, half int) {
		k.loadTile(indexed(x, reg.RDI, 1, disp), tile)
		for t := range k.tiles {
			k.multiplyTiles(k.less, 4+2*t+half, tile, t)
		}
	}
	k.MOVQ(k.scalar(amxLines), vnniLines)
	k.CMPQ(vnniLines, operand.Imm(2*amxTileLines))
	k.JHI(operand.LabelRef("long"))
	multiply(reg.RDX, 0, 2, 0)
	k.JCS(operand.LabelRef("multiplied"))
	multiply(reg.RDX, amxTile, 3, 1)
	k.Label("multiplied")
	k.later(func() {
		k.Label("long")
		lines := []reg.GPPhysical{reg.R9, reg.R10}[:k.tiles]
		k.MOVQ(reg.RDX, reg.R12)
		k.MOVQ(vnniW, lines[0])
		if k.tiles == 2 {
			k.LEAQ(indexed(vnniW, vnniWStep, 1, 0), lines[1])
		}
		k.Label("tile")
		for t, l := range lines {
			k.loadTile(indexed(l, reg.RDI, 1, 0), 4+2*t)
		}
		multiply(reg.R12, 0, 2, 0)
		for _, r := range append([]reg.GPPhysical{reg.R12}, lines...) {
			k.ADDQ(operand.U32(amxTile), r)
		}
		k.SUBQ(operand.Imm(amxTileLines), vnniLines)
		k.JNE(operand.LabelRef("tile"))
		k.JMP(operand.LabelRef("multiplied"))
	})
}

// fetchSoon asks for some lines of what is unpacked next, while products are made:
// all at once would keep the core waiting.
func (k *amx) fetchSoon() {
	k.MOVQ(k.scalar(amxShare), reg.R8)
	k.TESTQ(reg.R8, reg.R8)
	k.JEQ(operand.LabelRef("fetched"))
	k.MOVQ(k.scalar(amxSoon), reg.R9)
	k.MOVQ(k.scalar(amxSoonStep), reg.R10)
	k.Label("fetch")
	k.PREFETCHT1(at(reg.R9, 0))
	k.PREFETCHT1(indexed(reg.R9, reg.R10, 1, 0))
	k.ADDQ(operand.Imm(64), reg.R9)
	k.DECQ(reg.R8)
	k.JNE(operand.LabelRef("fetch"))
	k.MOVQ(reg.R9, k.scalar(amxSoon))
	k.Label("fetched")
}

// keepScales notes where the sums in Call.Spare go, and with the first rows of a
// segment loads its scales and zeros: until then those of the segment before were
// needed.
func (k *amx) keepScales() {
	k.MOVQ(k.scalar(amxSide), reg.R8)
	k.MOVQ(reg.R8, k.scalar(amxKeptSide))
	k.MOVQ(k.scalar(amxY), reg.R8)
	k.MOVQ(reg.R8, k.scalar(amxKeptY))
	k.CMPQ(reg.R8, k.scalar(vnniY))
	k.JNE(operand.LabelRef("next_rows"))
	k.MOVQ(k.scalar(vnniKept), vnniScale)
	k.loadScales(zmm[:k.tiles])
	k.TESTB(operand.Imm(formZeroMask), k.scalar(vnniForm))
	k.JNE(operand.LabelRef("zeros"))
	k.later(func() {
		k.Label("zeros")
		k.loadZeros("pairs")
		k.JMP(operand.LabelRef("next_rows"))
	})
}

// loadZeros puts the segment's zero points into Z2 and Z3.
func (k *amx) loadZeros(name string) {
	zeros := reg.R10
	k.MOVQ(k.scalar(vnniZero), zeros)
	k.TESTB(operand.Imm(formPairs), k.scalar(vnniForm))
	k.JNE(operand.LabelRef(name))
	for t := range k.tiles {
		k.VPMOVZXBD(inTile(t, zeros, 0), zmm[2+t])
	}
	k.Label(name + "_loaded")
	k.later(func() {
		k.Label(name)
		for t := range k.tiles {
			k.VMOVDQU32(inTile(t, zeros, 0), zmm[2+t])
		}
		k.JMP(operand.LabelRef(name + "_loaded"))
	})
}

// amxRow is one of two rows of sums in registers, and where its memory is.
type amxRow struct {
	sums, y []reg.VecPhysical
	toSums  int
	toY     func(disp int) operand.Mem
	side    operand.Mem
	scale   operand.Mem
}

// eachRow emits f for 16 rows of sums, two at a time; the sums are at R8, Y at R9,
// its step in BX, Side at R10.
func (k *amx) eachRow(name string, f func(r amxRow)) {
	row := func(i int) amxRow {
		r := amxRow{sums: zmm[5+2*i:][:k.tiles], y: zmm[9+2*i:][:k.tiles], toSums: 64 * i}
		r.toY = func(disp int) operand.Mem {
			if i == 1 {
				return indexed(reg.R9, reg.RBX, 1, disp)
			}
			return at(reg.R9, disp)
		}
		r.side, r.scale = at(reg.R10, 0), indexed(reg.R10, reg.R12, 1, 0)
		return r
	}
	k.MOVQ(reg.RBP, reg.R8)
	k.Label(name + "_two")
	for i := range 2 {
		f(row(i))
		k.ADDQ(vnniSideStep, reg.R10)
	}
	k.ADDQ(operand.U32(128), reg.R8)
	k.LEAQ(indexed(reg.R9, reg.RBX, 2, 0), reg.R9)
	k.CMPQ(reg.R8, k.scalar(amxEnd))
	k.JNE(operand.LabelRef(name + "_two"))
}

// corrected puts a row's sums with what Side says of the segment into registers;
// where zeros are not one for all they are in Z2 and Z3.
func (k *amx) corrected(r amxRow, zeros bool) {
	if !zeros && k.less {
		for t, s := range r.sums {
			k.VMOVDQA64(at(reg.R8, amxSecond*t+r.toSums), s)
		}
		return
	}
	if zeros {
		for t, s := range r.sums {
			k.VMOVDQA64(at(reg.R8, amxSecond*t+r.toSums), s)
		}
		for t, s := range r.sums {
			k.VPDPWSSD_BCST(r.side, zmm[2+t], s)
		}
		return
	}
	k.VPBROADCASTD(r.side, zmm[4])
	for t, s := range r.sums {
		k.VPADDD(at(reg.R8, amxSecond*t+r.toSums), zmm[4], s)
	}
}

// convert corrects and scales the sums in Call.Spare and adds them to Y. The
// labels in it begin with name.
func (k *amx) convert(name string) {
	end := name + "_converted"
	kind := func(name string, zeros bool) {
		k.TESTL(operand.U32(vnniScaled), k.scalar(vnniForm))
		k.JNE(operand.LabelRef(name + "_scaled"))
		k.eachRow(name, func(r amxRow) {
			k.corrected(r, zeros)
			for t, s := range r.sums {
				k.VCVTDQ2PS(s, s)
				k.VFMADD213PS(r.toY(64*t), zmm[t], s)
				k.VMOVUPS(s, r.toY(64*t))
			}
		})
		k.later(func() {
			k.Label(name + "_scaled")
			k.MOVQ(k.scalar(amxToScales), reg.R12)
			k.eachRow(name+"_scaled", func(r amxRow) {
				k.corrected(r, zeros)
				for t, s := range r.sums {
					k.VCVTDQ2PS(s, s)
					k.VMULPS(zmm[t], s, s)
					k.VMOVUPS(r.toY(64*t), r.y[t])
					k.VFMADD231PS_BCST(r.scale, s, r.y[t])
					k.VMOVUPS(r.y[t], r.toY(64*t))
				}
			})
			k.JMP(operand.LabelRef(end))
		})
	}
	k.MOVQ(vnniX, k.scalar(amxX))
	k.MOVQ(k.scalar(amxKeptY), reg.R9)
	k.MOVQ(k.scalar(amxKeptSide), reg.R10)
	k.MOVQ(k.scalar(vnniYStep), reg.RBX)
	k.TESTB(operand.Imm(formZeroMask), k.scalar(vnniForm))
	k.JNE(operand.LabelRef(name + "_zeros"))
	kind(name+"_constant", false)
	k.Label(end)
	k.MOVQ(k.scalar(amxX), vnniX)
	k.later(func() {
		k.Label(name + "_zeros")
		kind(name+"_bytes", true)
		k.JMP(operand.LabelRef(end))
	})
}

// wait corrects the sums of a segment with which they do not end, and puts them
// where they wait for the next.
func (k *amx) wait() {
	store := func(name string, zeros bool) {
		k.eachRow(name, func(r amxRow) {
			k.corrected(r, zeros)
			for t, s := range r.sums {
				k.VMOVDQA64(s, r.toY(amxSecond*t))
			}
		})
	}
	k.XORL(reg.R8L, reg.R8L)
	k.MOVQ(reg.R8, k.scalar(amxKeptY))
	k.TESTB(operand.Imm(formZeroMask), k.scalar(vnniForm))
	k.JNE(operand.LabelRef("wait_zeros"))
	k.Label("wait_zeros_loaded")
	k.MOVQ(vnniX, k.scalar(amxX))
	k.MOVQ(k.scalar(amxWaiting), reg.R9)
	k.MOVQ(k.scalar(amxSide), reg.R10)
	k.MOVL(operand.U32(64), reg.EBX)
	k.TESTB(operand.Imm(formZeroMask), k.scalar(vnniForm))
	k.JNE(operand.LabelRef("wait_bytes"))
	store("wait_constant", false)
	k.Label("waiting")
	k.MOVQ(k.scalar(amxX), vnniX)
	k.later(func() {
		k.Label("wait_zeros")
		k.loadZeros("wait_pairs")
		k.JMP(operand.LabelRef("wait_zeros_loaded"))
		k.Label("wait_bytes")
		store("wait_bytes_row", true)
		k.JMP(operand.LabelRef("waiting"))
	})
}
