package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// exactFMA is a kernel of float32 rows while it is written, for AVX2 and FMA or
// for AVX-512.
type exactFMA struct {
	*file
	vectors []reg.VecPhysical // ymm or zmm
}

// parts counts the vectors of 16 columns.
func (k exactFMA) parts() []int {
	if k.vectors[0] == zmm[0] {
		return []int{0}
	}
	return halves
}

// part is the bytes of one.
func (k exactFMA) part() int { return 64 / len(k.parts()) }

// Registers that these kernels use alike. A kernel may give another meaning to
// those that it does not need.
var (
	exW      = reg.RAX // next line
	exX      = reg.RBX // x at the next feature
	exCount  = reg.RCX // blocks left
	exAny    = reg.RDX // scratch
	exBlock  = reg.RSI // Block
	exFrame  = reg.RDI // frame, 32-byte aligned
	exLines  = reg.R8  // lines left in a segment
	exScale  = reg.R9  // next scales
	exXBytes = reg.R10 // bytes of a segment of x
	exXThree = reg.R11 // three times that
	exLeft   = reg.R12 // segments left
	exForm   = reg.R13 // Form
	exY      = reg.R14
	exHead   = reg.R15 // bytes of a block's header
	exTable  = reg.RBP // what is taken from codes
)

const exRegisters = `
Registers: AX next line, BX next x, CX blocks left, DX scratch, SI Block, DI frame
(32-byte aligned), R8 lines left, R9 scales, R10 bytes of a segment of x, R11
three times that, R12 segments left, R13 Form, R14 Y, R15 bytes of a header,
BP what is taken from codes;
`

// fill puts a 32-bit pattern into every lane of y.
func (k exactFMA) fill(bits uint32, y reg.VecPhysical) {
	k.MOVL(operand.U32(bits), exAny.As32())
	k.VMOVD(exAny.As32(), y.AsX())
	k.VPBROADCASTD(y.AsX(), y)
}

// frame reserves bytes on the stack and points exFrame at a multiple of 32. A
// large frame is only there for functions that check the stack.
func (k exactFMA) frame(bytes int) {
	if bytes > 700 {
		k.Attributes(0)
	}
	k.LEAQ(k.AllocLocal(bytes+24), exFrame)
	k.ADDQ(operand.Imm(31), exFrame)
	k.ANDQ(operand.I32(-32), exFrame)
}

// header loads exForm and makes exHead the bytes of a block's header.
// exAny points at the Call.
func (k exactFMA) header() {
	const f32, half = 4 * 16 * 4, 4 * 16 * 2
	k.MOVQ(at(exAny, callForm), exForm)
	k.MOVL(operand.U32(half), exHead.As32())
	k.TESTQ(operand.I32(formScaleMask), exForm)
	k.JNE(operand.LabelRef("narrow"))
	k.MOVL(operand.U32(f32), exHead.As32())
	k.Label("narrow")
	k.ifBytes("headed", exForm, func() { k.ADDQ(operand.Imm(4*16), exHead) })
}

// ifBytes emits body for a form with zero points of bytes; label is behind it.
func (k exactFMA) ifBytes(label string, form operand.Op, body func()) {
	k.TESTQ(operand.I32(formBytes), form)
	k.JEQ(operand.LabelRef(label))
	body()
	k.Label(label)
}

// byScales emits body for each scale type and runs the one of form, a Form.
func (k exactFMA) byScales(label string, form operand.Op, body func(form int)) {
	names := []string{formF32: "f32", formF16: "f16", formBF16: "bf16"}
	k.MOVQ(form, exAny)
	k.ANDQ(operand.Imm(formScaleMask), exAny)
	k.JEQ(operand.LabelRef(label + "_f32"))
	k.CMPQ(exAny, operand.Imm(formF16))
	k.JNE(operand.LabelRef(label + "_bf16"))
	for _, form := range []int{formF16, formBF16, formF32} {
		k.Label(label + "_" + names[form])
		body(form)
		if form != formF32 {
			k.JMP(operand.LabelRef(label + "_scaled"))
		}
	}
	k.Label(label + "_scaled")
}

// scales makes y the scales of part h of segment s after exScale.
func (k exactFMA) scales(form, s, h int, y reg.VecPhysical) {
	i := 16*s + k.part()/4*h
	if form == formF32 {
		i *= 2
	}
	k.scalesAt(at(exScale, 2*i), form, y)
}

// scalesAt makes y those at m.
func (k exactFMA) scalesAt(m operand.Mem, form int, y reg.VecPhysical) {
	switch form {
	case formF32:
		k.VMOVUPS(m, y)
	case formF16:
		k.VCVTPH2PS(m, y)
	case formBF16:
		k.VPMOVZXWD(m, y)
		k.VPSLLD(operand.U8(16), y, y)
	}
}

// scaleBytes is the bytes of a segment's scales.
func scaleBytes(form int) int {
	if form == formF32 {
		return 64
	}
	return 32
}

// Codes become float32 by their place in a dword. A line's dword holds the codes
// of one column. Its low word, below the high word 0x4f00, is a float32 pattern
// whose exponent has every bit that the exponents 23, 19, 15 and 11 have: one
// AND leaves one of these and one field,
//
//	field of 4 bits at bit 4j:  2^(23-4j) + u, exactly
//	field of 8 bits at bit 8j:  2^(23-8j) + u
//
// and one subtraction of 2^(23-..) + z leaves u−z, exactly. The dword's high
// word is shifted down first.
type codeBits int

const (
	codes4 codeBits = 4
	codes8 codeBits = 8

	codeExponents = 0x4f000000
)

const codeMaths = `
Maths: the package's exact sums. The low word of a dword of codes, below the
word 0x4f00, and the high one, shifted down, are float32 patterns; an AND leaves
one exponent and one code, 2^e + u, and taking 2^e + z from it u−z, both exactly.
`

// perLine is the features of a line, inWord the kinds of fields in a word.
func (c codeBits) perLine() int { return 32 / int(c) }
func (c codeBits) inWord() int  { return 16 / int(c) }

// at returns where feature i of a line is: in the high word or not, and which
// field of the word it is.
func (c codeBits) at(i int) (high bool, j int) {
	if c == 8 {
		return i >= 2, i % 2
	}
	t := i % 4
	return t >= 2, t%2*2 + i/4
}

// one is the pattern of 2^(23-..) for field j, mask what leaves it and the field.
func (c codeBits) one(j int) uint32 { return uint32(127+23-int(c)*j) << 23 }

func (c codeBits) mask(j int) uint32 { return c.one(j) | (1<<c-1)<<(int(c)*j) }

// lowWord makes y the low words of the dwords at m below the exponents, highWord
// the high ones.
func (k exactFMA) lowWord(m operand.Mem, exponents, y reg.VecPhysical) {
	k.VPBLENDW(operand.U8(0x55), m, exponents, y)
}

func (k exactFMA) highWord(m operand.Mem, exponents, y reg.VecPhysical) {
	k.VMOVDQU(m, y)
	k.VPSRLD(operand.U8(16), y, y)
	k.VPOR(exponents, y, y)
}

// zeroTable writes what is taken from each segment's codes, 2^(23-..) + z, to
// table. z makes Y0 the zero points of half h of segment s, after begin. Y0 to
// Y5 are lost, with codes of 8 bits Y0 to Y3.
func (k exactFMA) zeroTable(c codeBits, begin func(), z func(s, h int), table func(s, h, j int) operand.Mem) {
	ones, sum := ymm[1:], ymm[1+c.inWord()]
	for j := range c.inWord() {
		k.fill(c.one(j), ones[j])
	}
	begin()
	for s := range 4 {
		for _, h := range halves {
			z(s, h)
			for j := range c.inWord() {
				k.VADDPS(ones[j], ymm[0], sum)
				k.VMOVAPS(sum, table(s, h, j))
			}
		}
	}
}

// constantZero makes the first vector the Call's zero point. exAny points at the
// Call.
func (k exactFMA) constantZero() {
	x := ymm[0].AsX()
	k.VXORPS(x, x, x)
	k.VCVTSI2SSQ(at(exAny, callZero), x, x)
	k.VBROADCASTSS(x, k.vectors[0])
}

// byteZeros makes y the zero points at m.
func (k exactFMA) byteZeros(m operand.Mem, y reg.VecPhysical) {
	k.VPMOVZXBD(m, y)
	k.VCVTDQ2PS(y, y)
}
