package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemvFMA is a kernel for one row straight from packed weights. The walk over
// blocks and segments is here; lines are the kernels' own. A block of four
// segments runs all their sums at once or two and two, one of fewer its segments
// one by one.
type gemvFMA struct {
	exactFMA
	perLine  int // features
	scaled   bool
	together int  // segments of four whose sums run at once: 4 or 2
	turn     int  // lines of a segment that four and one add
	between  bool // four fetches, a line before it adds one: many at once keep others waiting. Headers are fetched, too

	once   func()                                                 // constants; exAny points at the Call
	block  func()                                                 // what each block's header gives; exW points at it
	ahead  func() reg.Register                                    // holds Call.Ahead while four segments are added, with between always
	clear  func()                                                 // the sums of segments that run at once
	four   func(x func(s, i int) operand.Mem)                     // adds lines of each segment s, the first at exW + 64s, to sum s
	rest   func()                                                 // before those of four segments that do not run with the first ones; exAny is free
	sum    func(s, h int) reg.VecPhysical                         // one of these sums; the first three vectors are taken
	fewer  func()                                                 // before fewer segments; exXBytes is free from here on
	begin1 func()                                                 // before one of fewer segments
	one    func(x func(i int) operand.Mem, sum []reg.VecPhysical) // adds the line at exW, and further ones, which lie exAny bytes apart; exW goes to the last
	single []reg.VecPhysical                                      // the sum of one
	end1   func()                                                 // after one of fewer segments; exAny is free
	last   func()                                                 // after the last of them, and of those after rest
	fix    func(y reg.VecPhysical)                                // puts the columns of a sum in order
	end    func()                                                 // before the kernel returns
}

// gemv is a kernel with what most have.
func gemv(f *file, vectors []reg.VecPhysical, perLine int) *gemvFMA {
	k := &gemvFMA{exactFMA: exactFMA{f, vectors}, perLine: perLine, together: 4, turn: 1}
	nothing := func() {}
	k.once, k.block, k.rest, k.fewer, k.begin1, k.end1, k.last, k.end = nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing
	k.fix = func(reg.VecPhysical) {}
	sums := vectors[len(vectors)-4*len(k.parts()):]
	k.clear = func() {
		for _, y := range sums {
			k.VXORPS(y, y, y)
		}
	}
	k.sum = func(s, h int) reg.VecPhysical { return sums[len(k.parts())*s+h] }
	k.single = sums[:len(k.parts())]
	return k
}

// lines makes line, which adds a line of segment s, four and one.
func (k *gemvFMA) lines(line func(s int, w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical)) {
	k.four = func(x func(s, i int) operand.Mem) {
		for s := range 4 {
			var sum []reg.VecPhysical
			for _, h := range k.parts() {
				sum = append(sum, k.sum(s, h))
			}
			if k.between {
				k.fetchLine(k.ahead(), s)
			}
			line(s, func(h int) operand.Mem { return at(exW, 64*s+k.part()*h) }, func(i int) operand.Mem { return x(s, i) }, sum)
		}
	}
	k.one = func(x func(i int) operand.Mem, sum []reg.VecPhysical) {
		line(0, func(h int) operand.Mem { return at(exW, k.part()*h) }, x, sum)
	}
}

// fetchLine fetches a line, so far ahead of line n from exW on.
func (k *gemvFMA) fetchLine(ahead reg.Register, n int) {
	k.PREFETCHT0(indexed(exW, ahead, 1, 64*n))
}

// aheadIn keeps Call.Ahead in a register that the kernel has no other use for.
func (k *gemvFMA) aheadIn(r reg.GPPhysical) {
	once := k.once
	k.once = func() {
		k.MOVQ(at(exAny, callAhead), r)
		once()
	}
	k.ahead = func() reg.Register { return r }
}

func (k *gemvFMA) write(name string, doc ...string) {
	k.function(name, "c *Call", doc...)
	k.begin()
	k.Label("block")
	k.MOVL(at(exBlock, blockLines), exLines.As32())
	k.MOVQ(exLines, exXBytes)
	k.SHLQ(operand.Imm(log2(4*k.perLine)), exXBytes)
	k.MOVBQZX(at(exBlock, blockSegments), exLeft)
	if k.scaled {
		k.MOVQ(exW, exScale)
		if k.between {
			for n := range 2 { // scales of 16 bits; of longer headers the rest is not fetched
				k.fetchLine(k.ahead(), n)
			}
		}
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
	k.end()
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

func (k *gemvFMA) begin() {
	k.Load(k.Param("c"), exAny)
	k.MOVQ(at(exAny, callW), exW)
	k.MOVQ(at(exAny, callX), exX)
	k.MOVQ(at(exAny, callBlocks), exBlock)
	k.MOVQ(at(exAny, callCount), exCount)
	k.MOVQ(at(exAny, callY), exY)
	if k.scaled {
		k.header()
	}
	k.once()
}

func (k gemvFMA) fourSegments() {
	k.LEAQ(indexed(exXBytes, exXBytes, 2, 0), exXThree)
	k.clear()
	ahead := k.ahead()
	k.fourLines("four", func() {
		if k.between {
			return
		}
		for s := range 4 {
			k.fetchLine(ahead, s)
		}
	})
	if k.together == 4 {
		k.ADDQ(exXThree, exX)
		k.fourSums("four", 0)
		return
	}
	k.fourSums("four", 0)
	// Back to the first line of the third segment.
	k.MOVL(at(exBlock, blockLines), exLines.As32())
	k.MOVQ(exLines, exAny)
	k.SHLQ(operand.Imm(8), exAny)
	k.SUBQ(exAny, exW)
	k.ADDQ(operand.I32(2*64), exW)
	k.ADDQ(exXBytes, exX)
	k.rest()
	k.clear()
	k.fourLines("rest", func() {})
	k.SUBQ(operand.I32(2*64), exW)
	k.ADDQ(exXBytes, exX)
	k.last()
	k.fourSums("rest", 2)
}

// fourLines adds all lines of the segments that run at once.
func (k gemvFMA) fourLines(label string, fetch func()) {
	k.Label(label)
	fetch()
	k.four(func(s, i int) operand.Mem {
		switch s {
		case 0:
			return at(exX, 4*i)
		case 3:
			return indexed(exX, exXThree, 1, 4*i)
		}
		return indexed(exX, exXBytes, s, 4*i)
	})
	k.ADDQ(operand.I32(uint64(256*k.turn)), exW)
	k.nextLines(label)
}

// nextLines moves x on and goes to label if lines are left.
func (k gemvFMA) nextLines(label string) {
	k.ADDQ(operand.Imm(uint64(4*k.perLine*k.turn)), exX)
	k.lessLines(k.turn)
	k.JNE(operand.LabelRef(label))
}

// lessLines counts lines, and leaves the flags of those that are left.
func (k exactFMA) lessLines(n int) {
	if n == 1 {
		k.DECQ(exLines)
		return
	}
	k.SUBQ(operand.Imm(uint64(n)), exLines)
}

// fourSums adds the sums that ran at once, from those of segment first on, to
// those at exY.
func (k gemvFMA) fourSums(label string, first int) {
	y := k.vectors[:2]
	for _, h := range k.parts() {
		k.VMOVUPS(at(exY, k.part()*h), y[h])
	}
	add := func(form int) {
		for s := range k.together {
			for _, h := range k.parts() {
				k.add(form, first+s, h, k.sum(s, h), y[h])
			}
		}
	}
	if k.scaled {
		k.byScales(label, exForm, add)
	} else {
		add(0)
	}
	for _, h := range k.parts() {
		k.VMOVUPS(y[h], at(exY, k.part()*h))
	}
}

// add adds a sum to y. Y2 is lost.
func (k gemvFMA) add(form, s, h int, sum, y reg.VecPhysical) {
	k.fix(sum)
	if k.scaled {
		k.scales(form, s, h, k.vectors[2])
		k.VFMADD231PS(k.vectors[2], sum, y)
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
	k.fewer()
	k.Label("segment")
	for _, h := range k.parts() {
		k.VXORPS(k.single[h], k.single[h], k.single[h])
	}
	k.MOVL(at(exBlock, blockLines), exLines.As32())
	k.begin1()
	k.Label("one")
	k.one(func(i int) operand.Mem { return at(exX, 4*i) }, k.single)
	k.ADDQ(step, exW)
	k.nextLines("one")
	add := func(form int) {
		for _, h := range k.parts() {
			k.fix(k.single[h])
			if !k.scaled {
				k.VADDPS(at(exY, k.part()*h), k.single[h], k.single[h])
			} else {
				k.scales(form, 0, h, k.vectors[2])
				k.VFMADD213PS(at(exY, k.part()*h), k.vectors[2], k.single[h])
			}
			k.VMOVUPS(k.single[h], at(exY, k.part()*h))
		}
		if k.scaled {
			k.ADDQ(operand.Imm(uint64(scaleBytes(form))), exScale)
		}
	}
	if k.scaled {
		k.byScales("one", exForm, add)
		k.end1()
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
	k.last()
	k.JMP(operand.LabelRef("next"))
}
