package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemvFMA is a kernel for one row straight from packed weights. The walk over
// blocks and segments is here; lines are the kernels' own. A block of four
// segments runs eight sums at once, one of fewer runs its segments one by one,
// two sums at a time.
type gemvFMA struct {
	exactFMA
	perLine int // features
	scaled  bool
	deep    bool // the frame is larger than a function without a check of the stack may have
	slot    int  // of the frame, where it keeps Call.Ahead; scaled kernels only

	once   func()                                                 // constants; exAny points at the Call
	block  func()                                                 // what each block's header gives; exW points at it
	clear  func()                                                 // the eight sums
	four   func(x func(s, i int) operand.Mem)                     // adds line s, at exW + 64s, to sum s
	one    func(x func(i int) operand.Mem, sum []reg.VecPhysical) // adds the line at exW; exAny is taken
	sum    func(s, h int) reg.VecPhysical                         // one of the eight; Y0 to Y2 are taken
	single []reg.VecPhysical                                      // the two sums of one
	next   func()                                                 // after one of fewer segments
	last   func()                                                 // after the last of them
	fix    func(y reg.VecPhysical)                                // puts the columns of a sum in order; nil: they are
}

func (k gemvFMA) write(name string, doc ...string) {
	k.function(name, "c *Call", doc...)
	if k.deep {
		k.Attributes(0)
	}
	k.begin()
	k.Label("block")
	k.MOVL(at(exBlock, blockLines), exLines.As32())
	k.MOVQ(exLines, exXBytes)
	k.SHLQ(operand.Imm(log2(4*k.perLine)), exXBytes)
	k.MOVBQZX(at(exBlock, blockSegments), exLeft)
	if k.scaled {
		k.MOVQ(exW, exScale)
		k.block()
		k.ADDQ(exHead, exW)
	}
	k.CMPQ(exLeft, operand.Imm(4))
	k.JNE(operand.LabelRef("fewer"))
	k.fourSegments()
	k.Label("next")
	k.ADDQ(operand.Imm(blockSize), exBlock)
	k.DECQ(exCount)
	k.JNE(operand.LabelRef("block"))
	k.VZEROUPPER()
	k.RET()
	k.fewerSegments()
}

func log2(n int) uint64 {
	l := uint64(0)
	for 1<<l < n {
		l++
	}
	return l
}

func (k gemvFMA) begin() {
	k.Load(k.Param("c"), exAny)
	k.MOVQ(at(exAny, callW), exW)
	k.MOVQ(at(exAny, callX), exX)
	k.MOVQ(at(exAny, callBlocks), exBlock)
	k.MOVQ(at(exAny, callCount), exCount)
	k.MOVQ(at(exAny, callY), exY)
	if k.scaled {
		k.header()
	} else {
		k.MOVQ(at(exAny, callAhead), exScale)
	}
	k.once()
}

func (k gemvFMA) fourSegments() {
	k.LEAQ(indexed(exXBytes, exXBytes, 2, 0), exXThree)
	k.clear()
	ahead := exScale
	if k.scaled {
		ahead = exLeft
		k.MOVQ(at(exFrame, k.slot), ahead)
	}
	k.Label("four")
	for s := range 4 {
		k.PREFETCHT0(indexed(exW, ahead, 1, 64*s))
	}
	k.four(func(s, i int) operand.Mem {
		switch s {
		case 0:
			return at(exX, 4*i)
		case 3:
			return indexed(exX, exXThree, 1, 4*i)
		}
		return indexed(exX, exXBytes, s, 4*i)
	})
	k.ADDQ(operand.I32(256), exW)
	k.ADDQ(operand.Imm(uint64(4*k.perLine)), exX)
	k.DECQ(exLines)
	k.JNE(operand.LabelRef("four"))
	k.ADDQ(exXThree, exX)

	y := ymm[:2]
	for _, h := range halves {
		k.VMOVUPS(at(exY, 32*h), y[h])
	}
	add := func(form int) {
		for s := range 4 {
			for _, h := range halves {
				k.add(form, s, h, k.sum(s, h), y[h])
			}
		}
	}
	if k.scaled {
		k.byScales("four", add)
	} else {
		add(0)
	}
	for _, h := range halves {
		k.VMOVUPS(y[h], at(exY, 32*h))
	}
}

// add adds a sum to y. Y2 is lost.
func (k gemvFMA) add(form, s, h int, sum, y reg.VecPhysical) {
	if k.fix != nil {
		k.fix(sum)
	}
	if k.scaled {
		k.scales(form, s, h, ymm[2])
		k.VFMADD231PS(ymm[2], sum, y)
	} else {
		k.VADDPS(sum, y, y)
	}
}

// fewerSegments has one segment after the other, each every Segments·64 bytes.
func (k gemvFMA) fewerSegments() {
	step, first := exAny, exXThree
	k.Label("fewer")
	k.MOVQ(exLeft, step)
	k.SHLQ(operand.Imm(6), step)
	k.MOVQ(exW, first)
	k.Label("segment")
	for _, h := range halves {
		k.VXORPS(k.single[h], k.single[h], k.single[h])
	}
	k.MOVL(at(exBlock, blockLines), exLines.As32())
	k.Label("one")
	k.one(func(i int) operand.Mem { return at(exX, 4*i) }, k.single)
	k.ADDQ(step, exW)
	k.ADDQ(operand.Imm(uint64(4*k.perLine)), exX)
	k.DECQ(exLines)
	k.JNE(operand.LabelRef("one"))
	add := func(form int) {
		for _, h := range halves {
			if k.fix != nil {
				k.fix(k.single[h])
			}
			if !k.scaled {
				k.VADDPS(at(exY, 32*h), k.single[h], k.single[h])
			} else {
				k.scales(form, 0, h, ymm[2])
				k.VFMADD213PS(at(exY, 32*h), ymm[2], k.single[h])
			}
			k.VMOVUPS(k.single[h], at(exY, 32*h))
		}
		if k.scaled {
			k.ADDQ(operand.Imm(uint64(scaleBytes(form))), exScale)
		}
	}
	if k.scaled {
		k.byScales("one", add)
		k.next()
		k.MOVBQZX(at(exBlock, blockSegments), step)
		k.SHLQ(operand.Imm(6), step)
	} else {
		add(0)
	}
	k.ADDQ(operand.Imm(64), first)
	k.DECQ(exLeft)
	k.JEQ(operand.LabelRef("fewer_end"))
	k.MOVQ(first, exW)
	k.JMP(operand.LabelRef("segment"))
	k.Label("fewer_end")
	k.SUBQ(step, exW)
	k.ADDQ(operand.Imm(64), exW)
	if k.scaled {
		k.last()
	}
	k.JMP(operand.LabelRef("next"))
}

// gemvAhead is how far ahead of a line kernels fetch that read no Call.Ahead.
const gemvAhead = 1024
