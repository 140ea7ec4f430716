package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Registers of gemmFMA.
var (
	gemmW        = reg.RAX // next weights
	gemmX        = reg.RBX // next x of row 0
	gemmX3       = reg.RDX // of row 3; where two segments go together of row 0 of the second
	gemmCount    = reg.RCX // blocks left
	gemmBlock    = reg.RSI
	gemmXBytes   = reg.RDI // bytes of a segment of x
	gemmFeatures = reg.R8  // left in a segment
	gemmScale    = reg.R9  // next scales
	gemmXStep    = reg.R10 // from row to row; where four segments go together bytes of three
	gemmWBytes   = reg.R11 // bytes of a segment
	gemmLeft     = reg.R12 // segments
	gemmThree    = reg.R13 // row 3 of Y; where four segments go together bytes of three
	gemmY        = reg.R14
	gemmYStep    = reg.R15
)

func init() {
	register(asmDir, "gemm_fma", `
Rows of float32 times an unpacked panel of 16 columns; the package says what it
looks like. Where one, two or three rows are too few sums for the units to stay
busy, four or two segments of a block go together.

Maths: the package's exact sums, s = 1 for plain weights.
Registers: AX next weights, BX next x, CX blocks left, DX x three rows on or of
the second segment, SI Block, DI bytes of a segment of x, R8 features left, R9
scales, R10 step of x or bytes of three segments of it, R11 bytes of a segment, R12 segments left, R13 Y three rows
on or bytes of three segments, R14 Y, R15 its step; Y0 to Y11 sums, Y12 and Y13
weights, then scales, Y14 x.
`, func(f *file) {
		for rows := 1; rows <= 6; rows++ {
			together := map[int]int{1: 4, 2: 2, 3: 2}[rows]
			k := gemmFMA{exactFMA: exactFMA{f, ymm}, rows: rows, together: max(1, together)}
			k.write()
		}
	})
}

// gemmFMA is a kernel of so many rows, with so many segments together.
type gemmFMA struct {
	exactFMA
	rows, together int
}

// gemmTurn is the features of one turn of a loop; segments are padded to 8.
const gemmTurn = 4

func (k gemmFMA) write() {
	name := fmt.Sprintf("GemmFMAx%d", k.rows)
	k.function(name, "c *Call", name+" multiplies so many rows with an unpacked panel.")
	c := reg.RDI
	k.Load(k.Param("c"), c)
	k.MOVQ(at(c, callW), gemmW)
	k.MOVQ(at(c, callX), gemmX)
	k.MOVQ(at(c, callBlocks), gemmBlock)
	k.MOVQ(at(c, callCount), gemmCount)
	k.MOVQ(at(c, callXStep), gemmXStep)
	k.MOVQ(at(c, callY), gemmY)
	k.MOVQ(at(c, callYStep), gemmYStep)
	if k.rows > 3 {
		k.LEAQ(indexed(gemmXStep, gemmXStep, 2, 0), gemmX3)
		k.ADDQ(gemmX, gemmX3)
		k.LEAQ(indexed(gemmYStep, gemmYStep, 2, 0), gemmThree)
		k.ADDQ(gemmY, gemmThree)
	}

	k.Label("block")
	k.MOVBQZX(at(gemmBlock, blockSegments), gemmLeft)
	k.MOVWQZX(at(gemmBlock, blockFeatures), gemmXBytes)
	k.MOVQ(gemmXBytes, gemmWBytes)
	k.SHLQ(operand.Imm(2), gemmXBytes)
	k.SHLQ(operand.Imm(6), gemmWBytes)
	k.MOVQ(gemmW, gemmScale)
	k.ADDQ(operand.I32(panelHeader), gemmW)
	if k.together > 1 {
		k.CMPQ(gemmLeft, operand.Imm(uint64(k.together)))
		k.JCS(operand.LabelRef("single"))
		if k.together == 4 {
			k.LEAQ(indexed(gemmWBytes, gemmWBytes, 2, 0), gemmThree)
			k.LEAQ(indexed(gemmXBytes, gemmXBytes, 2, 0), gemmXStep)
		}
		k.Label("together")
		k.segments("features", k.together)
		k.SUBQ(operand.Imm(uint64(k.together)), gemmLeft)
		k.JEQ(operand.LabelRef("next"))
		if k.together == 2 {
			k.CMPQ(gemmLeft, operand.Imm(2))
			k.JCC(operand.LabelRef("together"))
		}
	}
	k.Label("single")
	k.segments("feature", 1)
	k.DECQ(gemmLeft)
	k.JNE(operand.LabelRef("single"))
	k.Label("next")
	k.ADDQ(operand.Imm(blockSize), gemmBlock)
	k.DECQ(gemmCount)
	k.JNE(operand.LabelRef("block"))
	k.VZEROUPPER()
	k.RET()
}

// segments multiplies n segments and adds them to Y.
func (k gemmFMA) segments(label string, n int) {
	sum := func(s, r, h int) reg.VecPhysical { return ymm[2*(s*k.rows+r)+h] }
	each := func(f func(s, r, h int)) {
		for s := range n {
			for r := range k.rows {
				for _, h := range halves {
					f(s, r, h)
				}
			}
		}
	}
	weights, x := ymm[12:14], ymm[14]
	if n == 2 {
		k.LEAQ(indexed(gemmX, gemmXBytes, 1, 0), gemmX3)
	}
	each(func(s, r, h int) { k.VXORPS(sum(s, r, h), sum(s, r, h), sum(s, r, h)) })
	k.MOVWQZX(at(gemmBlock, blockFeatures), gemmFeatures)
	k.Label(label)
	for i := range gemmTurn {
		for s := range n {
			for _, h := range halves {
				if k.rows > 1 {
					k.VMOVAPS(k.w(s, 64*i+32*h), weights[h])
				}
			}
			for r := range k.rows {
				k.VBROADCASTSS(k.x(n, s, r, 4*i), x)
				for _, h := range halves {
					if k.rows > 1 {
						k.VFMADD231PS(weights[h], x, sum(s, r, h))
					} else {
						k.VFMADD231PS(k.w(s, 64*i+32*h), x, sum(s, r, h))
					}
				}
			}
		}
	}
	k.ADDQ(operand.I32(64*gemmTurn), gemmW)
	k.ADDQ(operand.Imm(4*gemmTurn), gemmX)
	if k.rows > 3 || n == 2 {
		k.ADDQ(operand.Imm(4*gemmTurn), gemmX3)
	}
	k.SUBQ(operand.Imm(gemmTurn), gemmFeatures)
	k.JNE(operand.LabelRef(label))
	switch n {
	case 2:
		k.ADDQ(gemmWBytes, gemmW)
		k.ADDQ(gemmXBytes, gemmX)
	case 4:
		k.ADDQ(gemmThree, gemmW)
		k.ADDQ(gemmXStep, gemmX)
	}

	for s := range n {
		for _, h := range halves {
			k.VMOVAPS(at(gemmScale, 64*s+32*h), weights[h])
		}
		for r := range k.rows {
			for _, h := range halves {
				if s == 0 {
					k.VFMADD213PS(k.y(r, h), weights[h], sum(0, r, h))
				} else {
					k.VFMADD231PS(weights[h], sum(s, r, h), sum(0, r, h))
				}
				if s == n-1 {
					k.VMOVUPS(sum(0, r, h), k.y(r, h))
				}
			}
		}
	}
	k.ADDQ(operand.I32(uint64(64*n)), gemmScale)
}

// w is the weights of segment s of those that go together.
func (k gemmFMA) w(s, disp int) operand.Mem {
	switch s {
	case 0:
		return at(gemmW, disp)
	case 3:
		return indexed(gemmW, gemmThree, 1, disp)
	}
	return indexed(gemmW, gemmWBytes, s, disp)
}

// x is row r of x of segment s of n that go together.
func (k gemmFMA) x(n, s, r, disp int) operand.Mem {
	switch {
	case n == 1:
		return rowOf(gemmX, gemmX3, gemmXStep, r, disp)
	case n == 2 && s == 1:
		return rowOf(gemmX3, gemmX3, gemmXStep, r, disp)
	case n == 2 || s == 0:
		return rowOf(gemmX, gemmX, gemmXStep, r, disp)
	case s == 3:
		return indexed(gemmX, gemmXStep, 1, disp)
	}
	return indexed(gemmX, gemmXBytes, s, disp)
}

func (k gemmFMA) y(r, h int) operand.Mem { return rowOf(gemmY, gemmThree, gemmYStep, r, 32*h) }
