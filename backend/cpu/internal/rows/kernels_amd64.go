package rows

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// isFast reports whether rows of an instruction set are made with assembly.
func (i ISA) isFast() bool { return (i == AVX2 || i == AVX512) && hasAVX2() }

func hasAVX2() bool { return cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C) }

func hasAVX512() bool {
	return cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL)
}

// fastRow is Row with assembly.
func (p *Plan) fastRow(dst Dst, x, scratch []byte) int32 {
	if !hasAVX2() {
		return p.plainRow(dst, x, scratch)
	}
	if p.form.Values == BFloat16 {
		p.fastSwap(dst.Values[:2*p.form.Width], x)
		return 0
	}
	return p.fastValues(dst, x, scratch)
}

// fastSwap makes rows of bfloat16.
//
//asmcheck:needs AVX2,FMA3,F16C
func (p *Plan) fastSwap(row, x []byte) {
	f := &p.form
	from := x[:2*f.K]
	if !f.Swapped || !p.asItIs {
		p.fastPlace(row, from, 2)
		from = row
	}
	if f.Swapped {
		asm.RowSwapAVX2(&row[0], &from[0], uintptr(f.Width/step))
	}
}

// fastProduct multiplies with one of several panels, or two where it can, and
// returns how many.
//
//asmcheck:needs AVX2,FMA3,F16C
func (k *kron) fastProduct(p *asm.Product, several int) int {
	if k.wide && several > 1 && hasAVX512() {
		asm.RowProductAVX512(p)
		return 2
	}
	asm.RowProductAVX2(p)
	return 1
}

// What follows are the kernels of package asm by the names that they have on every
// architecture. In a table they would make what they are given escape to the heap.

//asmcheck:needs AVX2,FMA3,F16C
func rowGather16(dst, x *byte, order *int32, n, k uintptr, gathers bool) {
	if gathers && k > 1 && hasAVX512() {
		asm.RowGather16AVX512(dst, x, order, n, k)
		return
	}
	asm.RowGather16AVX2(dst, x, order, n)
}

//asmcheck:needs AVX2,FMA3,F16C
func rowGather32(dst, x *byte, order *int32, n uintptr, gathers bool) {
	if gathers && hasAVX512() {
		asm.RowGather32AVX512(dst, x, order, n)
		return
	}
	asm.RowGather32AVX2(dst, x, order, n)
}

//asmcheck:needs AVX2,FMA3,F16C
func rowWiden(dst *float32, x *byte, steps, element uintptr) {
	asm.RowWidenAVX2(dst, x, steps, element)
}

//asmcheck:needs AVX2,FMA3,F16C
func rowRound(v *float32, steps, element uintptr) { asm.RowRoundAVX2(v, steps, element) }

//asmcheck:needs AVX2,FMA3,F16C
func rowEnds(x *byte, steps, element uintptr, ends *[2]uint32) {
	asm.RowEndsAVX2(x, steps, element, ends)
}

//asmcheck:needs AVX2,FMA3,F16C
func rowWords(dst *int16, codes *int8, steps uintptr, zero int64) {
	asm.RowWordsAVX2(dst, codes, steps, zero)
}

//asmcheck:needs AVX2,FMA3,F16C
func rowDivide(c *asm.Row, wide bool) {
	if wide && byProducts(c.Factor) && hasAVX512() {
		asm.RowDivideAVX512(c)
		return
	}
	asm.RowDivideAVX2(c)
}

//asmcheck:needs AVX2,FMA3,F16C
func rowDivideRound(c *asm.Row, wide bool) {
	if wide && byProducts(c.Factor) && hasAVX512() {
		asm.RowDivideRoundAVX512(c)
		return
	}
	asm.RowDivideRoundAVX2(c)
}

//asmcheck:needs AVX2,FMA3,F16C
func rowAsym(c *asm.Row, wide bool) {
	if wide && hasAVX512() {
		asm.RowAsymAVX512(c)
		return
	}
	asm.RowAsymAVX2(c)
}

// rowTop finds the largest magnitude of a row, without its type, where there is a kernel
// for that alone.
//
//asmcheck:needs AVX2,FMA3,F16C
func rowTop(x *byte, steps, element uintptr, wide bool) (top uint32, found bool) {
	if wide && hasAVX512() {
		asm.RowTopAVX512(x, steps, element, &top)
		return top, true
	}
	return 0, false
}

//asmcheck:needs AVX2,FMA3,F16C
func rowGroups(c *asm.Row, wide bool) {
	if wide && hasAVX512() {
		asm.RowGroupsAVX512(c)
		return
	}
	asm.RowGroupsAVX2(c)
}

//asmcheck:needs AVX2,FMA3,F16C
func rowFlat(c *asm.Row) { asm.RowFlatAVX2(c) }
