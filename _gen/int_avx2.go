package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// intRegisters is the part of the heads of AVX2's integer kernels that is the
// same for all.
const intRegisters = `
Registers: AX next line, BX and CX x of rows 0 and 3, or CX Call.Ahead up to three
rows, DX step of x, SI next Block, DI frame (32-byte aligned), R8 lines left in
the segment, R9 and R10 its scales and zeros, R11 and R12 Side and Scales of row
0, R13 their step, R14 Y, R15 its step, BP row 3 of it; Y0 to Y(2·rows−1) sums,
two for each row, Y12 and Y13 weights, then scales, Y14 x, Y15 product;
`

var (
	intW, intX, intX3, intXStep = reg.RAX, reg.RBX, reg.RCX, reg.RDX
	intAhead                    = reg.RCX // instead of intX3
	intBlock, intFrame          = reg.RSI, reg.RDI
	intLines                    = reg.R8 // free between the lines of two segments
	intScale, intZero           = reg.R9, reg.R10
	intSide, intSX, intSideStep = reg.R11, reg.R12, reg.R13
	intY, intYStep, intY3       = reg.R14, reg.R15, reg.RBP
)

// aheadAVX2 is how far ahead of their reads kernels of four rows and more, and
// those that unpack, ask for packed weights, in bytes; up to three rows take
// Call.Ahead. Zen 3, 22 GB/s, cold weights, DotW4AVX2x1 at groups of 32, part of
// the read bandwidth without asking: 0.74; at 512 bytes 0.81, 1024 0.89, 1536
// 0.94, 2048 0.95, 3072 0.88, 4096 0.86.
const aheadAVX2 = 2048

var (
	ymm = []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}
	halves = []int{0, 1} // of a tile, 8 columns each
)

// intAVX2 is an integer kernel of AVX2 while it is written: one to six rows by
// 16 columns. The walk over blocks and segments, corrections, scales and float
// sums are here; the lines of a segment are the kernels' own. They have Y12 to
// Y15, and what the sums leave, to themselves.
type intAVX2 struct {
	*file
	rows    int
	vectors int // of 32 bytes in the frame

	constants func()            // fills registers and the frame's constants; R8 is free
	lines     func()            // adds the segment's lines, R8 > 0 of them, to sum
	clear     func()            // begins a run of integers
	keep      func()            // keeps sum for the run's next segment
	side      bool              // there are corrections in Side
	y         []reg.VecPhysical // holds the float sums of a single row; nil: they stay in memory

	aside []func() // writes code that follows the function's RET
}

func (k *intAVX2) sum(row, half int) reg.VecPhysical { return ymm[2*row+half] }

// The frame: scalars, then vectors.
func (k *intAVX2) scalar(offset int) operand.Mem { return at(intFrame, offset) }
func (k *intAVX2) vector(i int) operand.Mem      { return at(intFrame, frameVectors+32*i) }

const (
	frameSegments  = 8 * iota // left in the block
	frameEnds                 // of the segments left
	frameForm                 // with frameScaled
	frameScaleStep            // bytes of a segment's scales
	frameZeroStep             // bytes of its zeros
	frameBlocks               // left
	frameStarted              // 1: vectors hold sums of the run of integers
	frameVectors   = 64

	frameScaled = 1 << 8 // in frameForm: there are scales of x
)

// rowOf is row r's memory; base3 is three rows behind base.
func rowOf(base, base3, step reg.Register, r, disp int) operand.Mem {
	switch r {
	case 0:
		return at(base, disp)
	case 3:
		return at(base3, disp)
	case 5:
		return indexed(base3, step, 2, disp)
	}
	return indexed(base, step, r, disp)
}

func (k *intAVX2) x(row, disp int) operand.Mem { return rowOf(intX, intX3, intXStep, row, disp) }

// threeRows makes to point three rows behind base, where there is such a row.
func (k *intAVX2) threeRows(base, step, to reg.Register) {
	if k.rows > 3 {
		k.LEAQ(indexed(base, step, 2, 0), to)
		k.ADDQ(step, to)
	}
}

// fetch asks for what comes ahead of the line disp bytes behind intW.
func (k *intAVX2) fetch(disp int) {
	if k.rows > 3 {
		k.PREFETCHT0(at(intW, disp+aheadAVX2))
	} else {
		k.PREFETCHT0(indexed(intW, intAhead, 1, disp))
	}
}

func (k *intAVX2) eachSum(f func(row, half int)) {
	for r := range k.rows {
		for _, h := range halves {
			f(r, h)
		}
	}
}

// write emits the function.
func (k *intAVX2) write(name string, doc ...string) {
	k.function(name, "c *Call", doc...)
	k.begin()
	k.clear()

	k.Label("block")
	k.Comment("The header: 4 segments' scales, and zeros.")
	k.MOVQ(intW, intScale)
	k.MOVQ(k.scalar(frameScaleStep), intLines)
	k.LEAQ(indexed(intW, intLines, 4, 0), intZero)
	k.MOVQ(k.scalar(frameZeroStep), intLines)
	k.LEAQ(indexed(intZero, intLines, 4, 0), intW)
	k.MOVBQZX(at(intBlock, blockSegments), intLines)
	k.MOVQ(intLines, k.scalar(frameSegments))
	k.MOVBQZX(at(intBlock, blockEnds), intLines)
	k.MOVQ(intLines, k.scalar(frameEnds))

	k.Label("segment")
	k.MOVL(at(intBlock, blockLines), intLines.As32())
	k.lines()
	if k.side {
		k.corrections()
	}
	k.SHRQ(operand.Imm(1), k.scalar(frameEnds))
	k.JCC(operand.LabelRef("goes_on"))
	k.convert()
	k.clear()

	k.Label("segment_end")
	k.ADDQ(k.scalar(frameScaleStep), intScale)
	k.ADDQ(k.scalar(frameZeroStep), intZero)
	k.ADDQ(operand.Imm(4), intSide)
	k.ADDQ(operand.Imm(4), intSX)
	k.DECQ(k.scalar(frameSegments))
	k.JNE(operand.LabelRef("segment"))
	k.ADDQ(operand.Imm(blockSize), intBlock)
	k.DECQ(k.scalar(frameBlocks))
	k.JNE(operand.LabelRef("block"))

	for h, y := range k.y {
		k.VMOVUPS(y, at(intY, 32*h))
	}
	k.VZEROUPPER()
	k.RET()

	k.Label("goes_on")
	k.keep()
	k.JMP(operand.LabelRef("segment_end"))
	for _, f := range k.aside {
		f()
	}
}

func (k *intAVX2) later(f func()) { k.aside = append(k.aside, f) }

// begin reads the Call.
func (k *intAVX2) begin() {
	frame := k.AllocLocal(frameVectors + 32*k.vectors + 24) // 8-byte aligned
	k.Load(k.Param("c"), intW)
	k.LEAQ(frame, intFrame)
	k.ADDQ(operand.Imm(31), intFrame)
	k.ANDQ(operand.I8(-32), intFrame)
	k.MOVQ(at(intW, callSide), intSide)
	k.MOVQ(at(intW, callScales), intSX)
	k.form()
	k.constants()
	k.MOVQ(at(intW, callCount), intLines)
	k.MOVQ(intLines, k.scalar(frameBlocks))
	k.MOVQ(at(intW, callX), intX)
	k.MOVQ(at(intW, callXStep), intXStep)
	k.threeRows(intX, intXStep, intX3)
	if k.rows <= 3 {
		k.MOVQ(at(intW, callAhead), intAhead)
	}
	k.MOVQ(at(intW, callBlocks), intBlock)
	k.MOVQ(at(intW, callSStep), intSideStep)
	k.MOVQ(at(intW, callY), intY)
	k.MOVQ(at(intW, callYStep), intYStep)
	k.MOVQ(at(intW, callW), intW)
	for h, y := range k.y {
		k.VMOVUPS(at(intY, 32*h), y)
	}
}

// form splits Form into what the walk wants.
func (k *intAVX2) form() {
	form, step, other := reg.R8L, reg.R9L, reg.R10L
	k.MOVL(at(intW, callForm), form)
	k.Comment("Scales of 4 or 2 bytes, zeros of 0, 1 or 4.")
	k.MOVL(operand.U32(64), step)
	k.MOVL(operand.U32(32), other)
	k.TESTL(operand.U32(formScaleMask), form)
	k.CMOVLNE(other, step)
	k.MOVQ(step.As64(), k.scalar(frameScaleStep))
	k.MOVL(form, step)
	k.ANDL(operand.U32(formZeroMask), step)
	k.SHLL(operand.Imm(2), step)
	k.MOVL(operand.U32(64), other)
	k.CMPL(step, operand.U32(4*formBytes))
	k.CMOVLHI(other, step)
	k.MOVQ(step.As64(), k.scalar(frameZeroStep))
	k.XORL(step, step)
	k.TESTQ(intSX, intSX)
	k.SETNE(step.As8())
	k.SHLL(operand.Imm(8), step)
	k.ORL(step, form)
	k.MOVQ(form.As64(), k.scalar(frameForm))
}

// corrections adds what Side says of the segment.
func (k *intAVX2) corrections() {
	z, side, product := []reg.VecPhysical{reg.Y12, reg.Y13}, reg.Y14, reg.Y15
	each := func(add func(h int) reg.VecPhysical) {
		k.threeRows(intSide, intSideStep, intLines)
		for r := range k.rows {
			k.VPBROADCASTD(rowOf(intSide, intLines, intSideStep, r, 0), side)
			for _, h := range halves {
				s := k.sum(r, h)
				k.VPADDD(add(h), s, s)
			}
		}
	}
	k.TESTL(operand.U32(formZeroMask), k.scalar(frameForm))
	k.JNE(operand.LabelRef("zeros"))
	each(func(int) reg.VecPhysical { return side })
	k.Label("corrected")
	k.later(func() {
		k.Label("zeros")
		k.TESTL(operand.U32(formPairs), k.scalar(frameForm))
		k.JNE(operand.LabelRef("pairs"))
		for h, z := range z {
			k.VPMOVZXBD(at(intZero, 8*h), z)
		}
		k.JMP(operand.LabelRef("multiply_zeros"))
		k.Label("pairs")
		for h, z := range z {
			k.VMOVDQU(at(intZero, 32*h), z)
		}
		k.Label("multiply_zeros")
		each(func(h int) reg.VecPhysical {
			k.VPMADDWD(side, z[h], product)
			return product
		})
		k.JMP(operand.LabelRef("corrected"))
	})
}

// convert scales sum and adds it to Y.
func (k *intAVX2) convert() {
	scale, sx := []reg.VecPhysical{reg.Y12, reg.Y13}, reg.Y14
	k.loadScales(scale)
	k.eachSum(func(r, h int) { k.VCVTDQ2PS(k.sum(r, h), k.sum(r, h)) })
	k.TESTL(operand.U32(frameScaled), k.scalar(frameForm))
	k.JNE(operand.LabelRef("scaled"))
	k.accumulate(func(_, h int) reg.VecPhysical { return scale[h] })
	k.Label("converted")
	k.later(func() {
		k.Label("scaled")
		k.eachSum(func(r, h int) { k.VMULPS(scale[h], k.sum(r, h), k.sum(r, h)) })
		k.threeRows(intSX, intSideStep, intLines)
		k.accumulate(func(r, h int) reg.VecPhysical {
			if h == 0 {
				k.VBROADCASTSS(rowOf(intSX, intLines, intSideStep, r, 0), sx)
			}
			return sx
		})
		k.JMP(operand.LabelRef("converted"))
	})
}

// loadScales widens the segment's scales to float32.
func (k *intAVX2) loadScales(scale []reg.VecPhysical) {
	k.MOVL(k.scalar(frameForm), intLines.As32())
	k.ANDL(operand.U32(formScaleMask), intLines.As32())
	k.CMPL(intLines.As32(), operand.U32(formF16))
	k.JNE(operand.LabelRef("not_f16"))
	for h, s := range scale {
		k.VCVTPH2PS(at(intScale, 16*h), s)
	}
	k.Label("scales")
	k.later(func() {
		k.Label("not_f16")
		k.JHI(operand.LabelRef("bf16"))
		for h, s := range scale {
			k.VMOVUPS(at(intScale, 32*h), s)
		}
		k.JMP(operand.LabelRef("scales"))
		k.Label("bf16")
		for h, s := range scale {
			k.VPMOVZXWD(at(intScale, 16*h), s)
		}
		for _, s := range scale {
			k.VPSLLD(operand.Imm(16), s, s)
		}
		k.JMP(operand.LabelRef("scales"))
	})
}

// accumulate adds sum times factor to Y, rounding once.
func (k *intAVX2) accumulate(factor func(row, half int) reg.VecPhysical) {
	if k.y != nil {
		k.eachSum(func(r, h int) { k.VFMADD231PS(factor(r, h), k.sum(r, h), k.y[h]) })
		return
	}
	k.threeRows(intY, intYStep, intY3)
	k.eachSum(func(r, h int) {
		s, y := k.sum(r, h), rowOf(intY, intY3, intYStep, r, 32*h)
		k.VFMADD213PS(y, factor(r, h), s)
		k.VMOVUPS(s, y)
	})
}
