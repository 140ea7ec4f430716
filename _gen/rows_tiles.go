package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	for _, e := range []struct {
		name, what string
		element    element
		parts      int
	}{
		{"BF16", "bfloat16", elementBF16, 1},
		{"F16", "float16, each as two bfloat16", elementF16, 2},
		{"F32", "float32, each as three bfloat16", elementF32, 3},
		{"Widened", "float32 that are bfloat16", elementF32, 1},
	} {
		register(asmDir, "rowtiles_"+strings.ToLower(e.name)+"_avx512", `
A row of `+e.what+`, in tiles.
`+bfloatPartsMaths+`Of every 32 values the upper halves of each part, in some order.

Registers: two of values and one of both, one of the order, constants and largest magnitudes,
two masks, pointers to x and to each part's tiles, the tiles that are left.
`, func(f *file) {
			name := "RowTiles" + e.name + "AVX512"
			f.function(name, "c *TileRow", name+" writes the tiles of a row of "+e.what+".")
			writeRowTiles(f, e.element, e.parts)
		})
	}
}

// Offsets of the fields of asm.TileRow, in bytes. A test of that package compares them with
// the struct.
const (
	tileRowX     = 0
	tileRowTiles = 8
	tileRowTo    = 16
	tileRowOrder = 40
	tileRowTop   = 48
	tileRowLeast = 56
)

// writeRowTiles writes a kernel for rows of an element that is so many bfloat16.
func writeRowTiles(f *file, e element, parts int) {
	c, x, n, least := f.GP64(), f.GP64(), f.GP64(), f.GP64()
	f.Load(f.Param("c"), c)
	f.MOVQ(at(c, tileRowX), x)
	f.MOVQ(at(c, tileRowTiles), n)
	f.MOVL(at(c, tileRowLeast), least.As32())
	p := newParts(f, least, parts)
	order := f.ZMM()
	to := f.GP64()
	f.MOVQ(at(c, tileRowOrder), to)
	f.VMOVDQU32(at(to, 0), order)
	var dst []reg.GPVirtual
	for i := range parts {
		to := f.GP64()
		f.MOVQ(at(c, tileRowTo+8*i), to)
		dst = append(dst, to)
	}
	low, high, both := f.ZMM(), f.ZMM(), f.ZMM()
	f.Label("tile")
	for i, z := range []reg.VecVirtual{low, high} {
		f.widen(e, at(x, 16*i*e.size()), z)
		p.first(z)
	}
	for i, to := range dst {
		if i > 0 {
			p.rest(low)
			p.rest(high)
		}
		f.VMOVDQA64(low, both)
		f.VPERMT2W(high, order, both)
		f.VMOVDQU32(both, at(to, 0))
		f.ADDQ(operand.I32(16*64), to)
	}
	f.ADDQ(operand.U32(uint32(32*e.size())), x)
	f.DECQ(n)
	f.JNE(operand.LabelRef("tile"))
	f.MOVQ(at(c, tileRowTop), x)
	f.VMOVDQU32(p.top, at(x, 0))
	f.VZEROUPPER()
	f.RET()
}
