package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	register(asmDir, "rowtop_avx512", `
The largest magnitude of a row.

Maths: the largest pattern of the elements without their signs, as an unsigned integer
in the width of the elements: patterns of magnitudes order like them, NaN beyond infinity.
Registers: two of largest patterns, a load, all bits but signs, a mask; the pointer,
the bytes left.
`, func(f *file) {
		f.function("RowTopAVX512", "x *byte, steps, element uintptr, top *uint32",
			"RowTopAVX512 finds the largest magnitude of a row of 8·steps values, steps at least 1.")
		p, n, which, out := f.GP64(), f.GP64(), f.GP64(), f.GP64()
		f.Load(f.Param("x"), p)
		f.Load(f.Param("steps"), n)
		f.Load(f.Param("element"), which)
		f.Load(f.Param("top"), out)
		f.SHLQ(operand.U8(4), n)
		f.TESTQ(which, which)
		f.JNE(operand.LabelRef("halves"))
		f.SHLQ(operand.U8(1), n)
		y := f.largest512("f32", p, n, f.pattern512(0x7fffffff), f.VPMAXUD)
		f.lane0(y, f.VPMAXUD)
		f.JMP(operand.LabelRef("done"))
		f.Label("halves")
		half := f.largest512("half", p, n, f.pattern512(0x7fff7fff), f.VPMAXUW)
		f.word0(half)
		f.VMOVDQA(half, y)
		f.Label("done")
		f.VMOVD(y.AsX(), at(out, 0))
		f.VZEROUPPER()
		f.RET()
	})
}

// largest512 returns, in lanes of 256 bits, what op finds to be the largest of the n bytes
// at p, which are lost and n a multiple of 16, with the bits of low alone.
func (f *file) largest512(name string, p, n reg.GPVirtual, low reg.VecVirtual, op func(...operand.Op)) reg.VecVirtual {
	const turn = 2 * 64
	var top [2]reg.VecVirtual
	for i := range top {
		top[i] = f.ZMM()
		f.VPXORD(top[i], top[i], top[i])
	}
	f.SUBQ(operand.U8(turn), n)
	f.JCS(operand.LabelRef(name + "_rest"))
	f.Label(name + "_turn")
	z := f.ZMM()
	for i, t := range top {
		f.VPANDD(at(p, 64*i), low, z)
		op(z, t, t)
	}
	f.ADDQ(operand.U32(turn), p)
	f.SUBQ(operand.U8(turn), n)
	f.JCC(operand.LabelRef(name + "_turn"))
	f.Label(name + "_rest")
	f.ADDQ(operand.U8(turn-64), n) // 64 less than are left
	f.JCC(operand.LabelRef(name + "_few"))
	f.VPANDD(at(p, 0), low, z)
	op(z, top[0], top[0])
	f.ADDQ(operand.U8(64), p)
	f.SUBQ(operand.U8(64), n)
	f.Label(name + "_few")
	f.ADDQ(operand.U8(64), n)
	f.JEQ(operand.LabelRef(name + "_found"))
	mask, some := f.GP64(), f.K() // a bit for each dword that is left
	f.MOVQ(n, reg.RCX)
	f.SHRQ(operand.U8(2), reg.RCX)
	f.MOVQ(operand.I32(-1), mask)
	f.SHLQ(reg.CL, mask)
	f.NOTQ(mask)
	f.KMOVW(mask.As32(), some)
	f.VPANDD_Z(at(p, 0), low, some, z)
	op(z, top[1], top[1])
	f.Label(name + "_found")
	op(top[1], top[0], top[0])
	y := top[0].AsY().(reg.VecVirtual)
	f.VEXTRACTI64X4(operand.U8(1), top[0], z.AsY())
	op(z.AsY(), y, y)
	return y
}
