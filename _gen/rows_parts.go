package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const bfloatPartsMaths = `
Maths: x = x0 + x1 + …, each of so many parts a bfloat16: x0 is the upper half of x, x1 that of
x - x0, and so on, all of the sign of x, so that |x| = |x0| + |x1| + …. What is smaller than a
least magnitude counts as 0, before each part. Of an infinity or a NaN the parts behind x0 are 0.
`

// Vectors of what divides values into parts.
type partsOfRow struct {
	*file
	least, magnitudes, inf, upper, quiet, top reg.VecVirtual
	large, finite                             reg.OpmaskVirtual
	parts                                     int
}

// newParts loads what each step needs.
func newParts(f *file, least reg.GPVirtual, parts int) *partsOfRow {
	p := &partsOfRow{file: f, least: f.ZMM(), magnitudes: f.ZMM(), top: f.ZMM(), large: f.K(), parts: parts}
	v := f.GP32()
	fill := func(to reg.VecVirtual, pattern uint32) {
		f.MOVL(operand.U32(pattern), v)
		f.VPBROADCASTD(v, to)
	}
	f.VPBROADCASTD(least.As32(), p.least)
	fill(p.magnitudes, 0x7fffffff)
	f.VPXORD(p.top, p.top, p.top)
	if parts > 1 {
		p.inf, p.upper, p.quiet, p.finite = f.ZMM(), f.ZMM(), f.ZMM(), f.K()
		fill(p.inf, 0x7f800000)
		fill(p.upper, 0xffff0000)
		fill(p.quiet, 0x00400000)
	}
	return p
}

// first drops what is small of x and takes note of the largest magnitude. Of a NaN it leaves a
// quiet one, whose upper half is one, too.
func (p *partsOfRow) first(x reg.VecVirtual) {
	magnitude := p.ZMM()
	p.VPANDD(x, p.magnitudes, magnitude)
	p.VPMAXUD(magnitude, p.top, p.top)
	p.VPCMPUD(operand.U8(5), p.least, magnitude, p.large) // not less than
	if p.parts > 1 {
		p.VPCMPUD(operand.U8(6), p.inf, magnitude, p.finite) // greater: NaN
		p.VPORD(p.quiet, x, p.finite, x)
	}
	p.VMOVDQU32_Z(x, p.large, x)
}

// rest makes x what is left of it behind its upper half.
func (p *partsOfRow) rest(x reg.VecVirtual) {
	magnitude := p.ZMM()
	p.VPANDD(x, p.magnitudes, magnitude)
	p.VPCMPUD(operand.U8(1), p.inf, magnitude, p.finite) // less than
	p.VPANDD(x, p.upper, magnitude)
	p.VSUBPS_Z(magnitude, x, p.finite, x)
	p.VPANDD(x, p.magnitudes, magnitude)
	p.VPCMPUD(operand.U8(5), p.least, magnitude, p.large)
	p.VMOVDQU32_Z(x, p.large, x)
}

func init() {
	register(asmDir, "rowparts_avx512", `
Rows of float32 as sums of bfloat16.
`+bfloatPartsMaths+`
Registers: one of values, six of constants and of largest magnitudes, two masks, three pointers, the
steps and parts that are left.
`, func(f *file) {
		f.function("RowPartsAVX512", "x *float32, steps, parts, stride uintptr, least uint32, top *[16]uint32",
			"RowPartsAVX512 makes 16·steps values their first part, and writes the others stride bytes behind those of the part",
			"before, as float32; steps and parts are at least 1. What is smaller than the float32 with the pattern least counts",
			"as 0. It leaves the largest magnitudes, among values that are 16 apart, in top.")
		x, n, parts, step, out, least := f.GP64(), f.GP64(), f.GP64(), f.GP64(), f.GP64(), f.GP64()
		f.Load(f.Param("x"), x)
		f.Load(f.Param("steps"), n)
		f.Load(f.Param("parts"), parts)
		f.Load(f.Param("stride"), step)
		f.Load(f.Param("least"), least.As32())
		f.Load(f.Param("top"), out)
		p := newParts(f, least, 2)
		at0, left, value, part := f.GP64(), f.GP64(), f.ZMM(), f.ZMM()
		f.DECQ(parts)
		f.Label("step")
		f.VMOVDQU32(at(x, 0), value)
		p.first(value)
		f.MOVQ(x, at0)
		f.MOVQ(parts, left)
		f.TESTQ(left, left)
		f.JEQ(operand.LabelRef("last"))
		f.Label("part")
		f.VPANDD(value, p.upper, part)
		f.VMOVDQU32(part, at(at0, 0))
		p.rest(value)
		f.ADDQ(step, at0)
		f.DECQ(left)
		f.JNE(operand.LabelRef("part"))
		f.Label("last")
		f.VMOVDQU32(value, at(at0, 0))
		f.ADDQ(operand.U8(64), x)
		f.DECQ(n)
		f.JNE(operand.LabelRef("step"))
		f.VMOVDQU32(p.top, at(out, 0))
		f.VZEROUPPER()
		f.RET()
	})
}
