package main

import "fmt"

// exactNeon is a kernel of float32 rows for arm64 while it is written.
type exactNeon struct{ *neonFile }

const exactNeonRegisters = `
Registers: R0 Call, R1 next line, R6 next Block, R7 blocks left, R13 and R14 kinds
of zeros and of scales, R15 lines left in the segment, R16 and R17 scratch, R19
segments left in the block, R20 and R21 the block's scales and zeros, R23 and R24
bytes of a segment's scales and zeros, R25 lines of a segment;
`

func (k exactNeon) load(base int, fields ...field) {
	for _, f := range fields {
		k.op("MOVD %d(R%d), R%d", f.offset, base, f.register)
	}
}

func (k exactNeon) zero(from, n int) {
	for v := from; v < from+n; v++ {
		k.op("VEOR V%d.B16, V%[1]d.B16, V%[1]d.B16", v)
	}
}

// fill puts a 32-bit pattern into every lane of v. R16 is lost.
func (k exactNeon) fill(bits uint32, v int) {
	k.op("MOVD $%#08x, R16", bits)
	k.op("VDUP R16, V%d.S4", v)
}

// form reads the kinds of a block's header. Zeros take 0 or 16 bytes of a
// segment: R13 is 0 or formBytes.
func (k exactNeon) form() {
	k.load(0, field{callForm, 13})
	k.op("AND $%d, R13, R14", formScaleMask)
	k.op("AND $%d, R13", formZeroMask)
	k.op("MOVD $64, R16")
	k.op("MOVD $32, R17")
	k.op("CMP $%d, R14", formF32)
	k.op("CSEL EQ, R16, R17, R23")
	k.op("LSL $%d, R13, R24", log2(16/formBytes))
}

// header moves R1 from a block's header to its lines.
func (k exactNeon) header() {
	k.op("MOVD R1, R20")
	k.op("ADD R23<<2, R1, R21")
	k.op("ADD R24<<2, R21, R1")
}

// byScales emits body for each scale type and runs the one of R14.
func (k exactNeon) byScales(label string, body func(form int)) {
	k.op("CMP $%d, R14", formF16)
	k.op("BEQ %s_f16", label)
	k.op("BGT %s_bf16", label)
	body(formF32)
	k.op("B %s_scaled", label)
	k.label(label + "_f16")
	body(formF16)
	k.op("B %s_scaled", label)
	k.label(label + "_bf16")
	body(formBF16)
	k.label(label + "_scaled")
}

// scales makes to to to+3 the scales at R20, which moves on. V14 and V15 are
// lost.
func (k exactNeon) scales(form, to int) {
	if form == formF32 {
		k.op("VLD1.P 64(R20), %s", list(4, to, "S4"))
		return
	}
	k.op("VLD1.P 32(R20), %s", list(2, 14, "B16"))
	for i := range 2 {
		k.widen(form, 14+i, to+2*i)
	}
}

// widen makes to and to+1 the float32 of the eight halves of v.
func (k exactNeon) widen(form, v, to int) {
	if form == formF16 {
		k.hand("fcvtl v%d.4s, v%d.4h", to, v)
		k.hand("fcvtl2 v%d.4s, v%d.8h", to+1, v)
		return
	}
	k.hand("shll v%d.4s, v%d.4h, #16", to, v)
	k.hand("shll2 v%d.4s, v%d.8h, #16", to+1, v)
}

// roundBF16 rounds V0 to Vn-1, none of them NaN, to bfloat16, in their upper halves:
// half a unit is added, less one bit where the last bit that stays is even. below is
// 0x7fff in every lane; scratch and so many behind it are lost.
func (k exactNeon) roundBF16(n, scratch, below int) {
	for v := range n {
		k.op("VSHL $15, V%d.S4, V%d.S4", v, scratch+v)
	}
	for v := range n {
		k.op("VADD V%d.S4, V%d.S4, V%[2]d.S4", below, v)
	}
	for v := range n {
		k.op("VUSRA $31, V%d.S4, V%d.S4", scratch+v, v)
	}
}

// keepNaN puts what V0 to Vn-1 had of NaN, made quiet by a bit in every lane of quiet,
// in the place of what round makes of them. scratch and 2·n - 1 behind it are lost.
func (k exactNeon) keepNaN(n, scratch, quiet int, round func()) {
	for v := range n {
		k.hand("fcmeq v%d.4s, v%d.4s, v%[2]d.4s", scratch+v, v)
		k.op("VORR V%d.B16, V%d.B16, V%d.B16", quiet, v, scratch+n+v)
	}
	round()
	for v := range n {
		k.op("VBIF V%d.B16, V%d.B16, V%d.B16", scratch+v, scratch+n+v, v)
	}
}

const neonCodeMaths = `
Maths: the package's exact sums. A word of codes below a word of ones is a
float32 pattern too wide: an AND leaves one exponent and one code, 2^e + u, and
taking 2^e + z from it u−z, both exactly.
`

// A line of 8 features is two parts of 4, a line of 4 features one. In a part
// features 0 and 1 are in the low word of each dword, 2 and 3 in the high one.
// field is the place in the word, in fields of c bits, of features that are f in
// their word.
func (c codeBits) parts() int { return c.perLine() / 4 }

func (c codeBits) field(part, f int) int { return c.parts()*f + part }

// codeVectors are the registers that lines of codes take.
const (
	codeHigh  = 0 // two vectors of a line, then their high words
	codeLow   = 2
	codeOnes  = 5 // all bits
	codeMasks = 6 // by field
)

// codeConstants fills the masks.
func (k exactNeon) codeConstants(c codeBits, masks, ones int) {
	for j := range c.inWord() {
		k.fill(c.mask(j), masks+j)
	}
	k.op("VMOVI $255, V%d.B16", ones)
}

// words makes low and high the words of the dwords in high.
func (k exactNeon) words(high, low, ones int) {
	k.op("VTRN1 V%d.H8, V%d.H8, V%d.H8", ones, high, low)
	k.op("VTRN2 V%d.H8, V%d.H8, V%[2]d.H8", ones, high)
}

// constantZero makes z to z+3 the Call's zero point. R16 is lost.
func (k exactNeon) constantZero(z int) {
	k.load(0, field{callZero, 16})
	for i := range 4 {
		k.op("VDUP R16, V%d.S4", z+i)
		k.hand("scvtf v%d.4s, v%[1]d.4s", z+i)
	}
}

// byteZeros makes z to z+3 the 16 zero points at R21, which moves on.
func (k exactNeon) byteZeros(z int) {
	k.op("VLD1.P 16(R21), [V%d.B16]", z)
	k.op("VUXTL2 V%d.B16, V%d.H8", z, z+2)
	k.op("VUXTL V%d.B8, V%[1]d.H8", z)
	for _, v := range []int{z, z + 2} {
		k.op("VUXTL2 V%d.H8, V%d.S4", v, v+1)
		k.op("VUXTL V%d.H4, V%[1]d.S4", v)
	}
	for i := range 4 {
		k.hand("scvtf v%d.4s, v%[1]d.4s", z+i)
	}
}

// start begins a function like neonFile.function, with a frame of its own that
// holds the table taken. Where that is more than a function without a check of
// the stack may have, the check is made.
func (k exactNeon) start(name, args string, bytes, frame int, doc string) {
	flags := "NOSPLIT"
	if frame > mostNosplit {
		flags = "0"
	}
	fmt.Fprintf(&k.asm, "\n// func %s(%s)\nTEXT ·%s(SB), %s, $%d-%d\n", name, args, name, flags, frame, bytes)
	fmt.Fprintf(&k.stubs, "\n// %s %s\n//\n//go:noescape\nfunc %s(%s)\n", name, doc, name, args)
}

// mostNosplit is the largest frame without a check of the stack here.
const mostNosplit = 512
