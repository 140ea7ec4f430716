package main

import "fmt"

func init() {
	for _, c := range []codeBits{codes4, codes8} {
		name := fmt.Sprintf("UnpackW%dNEON", c)
		registerText(asmDir, fmt.Sprintf("unpack_w%d_neon", c), fmt.Sprintf(`
Codes of %d bits as an unpacked panel.
`, c)+neonCodeMaths+unpackNeonRegisters+`
V0 to V3 codes, then their high words, V4 to V7 low words, or scales, V8 to V11
masks, V12 ones, V13 and V14 weights, V16 and up what is taken from codes,
[column/4][field].
`, func(f *neonFile) {
			unpackCodes(exactNeon{f}, c).write(name, fmt.Sprintf("writes blocks of codes of %d bits as an unpacked panel to dst.", c))
		})
	}
	plain := func(kind, name string, line func(k exactNeon), once func(k exactNeon)) {
		registerText(asmDir, "unpack_"+name+"_neon", `
Plain weights as an unpacked panel with scales of 1.

Maths: every weight as float32, exactly.
`+unpackNeonRegisters+`
V0 to V3 a line, V4 to V7 ones, V8 to V15 weights of two features, V16 a mask.
`, func(f *neonFile) {
			k := unpackNeon{exactNeon: exactNeon{f}}
			k.line = func() { line(k.exactNeon) }
			k.once = func() {
				for i := range 4 {
					k.op("FMOVS $1.0, F%d", 4+i)
					k.op("VDUP V%d.S[0], V%[1]d.S4", 4+i)
				}
				if once != nil {
					once(k.exactNeon)
				}
			}
			k.write("Unpack"+kind+"NEON", "writes blocks of plain weights as an unpacked panel to dst.")
		})
	}
	store := func(k exactNeon, v int) { k.op("VST1.P %s, 64(R2)", list(4, v, "S4")) }
	plain("F32", "f32", func(k exactNeon) { store(k, 0) }, nil)
	plain("F16", "f16", func(k exactNeon) {
		k.f16Features(0, 8, 12)
		k.f16Features(2, 10, 14)
		store(k, 8)
		store(k, 12)
	}, nil)
	plain("BF16", "bf16", func(k exactNeon) {
		for i := range 4 {
			k.op("VSHL $16, V%d.S4, V%d.S4", i, 8+i)
			k.op("VAND V16.B16, V%d.B16, V%d.B16", i, 12+i)
		}
		store(k, 8)
		store(k, 12)
	}, func(k exactNeon) { k.fill(0xffff0000, 16) })
}

// f16Features sorts 8 columns of two float16 features, at v and v+1, and makes
// first and second, two registers each, their float32.
func (k exactNeon) f16Features(v, first, second int) {
	k.op("VUZP1 V%d.H8, V%d.H8, V%d.H8", v+1, v, first)
	k.op("VUZP2 V%d.H8, V%d.H8, V%d.H8", v+1, v, second)
	for _, to := range []int{first, second} {
		k.hand("fcvtl2 v%d.4s, v%d.8h", to+1, to)
		k.hand("fcvtl v%d.4s, v%[1]d.4h", to)
	}
}

const unpackNeonRegisters = exactNeonRegisters + `R2 where to write, R3 step between lines, R4 the segment's first line;`

// unpackNeon is a kernel that writes blocks as an unpacked panel.
type unpackNeon struct {
	exactNeon
	scaled  bool
	once    func() // constants, V4 to V7 too where there are no scales
	segment func() // before a segment's lines; nil: nothing
	line    func() // writes the line in V0 to V3 at R2, which moves on
}

func (k unpackNeon) write(name, doc string) {
	k.stubs.WriteString("\nimport \"unsafe\"\n")
	k.function(name, "dst unsafe.Pointer, c *Call", 16, doc)
	k.op("MOVD dst+0(FP), R2")
	k.op("MOVD c+8(FP), R0")
	k.load(0, field{callW, 1}, field{callBlocks, 6}, field{callCount, 7})
	if k.scaled {
		k.form()
	}
	k.once()

	k.label("block")
	k.op("MOVWU %d(R6), R25", blockLines)
	k.op("MOVBU %d(R6), R19", blockSegments)
	scales := func() { k.op("VST1.P %s, 64(R2)", list(4, 4, "S4")) }
	if k.scaled {
		k.header()
		k.byScales("block", func(form int) {
			for range 4 {
				k.scales(form, 4)
				scales()
			}
		})
	} else {
		for range 4 {
			scales()
		}
	}
	k.op("LSL $6, R19, R3")
	k.op("MOVD R1, R4")

	k.label("segment")
	k.op("MOVD R4, R1")
	k.op("MOVD R25, R15")
	if k.segment != nil {
		k.segment()
	}
	k.label("line")
	k.op("VLD1.P (R1)(R3), %s", list(4, 0, "B16"))
	k.line()
	k.op("SUBS $1, R15")
	k.op("BNE line")
	k.op("ADD $64, R4")
	k.op("SUBS $1, R19")
	k.op("BNE segment")

	k.comment("The block ends where its last segment does, not a step behind that.")
	k.op("SUB R3, R1")
	k.op("ADD $64, R1")
	k.op("ADD $%d, R6", blockSize)
	k.op("SUBS $1, R7")
	k.op("BNE block")
	k.op("RET")
}

// unpackCodes is a kernel of codes.
func unpackCodes(f exactNeon, c codeBits) unpackNeon {
	const masks, ones = 8, 12
	k := unpackNeon{exactNeon: f, scaled: true}
	taken := func(v, j int) int { return 16 + c.inWord()*v + j }
	take := func() { // zero points in V0 to V3
		for j := range c.inWord() {
			k.fill(c.one(j), 4)
			for v := range 4 {
				k.hand("fadd v%d.4s, v%d.4s, v4.4s", taken(v, j), v)
			}
		}
	}
	k.once = func() {
		k.codeConstants(c, masks, ones)
		k.constantZero(0)
		take()
	}
	k.segment = func() {
		k.op("CBZ R13, zeros")
		k.byteZeros(0)
		take()
		k.label("zeros")
	}
	k.line = func() {
		for v := range 4 {
			k.words(v, 4+v, ones)
		}
		for i := range c.perLine() {
			word, j := 4*(1-i%4/2), c.field(i/4, i%2)
			for v := 0; v < 4; v += 2 {
				for h := range 2 {
					k.op("VAND V%d.B16, V%d.B16, V%d.B16", masks+j, word+v+h, 13+h)
				}
				for h := range 2 {
					k.hand("fsub v%d.4s, v%[1]d.4s, v%d.4s", 13+h, taken(v+h, j))
				}
				k.op("FSTPQ (F13, F14), %d(R2)", 64*i+16*v)
			}
		}
		k.op("ADD $%d, R2", 64*c.perLine())
	}
	return k
}
