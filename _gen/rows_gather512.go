package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	for _, size := range []int{2, 4} {
		bits := map[int]string{2: "16", 4: "32"}[size]
		loads := `
As gathers load 32 bits, an element is loaded with the one behind it, and the last one
with the one before it, from whose bits it is shifted.`
		if size == 4 {
			loads = ""
		}
		register(asmDir, "rowgather"+bits+"_avx512", `
Putting the values of a row in another order, with gathers.

Maths: dst[i] = x[order[i]], elements of `+bits+` bits; no arithmetic.`+loads+`
Registers: values and indices of each vector, the last index but one; four pointers
and counts, three masks.
`, func(f *file) {
			args, doc := "dst, x *byte, order *int32, n uintptr", "elements of "+bits+" bits."
			if size == 2 {
				args, doc = args+", k uintptr", "of the k elements of 16 bits at x, k at least 2."
			}
			f.function("RowGather"+bits+"AVX512", args, "RowGather"+bits+"AVX512 gathers n "+doc)
			to, x, p, n := f.GP64(), f.GP64(), f.GP64(), f.GP64()
			f.Load(f.Param("dst"), to)
			f.Load(f.Param("x"), x)
			f.Load(f.Param("order"), p)
			f.Load(f.Param("n"), n)
			last := f.ZMM()
			if size == 2 {
				k := f.GP64()
				f.Load(f.Param("k"), k)
				f.SUBQ(operand.U8(2), k)
				f.VPBROADCASTD(k.As32(), last)
			}
			every := f.K()
			f.KXNORW(every, every, every)
			// vector gathers 16 elements, or with a mask those of which it has a bit.
			vector := func(i int, some reg.Register) {
				index, z, mask := f.ZMM(), f.ZMM(), f.K()
				f.VPXORD(z, z, z)
				if some == nil {
					f.VMOVDQU32(at(p, 64*i), index)
					f.KMOVW(every, mask)
				} else {
					f.VMOVDQU32_Z(at(p, 64*i), some, index)
					f.KMOVW(some, mask)
				}
				out := at(to, i*vector512*size)
				if size == 4 {
					f.VPGATHERDD(indexed(x, index, 4, 0), mask, z)
					if some == nil {
						f.VMOVDQU32(z, out)
					} else {
						f.VMOVDQU32(z, some, out)
					}
					return
				}
				from := f.ZMM()
				f.VPMINSD(last, index, from)
				f.VPGATHERDD(indexed(x, from, 2, 0), mask, z)
				f.VPSUBD(from, index, index)
				f.VPSLLD(operand.U8(4), index, index)
				f.VPSRLVD(index, z, z)
				if some == nil {
					f.VPMOVDW(z, out)
				} else {
					f.VPMOVDW(z, some, out)
				}
			}
			const together = 2
			f.SUBQ(operand.U8(together*vector512), n)
			f.JCS(operand.LabelRef("rest"))
			f.Label("turn")
			for i := range together {
				vector(i, nil)
			}
			f.ADDQ(operand.U32(together*vector512*4), p)
			f.ADDQ(operand.U32(together*vector512*size), to)
			f.SUBQ(operand.U8(together*vector512), n)
			f.JCC(operand.LabelRef("turn"))
			f.Label("rest")
			f.ADDQ(operand.U8(together*vector512), n)
			f.JEQ(operand.LabelRef("done"))
			mask, some := f.GP64(), f.K()
			f.MOVQ(n, reg.RCX)
			f.MOVQ(operand.I32(-1), mask)
			f.SHLQ(reg.CL, mask)
			f.NOTQ(mask)
			for i := range together {
				f.KMOVW(mask.As32(), some)
				f.SHRQ(operand.U8(vector512), mask)
				vector(i, some)
			}
			f.Label("done")
			f.VZEROUPPER()
			f.RET()
		})
	}
}
