package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vnniRegisters is the part of the heads of VNNI's integer kernels that is the
// same for all.
const vnniRegisters = `
Registers: AX next line, CX bytes to the second tile, or of packed weights
Call.Ahead, BX x of row 0, DX x of row 7, SI, DI and BP one, three and five steps of
x, R8 lines left in the segment, R9 its scales, R10 what to fetch
next, R11 Side of row 0, R12 from there to Scales, R13 the step of
both, R14 Block, R15 ends of the segments left, above them a 1; first Z registers:
int32 sums, then as many float sums as rows and tiles need, which stay in memory
for two tiles of more than seven rows;
`

var (
	vnniW, vnniWStep          = reg.RAX, reg.RCX
	vnniX, vnniX7             = reg.RBX, reg.RDX
	vnniXStep, vnniX3, vnniX5 = reg.RSI, reg.RDI, reg.RBP
	vnniAhead                 = reg.RCX // instead of vnniWStep
	vnniLines                 = reg.R8  // free between the lines of two segments
	vnniScale, vnniNext       = reg.R9, reg.R10
	vnniSide, vnniToScales    = reg.R11, reg.R12
	vnniSideStep              = reg.R13
	vnniBlock, vnniEnds       = reg.R14, reg.R15
)

var zmm = []reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

// intVNNI is an integer kernel of AVX-512 VNNI while it is written: some rows
// by one or two tiles. The walk over blocks and segments, corrections, scales
// and float sums are here; the lines of a segment are the kernels' own.
//
// All int32 sums stay in registers, and all float sums but those of the kernels
// with the most rows. A sum is spread over chains, so that few rows do not wait
// for the latency of vpdpbusd.
type intVNNI struct {
	*file
	rows, tiles, chains int
	packed              bool // weights of one tile come from memory, once or a few times
	inMemory            bool // float sums stay in Y, as registers are too few

	// With shuffled, kernels of one tile, x of the first rows is loaded four dwords at a
	// time, to as many registers of it, and goes through the last of them: where two products
	// begin in a cycle, so do two loads, of which weights are some.
	shuffled []reg.VecPhysical

	// Lines of what comes next that a turn of the lines' loop asks for; 0: none. On
	// two ports of vpdpbusd a turn takes 24 cycles for four lines of two tiles and six
	// rows, in which little more than a line comes from memory, and more would keep
	// other loads waiting.
	next int

	constants func() // fills registers before the first block; nil: none
	lines     func() // adds the segment's lines to sum; R8 is free

	frame operand.Mem
	aside []func() // writes code that follows the function's RET
}

// sum is a part of the integer sums of a row and a tile.
func (k *intVNNI) sum(row, tile, chain int) reg.VecPhysical {
	return zmm[(row*k.tiles+tile)*k.chains+chain]
}

// y is the float sums of a row and a tile.
func (k *intVNNI) y(row, tile int) reg.VecPhysical {
	return zmm[k.rows*k.tiles*k.chains+row*k.tiles+tile]
}

// spare is the registers that no sum lives in.
func (k *intVNNI) spare() []reg.VecPhysical {
	if k.inMemory {
		return zmm[k.rows*k.tiles*k.chains:]
	}
	return zmm[k.rows*k.tiles*(k.chains+1):]
}

// Scalars in the frame, 8 bytes each.
const (
	vnniForm       = 8 * iota // with vnniScaled
	vnniCount                 // blocks left
	vnniScaleStep             // bytes of a segment's scales
	vnniScaleBytes            // of a block's
	vnniZeroStep              // bytes of a segment's zeros
	vnniZeroBytes             // of a block's
	vnniZero                  // a segment's zeros
	vnniSideThree             // three steps of Side
	vnniY                     // float sums that stay in memory
	vnniYStep                 // from row to row
	vnniKept                  // a register while sums are added to them
	vnniFrame

	vnniScaled = 1 << 8 // in the form: there are scales of x
)

func (k *intVNNI) scalar(at int) operand.Mem { return k.frame.Offset(at) }

func (k *intVNNI) later(f func()) { k.aside = append(k.aside, f) }

func (k *intVNNI) each(f func(row, tile int)) {
	for r := range k.rows {
		for t := range k.tiles {
			f(r, t)
		}
	}
}

// x is a row of x. Up to seven rows need no second base.
func (k *intVNNI) x(row, disp int) operand.Mem {
	switch row {
	case 0:
		return at(vnniX, disp)
	case 1, 2, 4, 8:
		return indexed(vnniX, vnniXStep, row, disp)
	case 3, 6:
		return indexed(vnniX, vnniX3, row/3, disp)
	case 5, 10:
		return indexed(vnniX, vnniX5, row/5, disp)
	case 7:
		return at(vnniX7, disp)
	}
	return indexed(vnniX7, vnniXStep, row-7, disp) // 9 and 11
}

// nextX moves x on by some bytes.
func (k *intVNNI) nextX(n int) {
	k.ADDQ(operand.Imm(uint64(n)), vnniX)
	if k.rows > 7 {
		k.ADDQ(operand.Imm(uint64(n)), vnniX7)
	}
}

// fetch asks for what comes ahead of the line disp bytes behind vnniW.
func (k *intVNNI) fetch(disp int) {
	if k.packed {
		k.PREFETCHT0(indexed(vnniW, vnniAhead, 1, disp))
	}
}

// fetchNext asks for what is unpacked or multiplied next while the units are busy.
func (k *intVNNI) fetchNext() {
	for i := range k.next {
		k.PREFETCHT1(at(vnniNext, 64*i))
	}
	k.ADDQ(operand.U32(64*uint64(k.next)), vnniNext)
}

// inTile is memory of the first or the second tile.
func inTile(tile int, base reg.Register, disp int) operand.Mem {
	if tile == 1 {
		return indexed(base, vnniWStep, 1, disp)
	}
	return at(base, disp)
}

// clear makes a register zero by an instruction that no unit executes.
func (k *intVNNI) clear(z reg.VecPhysical) {
	if z.ID() < reg.Z16.ID() {
		k.VPXOR(z.AsX(), z.AsX(), z.AsX())
		return
	}
	k.VPXORD(z, z, z)
}

// write emits the function.
func (k *intVNNI) write(name string, doc ...string) {
	k.function(name, "c *Call", doc...)
	k.begin()

	k.Label("block")
	k.header()
	k.Label("segment")
	k.corrections()
	k.Label("lines")
	k.lines()
	k.SHRL(operand.Imm(1), vnniEnds.As32())
	k.JCC(operand.LabelRef("goes_on"))
	k.convert()
	k.advance("segment")
	k.ADDQ(operand.Imm(blockSize), vnniBlock)
	k.DECQ(k.scalar(vnniCount))
	k.JNE(operand.LabelRef("block"))

	k.Label("done")
	if k.next > 0 {
		k.Load(k.Param("c"), reg.RAX)
		k.MOVQ(vnniNext, at(reg.RAX, callNext))
	}
	if !k.inMemory {
		k.eachY(func(r, t int, y operand.Mem) { k.VMOVUPS(k.y(r, t), y) })
	}
	k.VZEROUPPER()
	k.RET()

	k.Label("goes_on")
	k.advance("segment_on")
	k.ADDQ(operand.Imm(blockSize), vnniBlock)
	k.DECQ(k.scalar(vnniCount))
	k.JEQ(operand.LabelRef("done"))
	k.header()
	k.Label("segment_on")
	k.correctionsOn()
	for _, f := range k.aside {
		f()
	}
}

// begin reads the Call.
func (k *intVNNI) begin() {
	k.frame = k.AllocLocal(vnniFrame)
	c := vnniW
	k.Load(k.Param("c"), c)
	k.form(c)
	k.MOVQ(at(c, callCount), reg.R8)
	k.MOVQ(reg.R8, k.scalar(vnniCount))
	k.MOVQ(at(c, callX), vnniX)
	k.MOVQ(at(c, callXStep), vnniXStep)
	if k.rows > 3 {
		k.LEAQ(indexed(vnniXStep, vnniXStep, 2, 0), vnniX3)
	}
	if k.rows > 5 {
		k.LEAQ(indexed(vnniXStep, vnniXStep, 4, 0), vnniX5)
	}
	if k.rows > 7 {
		k.LEAQ(indexed(vnniX, vnniXStep, 2, 0), vnniX7)
		k.ADDQ(vnniX5, vnniX7)
	}
	k.MOVQ(at(c, callSide), vnniSide)
	k.MOVQ(at(c, callScales), vnniToScales)
	k.SUBQ(vnniSide, vnniToScales)
	k.MOVQ(at(c, callSStep), vnniSideStep)
	if k.rows > 3 {
		k.LEAQ(indexed(vnniSideStep, vnniSideStep, 2, 0), reg.R8)
		k.MOVQ(reg.R8, k.scalar(vnniSideThree))
	}
	k.MOVQ(at(c, callBlocks), vnniBlock)
	switch {
	case k.tiles == 2:
		k.MOVQ(at(c, callWStep), vnniWStep)
	case k.packed:
		k.MOVQ(at(c, callAhead), vnniAhead)
	}
	if k.constants != nil {
		k.constants()
	}
	if k.inMemory {
		k.MOVQ(at(c, callY), reg.R8)
		k.MOVQ(reg.R8, k.scalar(vnniY))
		k.MOVQ(at(c, callYStep), reg.R8)
		k.MOVQ(reg.R8, k.scalar(vnniYStep))
	} else {
		k.eachY(func(r, t int, y operand.Mem) { k.VMOVUPS(y, k.y(r, t)) })
		k.Load(k.Param("c"), c)
	}
	if k.next > 0 {
		k.MOVQ(at(c, callNext), vnniNext)
	}
	k.MOVQ(at(c, callW), vnniW)
}

// eachY calls f with Y of each row and tile; it uses R8 to R11.
func (k *intVNNI) eachY(f func(row, tile int, y operand.Mem)) {
	base, step, three := reg.R8, reg.R9, reg.R10
	k.Load(k.Param("c"), reg.RAX)
	k.MOVQ(at(reg.RAX, callY), base)
	if k.rows > 1 {
		k.MOVQ(at(reg.RAX, callYStep), step)
	}
	if k.rows > 3 {
		k.LEAQ(indexed(step, step, 2, 0), three)
	}
	k.each(func(r, t int) {
		if r > 0 && r%3 == 0 && t == 0 {
			k.ADDQ(three, base)
		}
		y := at(base, 64*t)
		if r%3 > 0 {
			y = indexed(base, step, r%3, 64*t)
		}
		f(r, t, y)
	})
}

// form splits Form into what the walk wants.
func (k *intVNNI) form(c reg.Register) {
	form, step, other := reg.R8L, reg.R9L, reg.R10L
	k.MOVL(at(c, callForm), form)
	k.Comment("Scales of 4 or 2 bytes, zeros of 0, 1 or 4.")
	k.MOVL(operand.U32(64), step)
	k.MOVL(operand.U32(32), other)
	k.TESTL(operand.U32(formScaleMask), form)
	k.CMOVLNE(other, step)
	k.MOVQ(step.As64(), k.scalar(vnniScaleStep))
	k.SHLL(operand.Imm(2), step)
	k.MOVQ(step.As64(), k.scalar(vnniScaleBytes))
	k.MOVL(form, step)
	k.ANDL(operand.U32(formZeroMask), step)
	k.SHLL(operand.Imm(2), step)
	k.MOVL(operand.U32(64), other)
	k.CMPL(step, operand.U32(4*formBytes))
	k.CMOVLHI(other, step)
	k.MOVQ(step.As64(), k.scalar(vnniZeroStep))
	k.SHLL(operand.Imm(2), step)
	k.MOVQ(step.As64(), k.scalar(vnniZeroBytes))
	k.XORL(step, step)
	k.CMPQ(at(c, callScales), operand.Imm(0))
	k.SETNE(step.As8())
	k.SHLL(operand.Imm(8), step)
	k.ORL(step, form)
	k.MOVQ(form.As64(), k.scalar(vnniForm))
}

// header goes to a block's first segment.
func (k *intVNNI) header() {
	k.Comment("The header: 4 segments' scales, and zeros.")
	k.fetch(0)
	k.fetch(64)
	k.MOVQ(vnniW, vnniScale)
	k.ADDQ(k.scalar(vnniScaleBytes), vnniW)
	k.MOVQ(vnniW, k.scalar(vnniZero))
	k.ADDQ(k.scalar(vnniZeroBytes), vnniW)
	k.MOVBLZX(at(vnniBlock, blockSegments), vnniLines.As32())
	k.MOVBLZX(at(vnniBlock, blockEnds), vnniEnds.As32())
	k.BTSL(vnniLines.As32(), vnniEnds.As32())
}

// advance goes to the block's next segment, if there is one.
func (k *intVNNI) advance(next string) {
	k.ADDQ(k.scalar(vnniScaleStep), vnniScale)
	k.MOVQ(k.scalar(vnniZeroStep), reg.R8)
	k.ADDQ(reg.R8, k.scalar(vnniZero))
	k.ADDQ(operand.Imm(4), vnniSide)
	k.CMPL(vnniEnds.As32(), operand.Imm(1))
	k.JNE(operand.LabelRef(next))
}

// eachSide calls f with the dword of each row at R8, which is Side or Scales.
func (k *intVNNI) eachSide(f func(row int, side operand.Mem)) {
	for r := range k.rows {
		if r > 0 && r%3 == 0 {
			k.ADDQ(k.scalar(vnniSideThree), reg.R8)
		}
		side := at(reg.R8, 0)
		if r%3 > 0 {
			side = indexed(reg.R8, vnniSideStep, r%3, 0)
		}
		f(r, side)
	}
}

// corrections begins sums with what Side says of the segment.
func (k *intVNNI) corrections() {
	k.TESTB(operand.Imm(formZeroMask), k.scalar(vnniForm))
	k.JNE(operand.LabelRef("zeros"))
	k.MOVQ(vnniSide, reg.R8)
	k.eachSide(func(r int, side operand.Mem) {
		k.VPBROADCASTD(side, k.sum(r, 0, 0))
		if k.tiles == 2 {
			k.VMOVDQA64(k.sum(r, 0, 0), k.sum(r, 1, 0))
		}
	})
	k.each(func(r, t int) {
		for c := 1; c < k.chains; c++ {
			k.clear(k.sum(r, t, c))
		}
	})
	k.later(func() {
		k.Label("zeros")
		k.each(func(r, t int) {
			for c := range k.chains {
				k.clear(k.sum(r, t, c))
			}
		})
		k.Label("zeros_on")
		k.MOVQ(k.scalar(vnniZero), reg.R8)
		k.TESTB(operand.Imm(formPairs), k.scalar(vnniForm))
		k.JNE(operand.LabelRef("pairs"))
		z := k.spare()
		for t := range k.tiles {
			k.VPMOVZXBD(inTile(t, reg.R8, 0), z[t])
		}
		k.JMP(operand.LabelRef("multiply_zeros"))
		k.Label("pairs")
		for t := range k.tiles {
			k.VMOVDQU32(inTile(t, reg.R8, 0), z[t])
		}
		k.Label("multiply_zeros")
		k.MOVQ(vnniSide, reg.R8)
		k.eachSide(func(r int, side operand.Mem) {
			for t := range k.tiles {
				k.VPDPWSSD_BCST(side, z[t], k.sum(r, t, 0))
			}
		})
		k.JMP(operand.LabelRef("lines"))
	})
}

// correctionsOn adds what Side says of a segment to sums that go on.
func (k *intVNNI) correctionsOn() {
	k.TESTB(operand.Imm(formZeroMask), k.scalar(vnniForm))
	k.JNE(operand.LabelRef("zeros_on"))
	k.MOVQ(vnniSide, reg.R8)
	k.eachSide(func(r int, side operand.Mem) {
		for t := range k.tiles {
			k.VPADDD_BCST(side, k.sum(r, t, 0), k.sum(r, t, 0))
		}
	})
	k.JMP(operand.LabelRef("lines"))
}

// products adds those of codes with dword i of x of all rows to the sums of a chain. A turn
// of the lines' loop has four dwords of each row, a line that is alone only its own.
func (k *intVNNI) products(i int, alone bool, codes reg.VecPhysical, chain int) {
	most := len(k.shuffled) - 1
	for r := range k.rows {
		if alone || r >= most {
			k.VPDPBUSD_BCST(k.x(r, 4*i), codes, k.sum(r, 0, chain))
			continue
		}
		four, one := k.shuffled[r], k.shuffled[most]
		if i == 0 {
			k.VBROADCASTI32X4(k.x(r, 0), four)
		}
		k.VPSHUFD(operand.U8(0x55*i), four, one)
		k.VPDPBUSD(one, codes, k.sum(r, 0, chain))
	}
}

// unrolled emits line for all lines of a segment, R8 of them: some at a time,
// then those left one by one, alone. x has step bytes of each row for a line.
func (k *intVNNI) unrolled(n, step int, line func(i int, alone bool)) {
	k.SUBL(operand.Imm(uint64(n)), vnniLines.As32())
	k.JCS(operand.LabelRef("few"))
	k.Label("many")
	for i := range n {
		line(i, false)
	}
	if k.next > 0 {
		k.fetchNext()
	}
	k.nextX(n * step)
	k.ADDQ(operand.U32(64*n), vnniW)
	k.SUBL(operand.Imm(uint64(n)), vnniLines.As32())
	k.JCC(operand.LabelRef("many"))
	k.Label("few")
	k.ADDL(operand.Imm(uint64(n)), vnniLines.As32())
	k.JNE(operand.LabelRef("one"))
	k.Label("summed")
	k.later(func() {
		k.Label("one")
		line(0, true)
		k.nextX(step)
		k.ADDQ(operand.Imm(64), vnniW)
		k.DECL(vnniLines.As32())
		k.JNE(operand.LabelRef("one"))
		k.JMP(operand.LabelRef("summed"))
	})
}
