package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowsFMA is a kernel for some rows straight from packed weights: one segment
// of a block after the other, or two together. Weights become float32 once for
// all rows, in registers. The walk over blocks and segments is here; lines are
// the kernels' own.
type rowsFMA struct {
	exactFMA
	rows, together int
	tiles          int // of 16 columns that share x: one, or with AVX-512 two
	perLine        int // features
	turn           int // lines of a segment that line adds
	scaled         bool

	sums  []reg.VecPhysical // [segments][rows][vectors]
	scale []reg.VecPhysical // [vectors]

	// With AVX2, x2 is x of row 3, or of the second of two segments. With
	// AVX-512 it is x of row 4, or of the second of two segments, and three is
	// three steps of x. Where four segments go together it is x of row 1, those of
	// rows 2 and 3 are in rowsOfLines, exAny is the bytes of a segment of x, and
	// three is three times that.
	x2, three reg.GPPhysical

	once    func()                       // constants; exAny points at the Call
	segment func(label string, s int)    // before segment s of those that go together; scaled kernels only
	line    func(segments []rowsSegment) // adds lines of each, the first at exW; of several, exW goes to the last
	fix     func(y reg.VecPhysical)      // puts the columns of a sum in order
	end     func()                       // before the kernel returns

	slots operand.Mem // where scaled kernels keep what they have no register for
	kept  operand.Mem // and all what they count blocks and segments with, while lines are added
	wStep operand.Mem // bytes to the second tile
}

// rowsOfLines are free while lines are added, for more rows of segments that go together:
// five and seven steps of x, or x of rows 2 and 3 of four segments, or of row 8 of one. Of two
// tiles the first is the bytes to the second, and x of row 8 the other.
var rowsOfLines = [2]reg.GPPhysical{exCount, exLeft}

const (
	rowsSpilledOfTwo = ", CX and R12 while lines of two segments and more than five rows are added five and seven steps of x"
	rowsSpilled      = rowsSpilledOfTwo + "; where four segments go together DX is the bytes of a segment of x, DI three times " +
		"that, and R9 or BP, CX and R12 are x of rows 1 to 3"
)

// rowsOthers is the registers of heads that differ between kernels of codes and of plain weights.
func rowsOthers(scaled bool) string {
	if scaled {
		return "BP x of row 4 or of the second of two segments, R15 zero points"
	}
	return "R9 x of row 4 or of the second of two segments, R15 step of Y"
}

// spills says whether rows of n segments that go together need rowsOfLines.
func (k *rowsFMA) spills(n int) bool {
	return n == 1 && k.rows > 8 || n == 2 && k.rows > 5 || n == 4 && k.rows > 2 || k.tiles == 2
}

// spare is the first of rowsOfLines that is not the bytes to a second tile: it has five steps of x, or of one
// segment x of row 8. Kernels of two tiles have no seven steps.
func (k *rowsFMA) spare() reg.GPPhysical { return rowsOfLines[k.tiles-1] }

// columns counts the vectors of a row's sums.
func (k *rowsFMA) columns() []int {
	if k.tiles == 2 {
		return []int{0, 1}
	}
	return k.parts()
}

// rowsKernel is a kernel with what all have.
func rowsKernel(f *file, vectors []reg.VecPhysical, rows, together, perLine int, scaled bool) *rowsFMA {
	return rowsOfTiles(f, vectors, rows, together, 1, perLine, scaled)
}

// rowsOfTiles is one of so many tiles.
func rowsOfTiles(f *file, vectors []reg.VecPhysical, rows, together, tiles, perLine int, scaled bool) *rowsFMA {
	k := &rowsFMA{exactFMA: exactFMA{f, vectors}, rows: rows, together: max(1, together), tiles: tiles, perLine: perLine, turn: 1, scaled: scaled}
	k.fix, k.once, k.end = func(reg.VecPhysical) {}, func() {}, func() {}
	if k.wide() {
		k.sums, k.scale, k.three = vectors[32-max(12, rows*together):], vectors[3:4], exFrame
		if tiles == 2 {
			k.sums, k.scale = vectors[32-2*rows*together:], vectors[2:4]
		}
	} else {
		k.sums, k.scale = vectors, vectors[12:14]
	}
	switch {
	case scaled:
		k.x2 = exTable
	case k.wide():
		k.x2 = exScale
	default:
		k.x2 = exFrame
	}
	return k
}

func (k *rowsFMA) wide() bool { return len(k.parts()) == 1 }

// near is the rows of one segment that need no x2.
func (k *rowsFMA) near() int {
	if k.wide() {
		return 4
	}
	return 3
}

// x is value i of row r in segment s of n that go together.
func (k *rowsFMA) x(n, s, r, i int) operand.Mem {
	if !k.wide() {
		if s == 1 {
			return rowOf(k.x2, k.x2, rowsXStep, r, 4*i)
		}
		return rowOf(exX, k.x2, rowsXStep, r, 4*i)
	}
	base := exX
	if s == 1 {
		base = k.x2
	} else if n == 1 && r >= 8 {
		base, r = k.spare(), r-8
	} else if n == 1 && r >= 4 {
		base, r = k.x2, r-4
	}
	if n == 4 {
		base := []reg.GPPhysical{exX, k.x2, rowsOfLines[0], rowsOfLines[1]}[r]
		switch s {
		case 0:
			return at(base, 4*i)
		case 3:
			return indexed(base, k.three, 1, 4*i)
		}
		return indexed(base, exAny, s, 4*i)
	}
	switch r {
	case 0:
		return at(base, 4*i)
	case 3, 6:
		return indexed(base, k.three, r/3, 4*i)
	case 5:
		return indexed(base, k.spare(), 1, 4*i)
	case 7:
		return indexed(base, rowsOfLines[1], 1, 4*i)
	}
	return indexed(base, rowsXStep, r, 4*i)
}

// rowsSegment is a segment of a line.
type rowsSegment struct {
	w   func(h int) operand.Mem
	x   func(r, i int) operand.Mem
	sum func(r, h int) reg.VecPhysical

	fetch func(t int) // what is as far ahead as Call says, of each tile; with AVX-512, whose lines do so between products
}

// Registers of rowsFMA, beside exW, exX, exCount, exAny, exBlock, exFrame,
// exLines, exScale, exLeft and exY. Plain weights have no frame with AVX2.
var (
	rowsXStep = reg.R10 // from row to row
	rowsFirst = reg.R11 // first line of the segment
	rowsAhead = reg.R13 // how far ahead to fetch, or with AVX-512 the line to fetch
	rowsZero  = reg.R15 // next zero points
	rowsStep  = exAny   // between lines of a segment
)

// Slots of the frame.
const (
	rowsForm = 8 * iota
	rowsHead
	rowsYStep
	rowsSlots    = 32
	rowsHeadPace = rowsSlots - 8 // of a header of each tile; the kernels of AVX-512 alone have this and what follows
	rowsPace     = rowsSlots     // of lines of a segment that goes alone, of two and of four together
	rowsSlots512 = rowsPace + 3*8
)

const rowsRegisters = `
Registers: AX next line, BX x, CX blocks left, DX step between lines, SI Block,
R8 lines left, R9 scales, R10 step of x, R11 the segment's first line, R12 segments
left, R13 how far ahead to fetch, or with AVX-512 the next line to fetch, R14 Y;
`

func (k *rowsFMA) yStep() operand.Op {
	if k.scaled {
		return k.slots.Offset(rowsYStep)
	}
	return exHead
}

func (k *rowsFMA) write(name string, doc ...string) {
	k.function(name, "c *Call", doc...)
	k.Load(k.Param("c"), exAny)
	k.MOVQ(at(exAny, callW), exW)
	k.MOVQ(at(exAny, callX), exX)
	k.MOVQ(at(exAny, callXStep), rowsXStep)
	k.MOVQ(at(exAny, callBlocks), exBlock)
	k.MOVQ(at(exAny, callCount), exCount)
	k.MOVQ(at(exAny, callY), exY)
	if k.scaled {
		k.header()
	}
	k.once()
	switch {
	case k.wide():
		k.slots = k.AllocLocal(rowsSlots512)
	case k.scaled:
		k.slots = at(exFrame, 0)
	}
	if k.scaled {
		k.MOVQ(exForm, k.slots.Offset(rowsForm))
		k.MOVQ(exHead, k.slots.Offset(rowsHead))
	}
	k.pace()
	if k.spills(k.together) {
		k.kept = k.AllocLocal(8 * len(rowsOfLines))
	}
	if k.tiles == 2 {
		k.wStep = k.AllocLocal(8)
		k.MOVQ(at(exAny, callWStep), exLeft)
		k.MOVQ(exLeft, k.wStep)
	}
	if k.wide() && k.rows > 3 {
		k.LEAQ(indexed(rowsXStep, rowsXStep, 2, 0), k.three)
	}
	k.MOVQ(at(exAny, callAhead), rowsAhead)
	k.aheadOfBlock()
	k.MOVQ(at(exAny, callYStep), exLeft)
	k.MOVQ(exLeft, k.yStep())

	k.Label("block")
	k.MOVBQZX(at(exBlock, blockSegments), exLeft)
	if k.scaled {
		k.MOVQ(exW, exScale)
		k.ADDQ(k.slots.Offset(rowsHead), exW)
		k.fetchHeader()
		k.LEAQ(at(exW, -4*16), rowsZero)
	}
	k.MOVQ(exW, rowsFirst)
	if k.together == 4 {
		k.CMPQ(exLeft, operand.Imm(4))
		k.JNE(operand.LabelRef("pair"))
		k.group("four", 4)
		k.JMP(operand.LabelRef("next"))
	}
	if k.together >= 2 {
		k.Label("pair")
		k.CMPQ(exLeft, operand.Imm(2))
		k.JCS(operand.LabelRef("single"))
		k.group("pair", 2)
		k.JNE(operand.LabelRef("pair"))
		k.JMP(operand.LabelRef("next"))
	}
	k.Label("single")
	k.group("single", 1)
	k.JNE(operand.LabelRef("single"))

	k.Label("next")
	k.MOVL(at(exBlock, blockLines), exLines.As32())
	k.IMULQ(rowsStep, exLines)
	k.SUBQ(rowsStep, rowsFirst)
	k.LEAQ(indexed(rowsFirst, exLines, 1, 0), exW)
	k.ADDQ(operand.Imm(blockSize), exBlock)
	k.DECQ(exCount)
	k.JNE(operand.LabelRef("block"))
	k.end()
	k.VZEROUPPER()
	k.RET()
}

// group adds n segments, and leaves the flags of the segments left.
func (k *rowsFMA) group(label string, n int) {
	sum := func(s, r, h int) reg.VecPhysical { return k.sums[len(k.columns())*(s*k.rows+r)+h] }
	x2 := k.x2
	k.MOVQ(rowsFirst, exW)
	k.MOVL(at(exBlock, blockLines), exLines.As32())
	if k.spills(n) {
		for i, r := range rowsOfLines {
			k.MOVQ(r, k.kept.Offset(8*i))
		}
	}
	switch {
	case n == 4:
		k.LEAQ(indexed(exX, rowsXStep, 1, 0), x2)
		if k.rows > 2 {
			k.LEAQ(indexed(exX, rowsXStep, 2, 0), rowsOfLines[0])
		}
		if k.rows > 3 {
			k.LEAQ(indexed(exX, k.three, 1, 0), rowsOfLines[1])
		}
	case n == 2:
		if k.rows > 5 {
			k.LEAQ(indexed(rowsXStep, rowsXStep, 4, 0), k.spare())
		}
		if k.rows > 7 {
			k.LEAQ(indexed(rowsXStep, k.three, 2, 0), rowsOfLines[1])
		}
		k.MOVQ(exLines, x2)
		k.SHLQ(operand.Imm(log2(4*k.perLine)), x2)
		k.ADDQ(exX, x2)
	case k.rows > k.near() && k.wide():
		k.LEAQ(indexed(exX, rowsXStep, 4, 0), x2)
		if k.rows > 8 {
			k.LEAQ(indexed(exX, rowsXStep, 8, 0), k.spare())
		}
	case k.rows > k.near():
		k.LEAQ(indexed(exX, rowsXStep, 2, 0), x2)
		k.ADDQ(rowsXStep, x2)
	}
	if k.scaled {
		for s := range n {
			k.segment(fmt.Sprintf("%s_zeros%d", label, s), s)
		}
	}
	if n == 4 {
		k.MOVQ(exLines, exAny)
		k.SHLQ(operand.Imm(log2(4*k.perLine)), exAny)
		k.LEAQ(indexed(exAny, exAny, 2, 0), k.three)
	} else {
		k.stepOfLines()
	}
	if k.tiles == 2 {
		k.MOVQ(k.wStep, rowsOfLines[0])
	}
	for _, y := range k.sums[:n*k.rows*len(k.columns())] {
		k.VXORPS(y, y, y)
	}

	k.Label(label + "_line")
	var segments []rowsSegment
	for s := range n {
		if !k.wide() {
			k.PREFETCHT0(indexed(exW, rowsAhead, 1, 64*s))
		}
		segments = append(segments, rowsSegment{
			w: func(h int) operand.Mem {
				if k.tiles == 2 && h == 1 {
					return indexed(exW, rowsOfLines[0], 1, 64*s)
				}
				return at(exW, 64*s+k.part()*h)
			},
			x:     func(r, i int) operand.Mem { return k.x(n, s, r, i) },
			sum:   func(r, h int) reg.VecPhysical { return sum(s, r, h) },
			fetch: func(t int) { k.PREFETCHT0(at(rowsAhead, 64*(k.tiles*s+t))) },
		})
	}
	k.line(segments)
	if k.wide() {
		k.ADDQ(k.paceOf(n), rowsAhead)
	}
	if n == 4 { // all of the block
		k.ADDQ(operand.I32(4*64), exW)
	} else {
		k.ADDQ(rowsStep, exW)
	}
	k.ADDQ(operand.Imm(uint64(4*k.perLine*k.turn)), exX)
	if n > 1 || k.rows > k.near() {
		k.ADDQ(operand.Imm(uint64(4*k.perLine*k.turn)), x2)
	}
	if n == 1 && k.rows > 8 {
		k.ADDQ(operand.Imm(uint64(4*k.perLine*k.turn)), k.spare())
	}
	if n == 4 {
		for r := 2; r < k.rows; r++ {
			k.ADDQ(operand.Imm(uint64(4*k.perLine*k.turn)), rowsOfLines[r-2])
		}
	}
	k.lessLines(k.turn)
	k.JNE(operand.LabelRef(label + "_line"))
	switch n {
	case 2:
		k.MOVQ(x2, exX)
	case 4:
		k.ADDQ(k.three, exX)
		if k.rows > 3 {
			k.LEAQ(indexed(rowsXStep, rowsXStep, 2, 0), k.three)
		}
	}
	if k.spills(n) {
		for i, r := range rowsOfLines {
			k.MOVQ(k.kept.Offset(8*i), r)
		}
	}

	for s := range n {
		if k.scaled {
			if k.tiles == 2 {
				k.MOVQ(k.wStep, exW)
			}
			k.byScales(fmt.Sprintf("%s%d", label, s), k.slots.Offset(rowsForm), func(form int) {
				for _, h := range k.parts() {
					k.scales(form, 0, h, k.scale[h])
				}
				if k.tiles == 2 {
					k.scalesAt(indexed(exScale, exW, 1, 0), form, k.scale[1])
				}
				k.ADDQ(operand.Imm(uint64(scaleBytes(form))), exScale)
			})
		}
		k.eachY(s == 0 || s == n-1, func(r, h int, y operand.Mem) {
			to, from := sum(0, r, h), sum(s, r, h)
			k.fix(from)
			switch {
			case s == 0 && k.scaled:
				k.VFMADD213PS(y, k.scale[h], to)
			case s == 0:
				k.VADDPS(y, to, to)
			case k.scaled:
				k.VFMADD231PS(k.scale[h], from, to)
			default:
				k.VADDPS(from, to, to)
			}
			if s == n-1 {
				k.VMOVUPS(to, y)
			}
		})
	}
	k.stepOfLines()
	k.ADDQ(operand.I32(uint64(64*n)), rowsFirst)
	k.SUBQ(operand.Imm(uint64(n)), exLeft)
}

// eachY calls f for all sums of rows, with where they are if memory says so.
func (k *rowsFMA) eachY(memory bool, f func(row, h int, y operand.Mem)) {
	for r := range k.rows {
		switch {
		case !memory:
		case r == 0:
			k.MOVQ(exY, exAny)
		default:
			k.ADDQ(k.yStep(), exAny)
		}
		for _, h := range k.columns() {
			f(r, h, at(exAny, k.part()*h))
		}
	}
}

func (k *rowsFMA) stepOfLines() {
	k.MOVBQZX(at(exBlock, blockSegments), rowsStep)
	k.SHLQ(operand.Imm(6), rowsStep)
}
