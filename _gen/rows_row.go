package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of asm.Row and asm.Run, in bytes. A test of that
// package compares them with the structs.
const (
	rowX      = 0
	rowCodes  = 8
	rowRuns   = 16
	rowCount  = 24
	rowSide   = 32
	rowScales = 40
	rowType   = 48
	rowFactor = 56
	rowZero   = 60
	rowTimes  = 64
	rowKeep   = 68
	rowAdd    = 72
	rowOrder  = 80

	runSteps = 0
	runGroup = 4
	runSize  = 8
)

// rowStep is the values of a step, and bigStep those of a turn of a long loop.
const rowStep, bigStep = 8, 32

// element is how the values of a row are stored, numbered as asm.Element.
type element uint8

const (
	elementF32 element = iota
	elementF16
	elementBF16
)

func (e element) String() string { return [...]string{"f32", "f16", "bf16"}[e] }

func (e element) size() int { return [...]int{4, 2, 2}[e] }

// byElement emits body once for each kind of element, and the jumps to them:
// which holds the kind.
func (f *file) byElement(which reg.GPVirtual, done string, body func(element)) {
	f.CMPQ(which, operand.U8(elementF16))
	f.JEQ(operand.LabelRef(elementF16.String()))
	f.JHI(operand.LabelRef(elementBF16.String()))
	for _, e := range []element{elementF32, elementF16, elementBF16} {
		if e != elementF32 {
			f.Label(e.String())
		}
		body(e)
		if e != elementBF16 {
			f.JMP(operand.LabelRef(done))
		}
	}
	f.Label(done)
}

// pattern is a register with a 32-bit pattern in every lane.
func (f *file) pattern(bits uint32) reg.VecVirtual {
	r, y := f.GP32(), f.YMM()
	f.MOVL(operand.U32(bits), r)
	f.VMOVD(r, y.AsX())
	f.VPBROADCASTD(y.AsX(), y)
	return y
}

func (f *file) number(v float32) reg.VecVirtual { return f.pattern(math.Float32bits(v)) }

// zeroed is a register of zeros.
func (f *file) zeroed() reg.VecVirtual {
	y := f.YMM()
	f.VPXOR(y, y, y)
	return y
}

// widen loads the elements at m as float32, each exact: 8, or 16 to registers of 512 bits.
func (f *file) widen(e element, m operand.Mem, y reg.VecVirtual) {
	switch e {
	case elementF16:
		f.VCVTPH2PS(m, y)
	case elementBF16:
		f.VPMOVZXWD(m, y)
		f.VPSLLD(operand.U8(16), y, y)
	default:
		f.VMOVUPS(m, y)
	}
}

// roundF16 rounds 8 float32 to float16.
func (f *file) roundF16(y reg.VecVirtual) {
	h := f.XMM()
	f.VCVTPS2PH(operand.U8(0), y, h)
	f.VCVTPH2PS(h, y)
}

// bf16Rounding holds what roundBF16 needs.
type bf16Rounding struct{ one, below, upper reg.VecVirtual }

func (f *file) bf16Rounding() bf16Rounding {
	return bf16Rounding{f.pattern(1), f.pattern(0x7fff), f.pattern(0xffff0000)}
}

// roundBF16 rounds 8 float32 that are not NaN to bfloat16: half a unit is
// added, less one bit where the last bit that stays is even.
func (f *file) roundBF16(c bf16Rounding, y reg.VecVirtual) {
	odd := f.YMM()
	f.VPSRLD(operand.U8(16), y, odd)
	f.VPAND(odd, c.one, odd)
	f.VPADDD(c.below, y, y)
	f.VPADDD(odd, y, y)
	f.VPAND(c.upper, y, y)
}
