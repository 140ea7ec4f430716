package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vector512 is the values of a vector of 512 bits.
const vector512 = 16

const quantizeRegisters512 = `
Registers: general ones walk over values or their places, codes, runs and sides; one
vector register holds the sums of a run's codes, four the 64 values of a turn, the
rest constants and places; masks say what of the last 32 values of a run there is
and what is gathered. avo assigns them.
`

func init() {
	register(asmDir, "rowdivide_avx512", `
Quantizing one row with a given scale, by products that make the codes of true division.

Maths: code = half even(x / Factor) in -128..127, x / Factor rounded to float32; side
as package asm has it. Factor must be in 2⁻¹⁰⁰..2¹⁰⁰ and quotients below 2³¹.

With r = 1/Factor and q = x·r, both rounded, two fused multiply-adds make

	q + r·(x − q·Factor)

which is x / Factor rounded correctly where q is one of the two float32 around it and
x − q·Factor is exact (P. Markstein, Computation of elementary functions on the IBM RISC
System/6000 processor, 1990; J.-M. Muller et al., Handbook of Floating-Point Arithmetic,
division with a fused multiply-add). Let v = |x / Factor|, 2ᵉ ≤ v < 2ᵉ⁺¹. r is off by half a
unit in its last place at most, so x·r by v/2ᵉ⁺¹ units in the last place (ulp) of v, and q by
half an ulp more: it may be the float32 beyond. Then the sum is off by less than 2⁻²² ulp
before it is rounded, and rounds to one of the two float32 around v, which are on the same
side of every tie of codes, n + 1/2. So a code is in doubt only where v is as near to the
middle of such a tie and a neighbour of it. There v/2ᵉ⁺¹ is at most 1 − 2⁻⁸, n up to 127,
or 1/2 above the tie 1/2 (below it codes are 0, as its own is): x·r is less than an ulp from
the middle, whence the float32 beyond are 3/2 ulp away, and q is none of them. From v = 1/4 on q is
a multiple of 2⁻²⁵ and Factor of 2⁻¹²³, so that x − q·Factor is exact; below, the code is 0
whatever is lost.
`+quantizeRegisters512, func(f *file) {
		f.function("RowDivideAVX512", "c *Row", "RowDivideAVX512 quantizes a row by half even(x/Factor), Factor in 2⁻¹⁰⁰..2¹⁰⁰.")
		f.quantizeRow512(quantizer512{
			constants: func(f *file, r *rowRegisters, _ element) { f.inverse(r.factor, r.inverse) },
			codes:     func(f *file, r *rowRegisters, _ element, z reg.VecVirtual) { f.divide(r, z) },
		})
	})
}

func init() {
	register(asmDir, "rowdivideround_avx512", `
Quantizing one row with a given scale of the type of x, each quotient rounded to that
type on the way, by products that make the codes of true division.

Maths: code = half even(round_x(x / Factor)) in -128..127, where round_x rounds to the type
of x, float16 or bfloat16; side as package asm has it. Factor must be a value of that
type in 2⁻¹⁰⁰..2¹⁰⁰ and quotients below 2¹⁵.

x and Factor are integers below 2ᵖ times powers of two, p 11 or 8. The middle of two
values of p bits is an odd integer below 2ᵖ⁺¹ times one, so it is not x / Factor: times
Factor it has more bits than x. And it differs from x / Factor by more than 2⁻²ᵖ⁻¹ of
that, 1 over the product of both integers. With r = 1/Factor, rounded, x·r is off by no
more than 2⁻²³ and some 2⁻⁴⁸, so it rounds to the same value, and as it is in no middle
half a unit is added and the rest cut off. Where float16 has fewer bits, below
2⁻¹⁴, the code is 0.
`+quantizeRegisters512, func(f *file) {
		f.function("RowDivideRoundAVX512", "c *Row",
			"RowDivideRoundAVX512 quantizes a row of float16 or bfloat16 by half even(x/Factor rounded to the type of x), Factor",
			"of that type and in 2⁻¹⁰⁰..2¹⁰⁰.")
		var half, upper reg.VecVirtual
		f.quantizeRow512(quantizer512{
			narrow: true,
			constants: func(f *file, r *rowRegisters, e element) {
				less := map[element]uint32{elementF16: 13, elementBF16: 16}[e] // bits than a float32
				f.inverse(r.factor, r.inverse)
				half, upper = f.pattern512(1<<(less-1)), f.pattern512(math.MaxUint32<<less)
			},
			codes: func(f *file, r *rowRegisters, e element, z reg.VecVirtual) {
				f.VMULPS(r.inverse, z, z)
				f.VPADDD(half, z, z)
				f.VPANDD(upper, z, z)
				f.VCVTPS2DQ(z, z)
			}})
	})
	register(asmDir, "rowasym_avx512", `
Quantizing one row with a given factor and zero point.

Maths: code = half away(x·Factor) + Zero, saturated to -128..127; side as
package asm has it. Half away from zero is the integer part of p plus or minus
the float32 below 1/2, which is right for every float32 p below 2^22. Products
must be below 2^22.
`+quantizeRegisters512, func(f *file) {
		f.function("RowAsymAVX512", "c *Row", "RowAsymAVX512 quantizes a row by half away(x·Factor) + Zero.")
		var sign, half, zero reg.VecVirtual
		f.quantizeRow512(quantizer512{
			constants: func(f *file, r *rowRegisters, _ element) {
				sign, half, zero = f.pattern512(1<<31), f.number512(math.Nextafter32(.5, 0)), f.ZMM()
				f.VPBROADCASTW(at(f.Load(f.Param("c"), f.GP64()), rowZero), zero)
			},
			codes: func(f *file, r *rowRegisters, _ element, z reg.VecVirtual) {
				t := f.ZMM()
				f.VMULPS(r.factor, z, z)
				f.VMOVDQA32(half, t)
				f.VPTERNLOGD(operand.U8(0xf8), sign, z, t) // t | z & sign
				f.VADDPS(t, z, z)
				f.VCVTTPS2DQ(z, z)
			},
			words: func(f *file, z reg.VecVirtual) { f.VPADDW(zero, z, z) },
		})
	})
}

// divide makes z the codes of z / factor, as RowDivideAVX512 has it.
func (f *file) divide(r *rowRegisters, z reg.VecVirtual) {
	q := f.ZMM()
	f.VMULPS(r.inverse, z, q)
	f.VFNMADD231PS(r.factor, q, z)
	f.VFMADD132PS(r.inverse, q, z)
	f.VCVTPS2DQ(z, z)
}

// quantizer512 is what differs between the kernels of 512 bits that quantize a row.
type quantizer512 struct {
	narrow    bool // values have 16 bits
	groups    bool // each group finds its scale, and no row is in another order
	constants func(f *file, r *rowRegisters, e element)
	codes     func(f *file, r *rowRegisters, e element, z reg.VecVirtual) // 16 float32 to int32, which are then saturated to words and bytes
	words     func(f *file, z reg.VecVirtual)                             // what is done to words
	packed    func(f *file, r *rowRegisters, z reg.VecVirtual)            // what is done to bytes
}

// inverse makes z 1/v in every lane, where v has one value in every lane.
func (f *file) inverse(v, z reg.VecVirtual) {
	one := f.GP32()
	f.MOVL(operand.U32(math.Float32bits(1)), one)
	f.VMOVD(one, z.AsX())
	f.VDIVSS(v.AsX(), z.AsX(), z.AsX())
	f.VBROADCASTSS(z.AsX(), z)
}

// pattern512 is a register of 512 bits with a 32-bit pattern in every lane.
func (f *file) pattern512(bits uint32) reg.VecVirtual {
	g, z := f.GP32(), f.ZMM()
	f.MOVL(operand.U32(bits), g)
	f.VPBROADCASTD(g, z)
	return z
}

func (f *file) number512(v float32) reg.VecVirtual { return f.pattern512(math.Float32bits(v)) }

// widen512 loads the 16 elements at m as float32, each exact; with a mask those of which
// it has a bit, and 0 for the rest.
func (f *file) widen512(e element, m operand.Mem, mask reg.Register, z reg.VecVirtual) {
	switch {
	case e == elementF16 && mask != nil:
		f.VCVTPH2PS_Z(m, mask, z)
	case e == elementF16:
		f.VCVTPH2PS(m, z)
	case e == elementBF16 && mask != nil:
		f.VPMOVZXWD_Z(m, mask, z)
		f.VPSLLD(operand.U8(16), z, z)
	case e == elementBF16:
		f.VPMOVZXWD(m, z)
		f.VPSLLD(operand.U8(16), z, z)
	case mask != nil:
		f.VMOVUPS_Z(m, mask, z)
	default:
		f.VMOVUPS(m, z)
	}
}

func (f *file) quantizeRow512(q quantizer512) {
	c, r := f.loadRow()
	r.sum, r.factor, r.inverse = f.ZMM(), f.ZMM(), f.ZMM()
	if q.groups {
		r.scales, r.larger, r.valid512 = f.GP64(), f.ZMM(), f.K()
		f.MOVQ(at(c, rowScales), r.scales)
		r.one, r.least100, r.power100 = f.number512(1), f.number512(0x1p-100), f.number512(0x1p100)
	} else {
		r.places = f.GP64()
		f.MOVQ(at(c, rowOrder), r.places)
		f.VBROADCASTSS(at(c, rowFactor), r.factor)
	}
	r.order = f.unpacked512()
	r.least, r.zero = f.pattern512(0x80808080), f.ZMM()
	f.VPXORD(r.zero, r.zero, r.zero)
	which := f.GP64()
	f.MOVQ(at(c, rowType), which)
	f.byElement(which, "done", func(e element) {
		if q.narrow && e == elementF32 {
			return
		}
		q.constants(f, r, e)
		if q.groups {
			least := f.scales512(e, r)
			if e != elementF16 {
				f.CMPL(least, operand.U32(math.Float32bits(0x1p-100)-1))
				f.JCS(operand.LabelRef(e.String() + "_small"))
			}
			f.runLoop512(e, c, r, q, plainLoop)
			if e != elementF16 {
				f.JMP(operand.LabelRef("done"))
				f.Label(e.String() + "_small")
				f.runLoop512(e, c, r, q, smallLoop)
			}
			return
		}
		f.TESTQ(r.places, r.places)
		f.JNE(operand.LabelRef(e.String() + "_ordered"))
		f.runLoop512(e, c, r, q, plainLoop)
		f.JMP(operand.LabelRef("done"))
		f.Label(e.String() + "_ordered")
		f.runLoop512(e, c, r, q, orderedLoop)
	})
	f.VZEROUPPER()
	f.RET()
}

// unpacked512 is the permutation that puts the dwords of four vectors in order after
// they were packed to bytes: those of vector s in lane l are dword 4·l + s of the packed ones.
func (f *file) unpacked512() reg.VecVirtual {
	x, g := f.ZMM(), f.GP64()
	f.MOVQ(operand.U64(0x0d0905010c080400), g)
	f.VMOVQ(g, x.AsX())
	f.MOVQ(operand.U64(0x0f0b07030e0a0602), g)
	f.VPINSRQ(operand.U8(1), g, x.AsX(), x.AsX())
	f.VPMOVZXBD(x.AsX(), x)
	return x
}

// gather loads 16 elements of the places at m as widen512 does those that stand together.
// Elements of 16 bits come with what is behind them.
func (f *file) gather(e element, x reg.Register, m operand.Mem, mask, every reg.Register, z reg.VecVirtual) {
	places, left := f.ZMM(), f.K()
	if mask == nil {
		f.VMOVDQU32(m, places)
		f.KMOVW(every, left)
	} else {
		f.VMOVDQU32_Z(m, mask, places)
		f.KMOVW(mask, left)
	}
	f.VPXORD(z, z, z)
	f.VPGATHERDD(indexed(x, places, e.size(), 0), left, z)
	switch e {
	case elementF16:
		f.VPMOVDW(z, z.AsY())
		f.VCVTPH2PS(z.AsY(), z)
	case elementBF16:
		f.VPSLLD(operand.U8(16), z, z)
	}
}

// loop512 is which values a loop over a row is for; its labels have the name.
type loop512 string

const (
	plainLoop   loop512 = ""
	orderedLoop loop512 = "ordered_" // at their places in x
	smallLoop   loop512 = "small_"   // groups with scales below 2⁻¹⁰⁰ among them
)

// runLoop512 takes 64 values of a run at a time, and of what is left up to 32.
func (f *file) runLoop512(e element, c reg.GPVirtual, r *rowRegisters, q quantizer512, how loop512) {
	const turn, few = 4 * vector512, 2 * vector512
	prefix, every, ordered := e.String()+"_"+string(how), f.K(), how == orderedLoop
	if ordered {
		f.KXNORW(every, every, every)
	}
	name := func(s string) string { return prefix + s }
	to := func(s string) operand.LabelRef { return operand.LabelRef(name(s)) }
	size := e.size()

	f.Label(name("run"))
	f.MOVL(at(r.runs, runSteps), r.steps.As32())
	if q.groups {
		f.groupScale512(r, how)
	}
	f.VPXORD(r.sum, r.sum, r.sum)
	f.MOVQ(r.steps, r.n)
	f.SUBQ(operand.U8(turn/rowStep), r.n)
	f.JCS(to("rest"))

	var v [4]reg.VecVirtual
	for i := range v {
		v[i] = f.ZMM()
	}
	// load makes the codes of n vectors, and pack words of them.
	load := func(masks ...reg.Register) {
		for i, m := range masks {
			if ordered {
				f.gather(e, r.x, at(r.places, i*vector512*4), m, every, v[i])
			} else {
				f.widen512(e, at(r.x, i*vector512*size), m, v[i])
			}
			if how == smallLoop {
				f.VMULPS(r.larger, v[i], v[i])
			}
			q.codes(f, r, e, v[i])
		}
		for i := 0; i < len(masks); i += 2 {
			f.VPACKSSDW(v[i+1], v[i], v[i])
			if q.words != nil {
				q.words(f, v[i])
			}
		}
	}
	order := func() {
		f.VPERMD(v[0], r.order, v[0])
		if q.packed != nil {
			q.packed(f, r, v[0])
		}
	}
	half := v[0].AsY().(reg.VecVirtual) // of two vectors, after they were packed with themselves
	halve := func() {
		f.VPACKSSWB(v[0], v[0], v[0])
		order()
	}
	// add adds codes less -128, which are lost: the sums are those of unsigned bytes.
	add := func() {
		f.VPSADBW(r.zero, v[0], v[0])
		f.VPADDQ(v[0], r.sum, r.sum) // what is above half is 0
	}
	from, bytes := r.x, size // what is read ascending
	if ordered {
		from, bytes = r.places, 4
	}
	on := func(n int) {
		f.ADDQ(operand.U32(n*bytes), from)
		f.ADDQ(operand.U8(n), r.codes)
	}

	f.Label(name("turn"))
	load(nil, nil, nil, nil)
	f.VPACKSSWB(v[2], v[0], v[0])
	order()
	f.VMOVDQU32(v[0], at(r.codes, 0))
	f.VPXORD(v[0], r.least, v[0])
	add()
	on(turn)
	f.SUBQ(operand.U8(turn/rowStep), r.n)
	f.JCC(to("turn"))

	f.Label(name("rest"))
	f.ADDQ(operand.U8((turn-few)/rowStep), r.n) // 4 less than are left
	f.JCS(to("few"))
	f.CMPQ(r.n, operand.I8(-few/rowStep))
	f.JEQ(to("sum"))
	f.JMP(to("less"))

	f.Label(name("few"))
	load(nil, nil)
	halve()
	f.VMOVDQU(half, at(r.codes, 0))
	f.VPXORD(half, r.least.AsY(), half)
	add()
	on(few)
	f.SUBQ(operand.U8(few/rowStep), r.n)
	f.CMPQ(r.n, operand.I8(-few/rowStep))
	f.JEQ(to("sum"))

	f.Label(name("less"))
	lower, upper, mask := f.K(), f.K(), f.GP64()
	f.LEAQ(at(r.n, few/rowStep), reg.RCX)
	f.SHLQ(operand.U8(3), reg.RCX)
	f.MOVQ(operand.I32(-1), mask)
	f.SHLQ(reg.CL, mask)
	f.NOTQ(mask)
	f.KMOVD(mask.As32(), lower)
	f.KSHIFTRD(operand.U8(vector512), lower, upper)
	load(lower, upper)
	halve()
	f.VMOVDQU8(half, lower, at(r.codes, 0))
	f.VPXORD(half, r.least.AsY(), half)
	f.VMOVDQU8_Z(half, lower, half)
	add()
	f.ADDQ(reg.RCX, r.codes)
	f.LEAQ(indexed(from, reg.RCX, bytes, 0), from)

	f.Label(name("sum"))
	total, t := f.GP32(), half.AsX()
	f.VEXTRACTI64X4(operand.U8(1), r.sum, half)
	f.VPADDQ(r.sum.AsY(), half, half)
	f.VEXTRACTI128(operand.U8(1), half, r.sum.AsX())
	f.VPADDQ(r.sum.AsX(), t, t)
	f.VPSHUFD(operand.U8(0x4e), t, r.sum.AsX())
	f.VPADDQ(r.sum.AsX(), t, t)
	f.VMOVD(t, total)
	f.MOVL(r.steps.As32(), r.n.As32())
	f.SHLL(operand.U8(10), r.n.As32())
	f.SUBL(r.n.As32(), total)
	f.endRun(c, r, total, false)
	f.JNE(to("run"))
}
