package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	register(asmDir, "rowgroups_avx512", `
Quantizing one row in groups, each with a scale of its own.

Maths: scale = (max|x| of the group)/127; code = half even(x / scale) in
-127..127. A group of scale 0 has codes 0; one with a NaN or an infinity has
scale NaN and codes 0. Side as package asm has it.

Codes are made as by RowDivideAVX512. Scales are up to 2¹²⁸/127, whose reciprocals are normal. In a
row where one is below 2⁻¹⁰⁰, such scales and their values are first made 2¹⁰⁰ times as
large, exactly.
`+quantizeRegisters512, func(f *file) {
		f.function("RowGroupsAVX512", "c *Row", "RowGroupsAVX512 quantizes the groups of a row by half even(x/scale), scale = max|x|/127.")
		var lowest reg.VecVirtual
		f.quantizeRow512(quantizer512{
			groups:    true,
			constants: func(f *file, r *rowRegisters, _ element) { lowest = f.pattern512(0x81818181) },
			codes:     func(f *file, r *rowRegisters, _ element, z reg.VecVirtual) { f.divide(r, z) },
			packed: func(f *file, r *rowRegisters, z reg.VecVirtual) {
				f.VMOVDQU32_Z(z, r.valid512, z)
				f.VPMAXSB(lowest, z, z)
			}})
	})
}

// scales512 writes the scale of the group of each run, and returns the least pattern of
// one that is not 0, less 1. Codes come in a second pass over the row: a group would wait
// for its scale, and little of the next one fits beside it.
func (f *file) scales512(e element, r *rowRegisters) (least reg.GPVirtual) {
	name := func(s string) string { return e.String() + "_scales_" + s }
	x, runs, left, scales, kept := f.GP64(), f.GP64(), f.GP64(), f.GP64(), f.GP32()
	for _, m := range [][2]reg.GPVirtual{{r.x, x}, {r.runs, runs}, {r.count, left}, {r.scales, scales}} {
		f.MOVQ(m[0], m[1])
	}
	f.XORL(kept, kept)
	least = f.GP32()
	f.MOVL(operand.I32(-1), least)
	low, divisor := f.pattern512(map[int]uint32{2: 0x7fff7fff, 4: 0x7fffffff}[e.size()]), f.number512(127)
	f.Label(name("run"))
	n := f.GP64()
	f.MOVL(at(runs, runGroup), n.As32())
	f.TESTL(n.As32(), n.As32())
	f.JEQ(operand.LabelRef(name("same")))
	f.SHLQ(operand.U8(map[int]uint8{2: 4, 4: 5}[e.size()]), n)
	op := map[int]func(...operand.Op){2: f.VPMAXUW, 4: f.VPMAXUD}[e.size()]
	group := f.GP64()
	f.MOVQ(x, group)
	f.ADDQ(n, x)
	y := f.largest512(name("group"), group, n, low, op)
	top := y.AsX().(reg.VecVirtual)
	switch e {
	case elementF32:
		f.lane0(y, op)
	case elementF16:
		f.word0(y)
		f.VCVTPH2PS(top, top)
	case elementBF16:
		f.word0(y)
		f.VPSLLD(operand.U8(16), top, top)
	}
	f.VDIVSS(divisor.AsX(), top, top)
	f.VMOVD(top, kept)
	if e != elementF16 { // whose scales are larger than most
		pattern := f.GP32()
		f.LEAL(at(kept.As64(), -1), pattern)
		f.CMPL(pattern, least)
		f.CMOVLCS(pattern, least)
	}
	nan := f.GP32()
	f.MOVL(operand.U32(0x7fc00000), nan)
	f.CMPL(kept, operand.U32(math.Float32bits(float32(math.Inf(1)))))
	f.CMOVLCC(nan, kept)
	f.Label(name("same"))
	f.MOVL(kept, at(scales, 0))
	f.ADDQ(operand.U8(4), scales)
	f.ADDQ(operand.U8(runSize), runs)
	f.DECQ(left)
	f.JNE(operand.LabelRef(name("run")))
	return least
}

// groupScale512 sets factor, inverse and valid for a run, and larger where a scale may be small.
func (f *file) groupScale512(r *rowRegisters, how loop512) {
	f.VBROADCASTSS(at(r.scales, 0), r.factor)
	f.ADDQ(operand.U8(4), r.scales)
	const less, greater = 0x11, 0x1e // and no NaN
	f.VCMPPS(operand.U8(greater), r.zero, r.factor, r.valid512)
	if how == smallLoop {
		small := f.K()
		f.VCMPPS(operand.U8(less), r.least100, r.factor, small)
		f.VBLENDMPS(r.power100, r.one, small, r.larger)
		f.VMULPS(r.larger, r.factor, r.factor)
	}
	f.VDIVSS(r.factor.AsX(), r.one.AsX(), r.inverse.AsX())
	f.VBROADCASTSS(r.inverse.AsX(), r.inverse)
}
