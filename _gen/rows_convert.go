package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	register(asmDir, "rowends_avx2", `
The largest and the smallest value of a row.

Maths: ends[0] is the largest pattern of the elements and 0 as signed integers,
ends[1] the largest as unsigned ones, in the width of the elements. As signed
integers the patterns of positive floats order like their values and negative
ones are below 0; as unsigned integers negative floats are above all others, the
larger magnitude last. NaN is beyond infinity on both sides.
Registers: two of largest patterns, one of a load; SI or the like walks.
`, func(f *file) {
		f.function("RowEndsAVX2", "x *byte, steps, element uintptr, ends *[2]uint32",
			"RowEndsAVX2 finds the ends of a row of 8·steps values, steps at least 1.")
		p, n, which, out := f.GP64(), f.GP64(), f.GP64(), f.GP64()
		f.Load(f.Param("x"), p)
		f.Load(f.Param("steps"), n)
		f.Load(f.Param("element"), which)
		f.Load(f.Param("ends"), out)
		up, down := f.zeroed(), f.zeroed()
		f.TESTQ(which, which)
		f.JNE(operand.LabelRef("halves"))

		f.Label("f32")
		y := f.YMM()
		f.VMOVDQU(at(p, 0), y)
		f.VPMAXSD(y, up, up)
		f.VPMAXUD(y, down, down)
		f.ADDQ(operand.U8(rowStep*4), p)
		f.DECQ(n)
		f.JNE(operand.LabelRef("f32"))
		f.lane0(down, f.VPMAXUD)
		f.lane0(up, f.VPMAXUD) // none is negative
		f.JMP(operand.LabelRef("done"))

		f.Label("halves")
		f.SUBQ(operand.U8(2), n)
		f.JCS(operand.LabelRef("odd"))
		f.Label("pair")
		y = f.YMM()
		f.VMOVDQU(at(p, 0), y)
		f.VPMAXSW(y, up, up)
		f.VPMAXUW(y, down, down)
		f.ADDQ(operand.U8(2*rowStep*2), p)
		f.SUBQ(operand.U8(2), n)
		f.JCC(operand.LabelRef("pair"))
		f.Label("odd")
		f.ADDQ(operand.U8(2), n)
		f.JEQ(operand.LabelRef("even"))
		y = f.YMM()
		f.VMOVDQU(at(p, 0), y.AsX()) // the upper half becomes 0
		f.VPMAXSW(y, up, up)
		f.VPMAXUW(y, down, down)
		f.Label("even")
		f.word0(up)
		f.word0(down)

		f.Label("done")
		f.VMOVD(up.AsX(), at(out, 0))
		f.VMOVD(down.AsX(), at(out, 4))
		f.VZEROUPPER()
		f.RET()
	})
	register(asmDir, "rowwiden_avx2", `
Widening a row to float32.

Maths: dst[i] = x[i], exact; a signalling NaN becomes quiet.
Registers: four of values, two pointers, the steps that are left.
`, func(f *file) {
		f.function("RowWidenAVX2", "dst *float32, x *byte, steps, element uintptr",
			"RowWidenAVX2 widens 8·steps values, steps at least 1.")
		to, p, n, which := f.GP64(), f.GP64(), f.GP64(), f.GP64()
		f.Load(f.Param("dst"), to)
		f.Load(f.Param("x"), p)
		f.Load(f.Param("steps"), n)
		f.Load(f.Param("element"), which)
		f.byElement(which, "done", func(e element) {
			turn, rest, step := e.String()+"_turn", e.String()+"_rest", e.String()+"_step"
			f.SUBQ(operand.U8(4), n)
			f.JCS(operand.LabelRef(rest))
			f.Label(turn)
			for i := range 4 {
				y := f.YMM()
				f.widen(e, at(p, i*rowStep*e.size()), y)
				f.VMOVUPS(y, at(to, i*rowStep*4))
			}
			f.ADDQ(operand.U32(4*rowStep*e.size()), p)
			f.ADDQ(operand.U32(4*rowStep*4), to)
			f.SUBQ(operand.U8(4), n)
			f.JCC(operand.LabelRef(turn))
			f.Label(rest)
			f.ADDQ(operand.U8(4), n)
			f.JEQ(operand.LabelRef("done"))
			f.Label(step)
			y := f.YMM()
			f.widen(e, at(p, 0), y)
			f.VMOVUPS(y, at(to, 0))
			f.ADDQ(operand.U8(rowStep*e.size()), p)
			f.ADDQ(operand.U8(rowStep*4), to)
			f.DECQ(n)
			f.JNE(operand.LabelRef(step))
		})
		f.VZEROUPPER()
		f.RET()
	})
	register(asmDir, "rowwords_avx2", `
Codes as 16-bit integers.

Maths: dst[i] = codes[i] - zero.
Registers: one of zero points, one of values, two pointers, the steps left.
`, func(f *file) {
		f.function("RowWordsAVX2", "dst *int16, codes *int8, steps uintptr, zero int64",
			"RowWordsAVX2 subtracts zero from 8·steps codes, steps at least 1.")
		to, p, n, z := f.GP64(), f.GP64(), f.GP64(), f.GP64()
		f.Load(f.Param("dst"), to)
		f.Load(f.Param("codes"), p)
		f.Load(f.Param("steps"), n)
		f.Load(f.Param("zero"), z)
		zero := f.YMM()
		f.VMOVD(z.As32(), zero.AsX())
		f.VPBROADCASTW(zero.AsX(), zero)
		f.SUBQ(operand.U8(2), n)
		f.JCS(operand.LabelRef("odd"))
		f.Label("pair")
		y := f.YMM()
		f.VPMOVSXBW(at(p, 0), y)
		f.VPSUBW(zero, y, y)
		f.VMOVDQU(y, at(to, 0))
		f.ADDQ(operand.U8(2*rowStep), p)
		f.ADDQ(operand.U8(2*rowStep*2), to)
		f.SUBQ(operand.U8(2), n)
		f.JCC(operand.LabelRef("pair"))
		f.Label("odd")
		f.ADDQ(operand.U8(2), n)
		f.JEQ(operand.LabelRef("done"))
		x := f.XMM()
		f.VPMOVSXBW(at(p, 0), x)
		f.VPSUBW(zero.AsX(), x, x)
		f.VMOVDQU(x, at(to, 0))
		f.Label("done")
		f.VZEROUPPER()
		f.RET()
	})
	register(asmDir, "rowround_avx2", `
Rounding float32 values, in place, to a narrower type.

Maths: v = round(v) to float16 (element 1) or bfloat16 (2), ties to even; a NaN
stays one.
Registers: one of values, three of constants, the pointer, the steps left.
`, func(f *file) {
		f.function("RowRoundAVX2", "v *float32, steps, element uintptr",
			"RowRoundAVX2 rounds 8·steps values to float16 or bfloat16, steps at least 1.")
		p, n, which := f.GP64(), f.GP64(), f.GP64()
		f.Load(f.Param("v"), p)
		f.Load(f.Param("steps"), n)
		f.Load(f.Param("element"), which)
		f.CMPQ(which, operand.U8(elementBF16))
		f.JEQ(operand.LabelRef("bf16"))
		loop := func(name string, round func(y reg.VecVirtual)) {
			f.Label(name)
			y := f.YMM()
			f.VMOVUPS(at(p, 0), y)
			round(y)
			f.VMOVUPS(y, at(p, 0))
			f.ADDQ(operand.U8(rowStep*4), p)
			f.DECQ(n)
			f.JNE(operand.LabelRef(name))
		}
		loop("f16_step", f.roundF16)
		f.JMP(operand.LabelRef("done"))
		f.Label("bf16")
		c := f.bf16Rounding()
		loop("bf16_step", func(y reg.VecVirtual) {
			nan, was := f.YMM(), f.YMM()
			f.VCMPPS(operand.U8(3), y, y, nan)
			f.VADDPS(y, y, was) // makes a NaN quiet
			f.VPAND(c.upper, was, was)
			f.roundBF16(c, y)
			f.VBLENDVPS(nan, was, y, y)
		})
		f.Label("done")
		f.VZEROUPPER()
		f.RET()
	})
	for _, size := range []int{2, 4} {
		bits := map[int]string{2: "16", 4: "32"}[size]
		register(asmDir, "rowgather"+bits+"_avx2", `
Putting the values of a row in another order.

Maths: dst[i] = x[order[i]], elements of `+bits+` bits; no arithmetic.
Registers: eight of indices, of which two come with a load; two of values; three
pointers, the values left.
`, func(f *file) {
			f.function("RowGather"+bits+"AVX2", "dst, x *byte, order *int32, n uintptr",
				"RowGather"+bits+"AVX2 gathers n elements of "+bits+" bits.")
			to, x, p, n := f.GP64(), f.GP64(), f.GP64(), f.GP64()
			f.Load(f.Param("dst"), to)
			f.Load(f.Param("x"), x)
			f.Load(f.Param("order"), p)
			f.Load(f.Param("n"), n)
			f.SUBQ(operand.U8(8), n)
			f.JCS(operand.LabelRef("rest"))
			f.Label("turn")
			var index [8]reg.GPVirtual
			for i := range index {
				index[i] = f.GP64()
			}
			for i := 0; i < 8; i += 2 {
				f.MOVQ(at(p, 4*i), index[i+1])
				f.MOVL(index[i+1].As32(), index[i].As32())
				f.SHRQ(operand.U8(32), index[i+1])
			}
			values := []reg.VecVirtual{f.XMM(), f.XMM()}
			for i := range 4 {
				for h, v := range values {
					from := indexed(x, index[4*h+i], size, 0)
					switch {
					case size == 4 && i == 0:
						f.VMOVD(from, v)
					case size == 4:
						f.VPINSRD(operand.U8(i), from, v, v)
					default:
						if i == 0 {
							f.VPXOR(v, v, v)
						}
						f.VPINSRW(operand.U8(i), from, v, v)
					}
				}
			}
			for h, v := range values {
				if size == 2 {
					f.VMOVQ(v, at(to, 8*h))
				} else {
					f.VMOVDQU(v, at(to, 16*h))
				}
			}
			f.ADDQ(operand.U8(32), p)
			f.ADDQ(operand.U8(8*size), to)
			f.SUBQ(operand.U8(8), n)
			f.JCC(operand.LabelRef("turn"))
			f.Label("rest")
			f.ADDQ(operand.U8(8), n)
			f.JEQ(operand.LabelRef("done"))
			f.Label("one")
			i := f.GP64()
			f.MOVL(at(p, 0), i.As32())
			if size == 2 {
				f.MOVWLZX(indexed(x, i, size, 0), i.As32())
				f.MOVW(i.As16(), at(to, 0))
			} else {
				f.MOVL(indexed(x, i, size, 0), i.As32())
				f.MOVL(i.As32(), at(to, 0))
			}
			f.ADDQ(operand.U8(4), p)
			f.ADDQ(operand.U8(size), to)
			f.DECQ(n)
			f.JNE(operand.LabelRef("one"))
			f.Label("done")
			f.RET()
		})
	}
}

// lane0 reduces the eight dwords of y by op to lane 0.
func (f *file) lane0(y reg.VecVirtual, op func(...operand.Op)) {
	x, t := y.AsX(), f.XMM()
	f.VEXTRACTI128(operand.U8(1), y, t)
	op(t, x, x)
	f.VPSHUFD(operand.U8(0x4e), x, t)
	op(t, x, x)
	f.VPSHUFD(operand.U8(0xb1), x, t)
	op(t, x, x)
}

// word0 leaves the largest of the sixteen unsigned words of y in lane 0 and 0
// in the rest: the least of the complements is the complement of the largest.
func (f *file) word0(y reg.VecVirtual) {
	x, t, ones := y.AsX(), f.XMM(), f.XMM()
	f.VEXTRACTI128(operand.U8(1), y, t)
	f.VPMAXUW(t, x, x)
	f.VPCMPEQW(ones, ones, ones)
	f.VPXOR(ones, x, x)
	f.VPHMINPOSUW(x, x)
	f.VPXOR(ones, x, x)
	f.VPMOVZXWD(x, x)
}
