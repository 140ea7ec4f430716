package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const quantizeRegisters = `
Registers: general ones walk over values, codes, runs, sides and scales; one
vector register holds a run's sum of codes, four the 32 values of a turn, the
rest constants. avo assigns them.
`

func init() {
	register(asmDir, "rowdivide_avx2", `
Quantizing one row with a given scale, by true division.

Maths: code = half even(x / Factor) in -128..127; side as package asm has it.
Quotients must be below 2^31.
`+quantizeRegisters, func(f *file) {
		f.function("RowDivideAVX2", "c *Row", "RowDivideAVX2 quantizes a row by half even(x/Factor).")
		f.quantizeRow(quantizer{codes: func(f *file, r *rowRegisters, _ element, y reg.VecVirtual) {
			f.VDIVPS(r.factor, y, y)
			f.VCVTPS2DQ(y, y)
		}})
	})
	register(asmDir, "rowdivideround_avx2", `
Quantizing one row with a given scale, by true division, each quotient rounded
to the type of x on the way.

Maths: code = half even(round_x(x / Factor)) in -128..127, where round_x rounds
to the type of x; side as package asm has it. Quotients must be below 2^31.
`+quantizeRegisters, func(f *file) {
		f.function("RowDivideRoundAVX2", "c *Row", "RowDivideRoundAVX2 quantizes a row by half even(x/Factor rounded to the type of x).")
		var bf16 bf16Rounding
		f.quantizeRow(quantizer{
			constants: func(f *file) { bf16 = f.bf16Rounding() },
			codes: func(f *file, r *rowRegisters, e element, y reg.VecVirtual) {
				f.VDIVPS(r.factor, y, y)
				switch e {
				case elementF16:
					f.roundF16(y)
				case elementBF16:
					f.roundBF16(bf16, y)
				}
				f.VCVTPS2DQ(y, y)
			}})
	})
	register(asmDir, "rowasym_avx2", `
Quantizing one row with a given factor and zero point.

Maths: code = half away(x·Factor) + Zero, saturated to -128..127; side as
package asm has it. Half away from zero is the integer part of p plus or minus
the float32 below 1/2, which is right for every float32 p below 2^22. Products
must be below 2^22.
`+quantizeRegisters, func(f *file) {
		f.function("RowAsymAVX2", "c *Row", "RowAsymAVX2 quantizes a row by half away(x·Factor) + Zero.")
		var sign, half, zero reg.VecVirtual
		f.quantizeRow(quantizer{
			constants: func(f *file) {
				sign, half = f.pattern(1<<31), f.number(math.Nextafter32(.5, 0))
				zero = f.YMM()
				f.VPBROADCASTW(at(f.Load(f.Param("c"), f.GP64()), rowZero), zero)
			},
			codes: func(f *file, r *rowRegisters, _ element, y reg.VecVirtual) {
				t := f.YMM()
				f.VMULPS(r.factor, y, y)
				f.VPAND(sign, y, t)
				f.VPOR(half, t, t)
				f.VADDPS(t, y, y)
				f.VCVTTPS2DQ(y, y)
			},
			words: func(f *file, y reg.VecVirtual) { f.VPADDW(zero, y, y) },
		})
	})
	register(asmDir, "rowgroups_avx2", `
Quantizing one row in groups, each with a scale of its own.

Maths: scale = (max|x| of the group)/127; code = half even(x / scale) in
-127..127. A group of scale 0 has codes 0; one with a NaN or an infinity has
scale NaN and codes 0. Side as package asm has it.
`+quantizeRegisters, func(f *file) {
		f.function("RowGroupsAVX2", "c *Row", "RowGroupsAVX2 quantizes the groups of a row by half even(x/scale), scale = max|x|/127.")
		var lowest reg.VecVirtual
		f.quantizeRow(quantizer{
			groups:    true,
			constants: func(f *file) { lowest = f.pattern(0x81818181) },
			codes: func(f *file, r *rowRegisters, _ element, y reg.VecVirtual) {
				f.VDIVPS(r.factor, y, y)
				f.VCVTPS2DQ(y, y)
			},
			packed: func(f *file, r *rowRegisters, y reg.VecVirtual) {
				f.VPMAXSB(lowest, y, y)
				f.VPAND(r.valid, y, y)
			}})
	})
	register(asmDir, "rowflat_avx2", `
Quantizing one row to 4 bits as FlatQuant does. Values are float32.

Maths: code = half even(round_f16(x·Factor)), saturated to -8..7; side as
package asm has it. Ends are cut off before the rounding, which keeps them.
`+quantizeRegisters, func(f *file) {
		f.function("RowFlatAVX2", "c *Row", "RowFlatAVX2 quantizes a row of float32 by half even(round_f16(x·Factor)) in -8..7.")
		var low, high reg.VecVirtual
		f.quantizeRow(quantizer{
			only:      true,
			constants: func(f *file) { low, high = f.number(-8), f.number(7) },
			codes: func(f *file, r *rowRegisters, _ element, y reg.VecVirtual) {
				f.VMULPS(r.factor, y, y)
				f.VMAXPS(low, y, y)
				f.VMINPS(high, y, y)
				f.roundF16(y)
				f.VCVTPS2DQ(y, y)
			}})
	})
}

// quantizer is what differs between the kernels that quantize a row.
type quantizer struct {
	groups    bool // each group finds its scale
	only      bool // values are float32
	constants func(*file)
	codes     func(f *file, r *rowRegisters, e element, y reg.VecVirtual) // 8 float32 to int32, which are then saturated to words and bytes
	words     func(f *file, y reg.VecVirtual)                             // what is done to words
	packed    func(f *file, r *rowRegisters, y reg.VecVirtual)            // what is done to bytes
}

// rowRegisters are the registers of a kernel that quantizes a row.
type rowRegisters struct {
	x, codes, runs, count, side, scales reg.GPVirtual
	steps, n                            reg.GPVirtual

	factor  reg.VecVirtual // in every lane
	sum     reg.VecVirtual // of a run's codes
	inverse reg.VecVirtual // of factor; 512 bits only
	places  reg.GPVirtual  // of values in x, or 0; likewise, but for groups
	least   reg.VecVirtual // -128 in every byte; likewise
	zero    reg.VecVirtual // likewise 0
	ones    reg.VecVirtual // 1 in every byte
	words   reg.VecVirtual // 1 in every 16 bits
	order   reg.VecVirtual // what VPERMD needs after packing

	// Groups only.
	valid   reg.VecVirtual // all ones where the group has codes other than 0
	kept    reg.GPVirtual  // the scale to store
	divisor reg.VecVirtual // 127
	low     reg.VecVirtual // all bits but the signs
	inf     reg.VecVirtual

	// Groups of 512 bits only.
	valid512                reg.OpmaskVirtual // all ones where the group has codes other than 0
	larger                  reg.VecVirtual    // what values are multiplied by before they are divided
	one, least100, power100 reg.VecVirtual    // 1, 2⁻¹⁰⁰ and 2¹⁰⁰
}

func (f *file) quantizeRow(q quantizer) {
	c, r := f.loadRow()
	r.sum = f.YMM()
	if q.groups {
		r.scales = f.GP64()
		f.MOVQ(at(c, rowScales), r.scales)
		r.factor, r.valid, r.kept = f.zeroed(), f.zeroed(), f.GP64()
		f.XORQ(r.kept, r.kept)
		r.divisor, r.inf = f.number(127), f.number(float32(math.Inf(1)))
	} else {
		r.factor = f.YMM()
		f.VBROADCASTSS(at(c, rowFactor), r.factor)
	}
	r.ones, r.words, r.order = f.pattern(0x01010101), f.pattern(0x00010001), f.unpacked()
	if q.constants != nil {
		q.constants(f)
	}
	if q.only {
		f.runLoop(elementF32, c, r, q)
	} else {
		which := f.GP64()
		f.MOVQ(at(c, rowType), which)
		f.byElement(which, "done", func(e element) {
			if q.groups {
				r.low = f.pattern(map[int]uint32{2: 0x7fff7fff, 4: 0x7fffffff}[e.size()])
			}
			f.runLoop(e, c, r, q)
		})
	}
	f.VZEROUPPER()
	f.RET()
}

// loadRow reads what every kernel has of a row.
func (f *file) loadRow() (c reg.GPVirtual, r *rowRegisters) {
	c = f.GP64()
	f.Load(f.Param("c"), c)
	r = &rowRegisters{}
	for _, p := range []struct {
		r  *reg.GPVirtual
		at int
	}{{&r.x, rowX}, {&r.codes, rowCodes}, {&r.runs, rowRuns}, {&r.count, rowCount}, {&r.side, rowSide}} {
		*p.r = f.GP64()
		f.MOVQ(at(c, p.at), *p.r)
	}
	r.steps, r.n = f.GP64(), f.GP64()
	return c, r
}

// unpacked is the permutation that puts the dwords of two packings in order.
func (f *file) unpacked() reg.VecVirtual {
	y, g := f.YMM(), f.GP64()
	f.MOVQ(operand.U64(0x0703060205010400), g)
	f.VMOVQ(g, y.AsX())
	f.VPMOVZXBD(y.AsX(), y)
	return y
}

func (f *file) runLoop(e element, c reg.GPVirtual, r *rowRegisters, q quantizer) {
	name := func(s string) string { return e.String() + "_" + s }
	to := func(s string) operand.LabelRef { return operand.LabelRef(name(s)) }
	size := e.size()

	f.Label(name("run"))
	f.MOVL(at(r.runs, runSteps), r.steps.As32())
	if q.groups {
		f.MOVL(at(r.runs, runGroup), r.n.As32())
		f.TESTL(r.n.As32(), r.n.As32())
		f.JEQ(to("scaled"))
		f.groupScale(e, r, name)
		f.Label(name("scaled"))
	}
	f.VPXOR(r.sum, r.sum, r.sum)
	f.MOVQ(r.steps, r.n)
	f.SUBQ(operand.U8(bigStep/rowStep), r.n)
	f.JCS(to("rest"))

	f.Label(name("turn"))
	var v [4]reg.VecVirtual
	for i := range v {
		v[i] = f.YMM()
		f.widen(e, at(r.x, i*rowStep*size), v[i])
		q.codes(f, r, e, v[i])
	}
	f.VPACKSSDW(v[1], v[0], v[0])
	f.VPACKSSDW(v[3], v[2], v[2])
	if q.words != nil {
		q.words(f, v[0])
		q.words(f, v[2])
	}
	f.VPACKSSWB(v[2], v[0], v[0])
	f.VPERMD(v[0], r.order, v[0])
	if q.packed != nil {
		q.packed(f, r, v[0])
	}
	f.VMOVDQU(v[0], at(r.codes, 0))
	f.VPMADDUBSW(v[0], r.ones, v[0])
	f.VPMADDWD(r.words, v[0], v[0])
	f.VPADDD(v[0], r.sum, r.sum)
	f.ADDQ(operand.U32(bigStep*size), r.x)
	f.ADDQ(operand.U32(bigStep), r.codes)
	f.SUBQ(operand.U8(bigStep/rowStep), r.n)
	f.JCC(to("turn"))

	f.Label(name("rest"))
	f.ADDQ(operand.U8(bigStep/rowStep), r.n)
	f.JEQ(to("sum"))
	f.Label(name("step"))
	y, h := f.YMM(), f.XMM()
	f.widen(e, at(r.x, 0), y)
	q.codes(f, r, e, y)
	f.VEXTRACTI128(operand.U8(1), y, h)
	f.VPACKSSDW(h, y.AsX(), y.AsX())
	if q.words != nil {
		q.words(f, y)
	}
	f.VPACKSSWB(y.AsX(), y.AsX(), y.AsX())
	if q.packed != nil {
		q.packed(f, r, y)
	}
	f.VMOVQ(y.AsX(), y.AsX())
	f.VMOVQ(y.AsX(), at(r.codes, 0))
	f.VPMADDUBSW(y.AsX(), r.ones.AsX(), y.AsX())
	f.VPMADDWD(r.words.AsX(), y.AsX(), y.AsX())
	f.VPADDD(y, r.sum, r.sum)
	f.ADDQ(operand.U32(rowStep*size), r.x)
	f.ADDQ(operand.U8(rowStep), r.codes)
	f.DECQ(r.n)
	f.JNE(to("step"))

	f.Label(name("sum"))
	total, t := f.GP32(), f.XMM()
	f.VEXTRACTI128(operand.U8(1), r.sum, t)
	f.VPADDD(r.sum.AsX(), t, t)
	f.VPSHUFD(operand.U8(0x4e), t, r.sum.AsX())
	f.VPADDD(r.sum.AsX(), t, t)
	f.VPSHUFD(operand.U8(0xb1), t, r.sum.AsX())
	f.VPADDD(r.sum.AsX(), t, t)
	f.VMOVD(t, total)
	f.endRun(c, r, total, q.groups)
	f.JNE(to("run"))
}

// endRun writes the side of a run, whose codes total is the sum of, and its scale, and
// moves on to the next run: the flags say whether there is one.
func (f *file) endRun(c reg.GPVirtual, r *rowRegisters, total reg.GPVirtual, groups bool) {
	f.SHLL(operand.U8(3), r.steps.As32())
	f.IMULL(at(c, rowZero), r.steps.As32())
	f.SUBL(r.steps.As32(), total)
	f.IMULL(at(c, rowTimes), total)
	f.ANDL(at(c, rowKeep), total)
	f.ORL(at(c, rowAdd), total)
	f.MOVL(total, at(r.side, 0))
	f.ADDQ(operand.U8(4), r.side)
	if groups {
		f.MOVL(r.kept.As32(), at(r.scales, 0))
		f.ADDQ(operand.U8(4), r.scales)
	}
	f.ADDQ(operand.U8(runSize), r.runs)
	f.DECQ(r.count)
}

// groupScale sets factor, valid and kept for the group of r.n steps at r.x.
func (f *file) groupScale(e element, r *rowRegisters, name func(string) string) {
	top := f.magnitude(e, r, name)
	switch e {
	case elementF16:
		f.VCVTPH2PS(top, top)
	case elementBF16:
		f.VPSLLD(operand.U8(16), top, top)
	}
	f.VDIVSS(r.divisor.AsX(), top, r.factor.AsX())
	f.VBROADCASTSS(r.factor.AsX(), r.factor)
	// As integers, infinity is not above infinity and NaN, and 0 not below 0.
	f.VPCMPGTD(r.factor, r.inf, r.valid)
	nan := f.GP32()
	f.VMOVD(r.factor.AsX(), r.kept.As32())
	f.MOVL(operand.U32(0x7fc00000), nan)
	f.CMPL(r.kept.As32(), operand.U32(math.Float32bits(float32(math.Inf(1)))))
	f.CMOVLCC(nan, r.kept.As32())
	zero, above := f.zeroed(), f.YMM()
	f.VPCMPGTD(zero, r.factor, above)
	f.VPAND(above, r.valid, r.valid)
}

// magnitude returns, in lane 0, the largest magnitude of the r.n·8 elements at
// r.x as a bit pattern of their type. It counts r.n down.
func (f *file) magnitude(e element, r *rowRegisters, name func(string) string) reg.VecVirtual {
	p, top, y := f.GP64(), f.zeroed(), f.YMM()
	largest := f.VPMAXUW
	if e == elementF32 {
		largest = f.VPMAXUD
	}
	f.MOVQ(r.x, p)
	f.SUBQ(operand.U8(bigStep/rowStep), r.n)
	f.JCS(operand.LabelRef(name("few")))
	f.Label(name("many"))
	for i := range bigStep * e.size() / 32 {
		f.VPAND(at(p, 32*i), r.low, y)
		largest(y, top, top)
	}
	f.ADDQ(operand.U32(bigStep*e.size()), p)
	f.SUBQ(operand.U8(bigStep/rowStep), r.n)
	f.JCC(operand.LabelRef(name("many")))
	f.Label(name("few"))
	f.ADDQ(operand.U8(bigStep/rowStep), r.n)
	f.JEQ(operand.LabelRef(name("found")))
	f.Label(name("next"))
	if e == elementF32 {
		f.VPAND(at(p, 0), r.low, y)
	} else {
		f.VPAND(at(p, 0), r.low.AsX(), y.AsX()) // the upper half becomes 0
	}
	largest(y, top, top)
	f.ADDQ(operand.U8(rowStep*e.size()), p)
	f.DECQ(r.n)
	f.JNE(operand.LabelRef(name("next")))
	f.Label(name("found"))
	if e == elementF32 {
		f.lane0(top, f.VPMAXUD)
	} else {
		f.word0(top)
	}
	return top.AsX().(reg.VecVirtual)
}
