package rows

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// isFast reports whether rows of an instruction set are made with assembly.
func (i ISA) isFast() bool { return i == NEON }

// fastRow is Row with assembly. No panel of arm64 is of pairs of bfloat16.
func (p *Plan) fastRow(dst Dst, x, scratch []byte) int32 {
	if p.form.Values == BFloat16 {
		return p.plainRow(dst, x, scratch)
	}
	return p.fastValues(dst, x, scratch)
}

// fastProduct multiplies with one of several panels, and returns how many.
func (k *kron) fastProduct(p *asm.Product, _ int) int {
	asm.RowProductNEON(p)
	return 1
}

// rowWords is in Go: no panel of arm64 is of words.
func rowWords(dst *int16, codes *int8, steps uintptr, zero int64) {
	to := unsafe.Slice(dst, steps*step)
	for i, c := range unsafe.Slice(codes, steps*step) {
		to[i] = int16(c) - int16(zero)
	}
}

// What follows are the kernels of package asm by the names that they have on every
// architecture. In a table they would make what they are given escape to the heap.

func rowGather16(dst, x *byte, order *int32, n, _ uintptr, _ bool) {
	asm.RowGather16NEON(dst, x, order, n)
}

func rowGather32(dst, x *byte, order *int32, n uintptr, _ bool) {
	asm.RowGather32NEON(dst, x, order, n)
}

func rowWiden(dst *float32, x *byte, steps, element uintptr) {
	asm.RowWidenNEON(dst, x, steps, element)
}

func rowRound(v *float32, steps, element uintptr) { asm.RowRoundNEON(v, steps, element) }

func rowEnds(x *byte, steps, element uintptr, ends *[2]uint32) {
	asm.RowEndsNEON(x, steps, element, ends)
}

func rowDivide(c *asm.Row, _ bool) { asm.RowDivideNEON(c) }

func rowDivideRound(c *asm.Row, _ bool) { asm.RowDivideRoundNEON(c) }

func rowAsym(c *asm.Row, _ bool) { asm.RowAsymNEON(c) }

// rowTop has no kernel: rowEnds finds both ends at once.
func rowTop(_ *byte, _, _ uintptr, _ bool) (top uint32, found bool) { return 0, false }

func rowGroups(c *asm.Row, _ bool) { asm.RowGroupsNEON(c) }

func rowFlat(c *asm.Row) { asm.RowFlatNEON(c) }
