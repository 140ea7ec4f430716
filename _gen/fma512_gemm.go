package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Registers of gemm512. Up to three rows several segments go together, which
// needs their sizes; from four on rows 4 and 8 of x have registers instead.
var (
	g512W        = reg.RAX // next weights of the first tile
	g512W2       = reg.R10 // and of the second
	g512X        = reg.RBX // next x of row 0
	g512X4       = reg.RDX // of row 4
	g512X8       = reg.RDI // of row 8
	g512XStep    = reg.RSI // from row to row
	g512XThree   = reg.R8  // three times that
	g512Features = reg.RCX // left in a segment; of pairs as many
	g512Scale    = reg.R9  // next scales of the first tile
	g512Scale2   = reg.R11 // and of the second
	g512Left     = reg.R12 // segments
	g512Block    = reg.R13
	g512Y        = reg.R14 // row 0
	g512YStep    = reg.R15
	g512Next     = reg.RBP // what to fetch next, for two tiles

	g512XBytes  = reg.RDX // bytes of a segment of x
	g512X3Bytes = reg.RSI // of three, for a single row
	g512WBytes  = reg.RDI // bytes of a segment
	g512W3Bytes = reg.R8  // of three, for a single row
	g512XNext   = reg.R8  // row 0 of the second of two segments, for two and three rows
)

func init() {
	for _, tiles := range []int{1, 2} {
		name := map[int]string{1: "gemm_avx512", 2: "gemm_x2_avx512"}[tiles]
		register(asmDir, name, `
Rows of float32 times unpacked panels of 16 columns, `+map[int]string{1: "one", 2: "two"}[tiles]+` at a time; the package says
what they look like. Where one, two or three rows are too few sums for the units
to stay busy, four or two segments of a block go together.

Maths: the package's exact sums, s = 1 for plain weights.
Registers: AX and R10 next weights of two tiles, BX x, DX and DI x of rows 4 and 8,
SI and R8 one and three steps of x, CX features left, R9 and R11 scales, R12
segments left, R13 Block, R14 Y, R15 its step, BP what to fetch next; with up to three rows DX and DI
bytes of a segment of x and of weights, R8 x of the second segment, and with one
row SI and R8 bytes of three;
Z0 to Z23 sums, Z24 and Z25 weights, then scales, Z26 x. The frame counts blocks.
`, func(f *file) {
			for rows := 1; rows <= 12; rows++ {
				k := gemm512{exactFMA: exactFMA{f, zmm}, rows: rows, tiles: tiles}
				k.write("GemmAVX512")
			}
		})
	}
}

// gemm512 is a kernel of so many rows and tiles.
type gemm512 struct {
	exactFMA
	rows, tiles int
	pairs       bool        // of bfloat16: a dword of x and a line of weights are two features
	count       operand.Mem // blocks left
}

// together is the segments that go together.
func (k gemm512) together() int {
	switch k.rows {
	case 1:
		return 4
	case 2, 3:
		return 2
	}
	return 1
}

// turn is the features of one turn of a loop; segments are padded to 8.
func (k gemm512) turn() int {
	if k.rows*k.tiles > 12 {
		return 2
	}
	return 4
}

func (k gemm512) write(family string) {
	name := fmt.Sprintf("%sx%d", family, k.rows)
	doc, of := "an unpacked panel", ""
	if k.pairs {
		of = " of pairs"
	}
	if k.tiles == 2 {
		name += "x2"
		doc = "two unpacked panels"
	}
	doc = " multiplies so many rows with " + doc + of + "."
	k.function(name, "c *Call", name+doc)
	k.count = k.AllocLocal(8)
	c := reg.RDI
	k.Load(k.Param("c"), c)
	k.MOVQ(at(c, callCount), reg.RAX)
	k.MOVQ(reg.RAX, k.count)
	k.MOVQ(at(c, callW), g512W)
	if k.tiles == 2 {
		k.MOVQ(at(c, callWStep), g512W2)
		k.ADDQ(g512W, g512W2)
	}
	k.MOVQ(at(c, callBlocks), g512Block)
	k.MOVQ(at(c, callY), g512Y)
	k.MOVQ(at(c, callYStep), g512YStep)
	k.MOVQ(at(c, callX), g512X)
	if k.tiles == 2 {
		k.MOVQ(at(c, callNext), g512Next)
	}
	if k.rows > 1 {
		k.MOVQ(at(c, callXStep), g512XStep)
	}
	if k.rows > 3 {
		k.LEAQ(indexed(g512XStep, g512XStep, 2, 0), g512XThree)
		k.LEAQ(indexed(g512X, g512XStep, 4, 0), g512X4)
		k.LEAQ(indexed(g512X, g512XStep, 8, 0), g512X8)
	}

	k.Label("block")
	k.MOVBQZX(at(g512Block, blockSegments), g512Left)
	k.MOVQ(g512W, g512Scale)
	k.ADDQ(operand.I32(panelHeader), g512W)
	if k.tiles == 2 {
		k.MOVQ(g512W2, g512Scale2)
		k.ADDQ(operand.I32(panelHeader), g512W2)
	}
	if n := k.together(); n > 1 {
		k.MOVWQZX(at(g512Block, blockFeatures), g512XBytes)
		k.SHLQ(operand.Imm(map[bool]uint64{false: 2, true: 1}[k.pairs]), g512XBytes)
		k.MOVQ(g512XBytes, g512WBytes)
		k.SHLQ(operand.Imm(4), g512WBytes)
		if n == 4 {
			k.LEAQ(indexed(g512XBytes, g512XBytes, 2, 0), g512X3Bytes)
			k.LEAQ(indexed(g512WBytes, g512WBytes, 2, 0), g512W3Bytes)
		}
		k.Label("together")
		k.CMPQ(g512Left, operand.Imm(uint64(n)))
		k.JCS(operand.LabelRef("single"))
		k.segments("features", n)
		k.SUBQ(operand.Imm(uint64(n)), g512Left)
		k.JNE(operand.LabelRef("together"))
		k.JMP(operand.LabelRef("next"))
	}
	k.Label("single")
	k.segments("feature", 1)
	k.DECQ(g512Left)
	k.JNE(operand.LabelRef("single"))
	k.Label("next")
	k.ADDQ(operand.Imm(blockSize), g512Block)
	k.DECQ(k.count)
	k.JNE(operand.LabelRef("block"))
	if k.tiles == 2 {
		k.Load(k.Param("c"), c)
		k.MOVQ(g512Next, at(c, callNext))
	}
	k.VZEROUPPER()
	k.RET()
}

// segments multiplies n segments and adds them to Y.
func (k gemm512) segments(label string, n int) {
	sum := func(s, r, t int) reg.VecPhysical { return zmm[(s*k.rows+r)*k.tiles+t] }
	weights, x := zmm[24:26], zmm[26]
	for _, y := range zmm[:n*k.rows*k.tiles] {
		k.VXORPS(y, y, y)
	}
	w, xs := []reg.GPPhysical{g512W, g512W2}[:k.tiles], []reg.GPPhysical{g512X, g512X4, g512X8}[:(k.rows+3)/4:(k.rows+3)/4]
	if n == 2 {
		k.LEAQ(indexed(g512X, g512XBytes, 1, 0), g512XNext)
		xs = append(xs, g512XNext)
	}
	k.MOVWQZX(at(g512Block, blockFeatures), g512Features)
	if k.pairs {
		k.SHRQ(operand.Imm(1), g512Features)
	}
	k.Label(label)
	for i := range k.turn() {
		for s := range n {
			for t := range k.tiles {
				k.VMOVUPS(k.w(s, t, 64*i), weights[t])
			}
			for r := range k.rows {
				if k.pairs && k.tiles == 1 {
					k.dotBF16(k.x(s, r, 4*i), weights[0], sum(s, r, 0))
					continue
				}
				k.VBROADCASTSS(k.x(s, r, 4*i), x)
				for t := range k.tiles {
					if k.pairs {
						k.dotBF16(x, weights[t], sum(s, r, t))
					} else {
						k.VFMADD231PS(weights[t], x, sum(s, r, t))
					}
				}
			}
		}
	}
	if k.tiles == 2 { // a line in some twenty cycles, while the units are busy
		k.PREFETCHT1(at(g512Next, 0))
		k.ADDQ(operand.Imm(64), g512Next)
	}
	for _, w := range w {
		k.ADDQ(operand.I32(uint64(64*k.turn())), w)
	}
	for _, x := range xs {
		k.ADDQ(operand.Imm(uint64(4*k.turn())), x)
	}
	k.SUBQ(operand.Imm(uint64(k.turn())), g512Features)
	k.JNE(operand.LabelRef(label))
	for _, w := range w {
		switch n {
		case 2:
			k.ADDQ(g512WBytes, w)
		case 4:
			k.ADDQ(g512W3Bytes, w)
		}
	}
	switch n {
	case 2:
		k.ADDQ(g512XBytes, g512X)
	case 4:
		k.ADDQ(g512X3Bytes, g512X)
	}

	y := g512Features
	for s := range n {
		k.VMOVUPS(at(g512Scale, 64*s), weights[0])
		if k.tiles == 2 {
			k.VMOVUPS(at(g512Scale2, 64*s), weights[1])
		}
		for r := range k.rows {
			if r == 0 {
				k.MOVQ(g512Y, y)
			} else {
				k.ADDQ(g512YStep, y)
			}
			for t := range k.tiles {
				if s == 0 {
					k.VFMADD213PS(at(y, 64*t), weights[t], sum(0, r, t))
				} else {
					k.VFMADD231PS(weights[t], sum(s, r, t), sum(0, r, t))
				}
				if s == n-1 {
					k.VMOVUPS(sum(0, r, t), at(y, 64*t))
				}
			}
		}
	}
	k.ADDQ(operand.I32(uint64(64*n)), g512Scale)
	if k.tiles == 2 {
		k.ADDQ(operand.I32(uint64(64*n)), g512Scale2)
	}
}

// w is the weights of tile t in segment s of those that go together.
func (k gemm512) w(s, t, disp int) operand.Mem {
	base := []reg.GPPhysical{g512W, g512W2}[t]
	switch s {
	case 0:
		return at(base, disp)
	case 3:
		return indexed(base, g512W3Bytes, 1, disp)
	}
	return indexed(base, g512WBytes, s, disp)
}

// x is row r of x of segment s of those that go together.
func (k gemm512) x(s, r, disp int) operand.Mem {
	switch {
	case k.rows > 3:
		return rowOf4([]reg.GPPhysical{g512X, g512X4, g512X8}[r/4], r%4, disp)
	case s == 0 && r == 0:
		return at(g512X, disp)
	case s == 0:
		return indexed(g512X, g512XStep, r, disp)
	case k.rows == 1 && s == 3:
		return indexed(g512X, g512X3Bytes, 1, disp)
	case k.rows == 1:
		return indexed(g512X, g512XBytes, s, disp)
	case r == 0:
		return at(g512XNext, disp)
	}
	return indexed(g512XNext, g512XStep, r, disp)
}

// rowOf4 is one of four rows from base on.
func rowOf4(base reg.Register, r, disp int) operand.Mem {
	switch r {
	case 0:
		return at(base, disp)
	case 3:
		return indexed(base, g512XThree, 1, disp)
	}
	return indexed(base, g512XStep, r, disp)
}
