package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Bits of MXCSR: subnormal operands are read as 0, subnormal results made 0.
const denormalsAreZero, flushToZero = 1 << 6, 1 << 15

// withoutSubnormals writes MXCSR to kept and makes arithmetic take subnormal numbers for
// 0, as the instructions of bfloat16 do whatever MXCSR says; it uses the dword at scratch
// and r. Who calls it loads kept at the end.
func (f *file) withoutSubnormals(kept, scratch operand.Mem, r reg.GPPhysical) {
	f.STMXCSR(kept)
	f.MOVL(kept, r.As32())
	f.ORL(operand.U32(denormalsAreZero|flushToZero), r.As32())
	f.MOVL(r.As32(), scratch)
	f.LDMXCSR(scratch)
}
