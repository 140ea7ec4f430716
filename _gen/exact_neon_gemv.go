package main

import "fmt"

func init() {
	for _, c := range []codeBits{codes4, codes8} {
		registerText(asmDir, fmt.Sprintf("gemv_w%d_neon", c), fmt.Sprintf(`
One row of float32 times codes of %d bits.
`, c)+neonCodeMaths+gemvNeonRegisters+`
R22 the table taken, [segment][column/4][part of a line][field]; in the lines V0 and
V1 codes, then their high words, V2 and V3 low words, V4 x, V5 ones, V6 to V9
masks, V10 to V13 what is taken, V14 and V15 weights.
`, func(f *neonFile) {
			gemvCodes(exactNeon{f}, c).write(fmt.Sprintf("GemvW%dNEON", c), fmt.Sprintf("multiplies one row with codes of %d bits.", c))
		})
	}
	plain := func(kind, name string, perLine int, registers string, line func(k exactNeon, w, x, sum int), once func(k exactNeon)) {
		registerText(asmDir, "gemv_"+name+"_neon", `
One row of float32 times plain weights.

Maths: the package's exact sums of plain weights.
`+gemvNeonRegisters+registers, func(f *neonFile) {
			k := gemvNeon{exactNeon: exactNeon{f}, perLine: perLine, once: func() {}}
			if once != nil {
				k.once = func() { once(k.exactNeon) }
			}
			k.line = func(_, w, x, sum int) { line(k.exactNeon, w, x, sum) }
			k.write("Gemv"+kind+"NEON", "multiplies one row with plain weights.")
		})
	}
	plain("F32", "f32", 1, "\nin the lines V0 to V3 weights, V4 x.", func(k exactNeon, w, x, sum int) {
		k.op("FMOVS.P 4(R%d), F4", x)
		k.lineAt(w)
		for i := range 4 {
			k.multiply(sum+i, i, 0)
		}
	}, nil)
	plain("F16", "f16", 2, "\nin the lines V0 to V3 halves, V4 x, V8 to V11 weights of the first feature, V12 to\nV15 of the second.", func(k exactNeon, w, x, sum int) {
		k.op("FMOVD.P 8(R%d), F4", x)
		k.lineAt(w)
		for i := 0; i < 4; i += 2 {
			k.f16Features(i, 8+i, 12+i)
			for t := range 2 {
				for h := range 2 {
					k.multiply(sum+i+h, 8+4*t+i+h, t)
				}
			}
		}
	}, nil)
	plain("BF16", "bf16", 2, "\nin the lines V0 to V3 halves, then weights of the second feature, V4 x, V5 a mask,\nV8 to V11 weights of the first.", func(k exactNeon, w, x, sum int) {
		k.op("FMOVD.P 8(R%d), F4", x)
		k.lineAt(w)
		for i := range 4 {
			k.op("VSHL $16, V%d.S4, V%d.S4", i, 8+i)
			k.op("VAND V5.B16, V%d.B16, V%[1]d.B16", i)
		}
		for t := range 2 {
			for i := range 4 {
				k.multiply(sum+i, 8*(1-t)+i, t)
			}
		}
	}, func(k exactNeon) { k.fill(0xffff0000, 5) })
}

// lineAt loads the line w bytes behind R1.
func (k exactNeon) lineAt(w int) {
	for i := 0; i < 4; i += 2 {
		k.op("FLDPQ %d(R1), (F%d, F%d)", w+16*i, i, i+1)
	}
}

// multiply adds the product of weights and element t of V4.
func (k exactNeon) multiply(sum, weights, t int) {
	k.hand("fmla v%d.4s, v%d.4s, v4.s[%d]", sum, weights, t)
}

const gemvNeonRegisters = exactNeonRegisters + `R11 Y; R26 how far ahead memory is fetched; of four segments R2 to R5 x of each, R17
bytes of a segment of x; of fewer R2 x, R3 step between lines, R4 the segment's
first line; V16 and up sums, four for each segment; between segments V0 to V3 y,
V10 to V13 scales, V14 and V15 halves;`

// gemvNeon is a kernel for one row straight from packed weights. The walk over
// blocks and segments is here; lines are the kernels' own. A block of four
// segments runs 16 sums at once, one of fewer runs its segments one by one.
type gemvNeon struct {
	exactNeon
	perLine int // features
	scaled  bool
	frame   int // bytes of the table
	once    func()
	block   func()                 // what each block's header gives, after header
	line    func(s, w, x, sum int) // adds the line w bytes behind R1 times x at register x, which moves on; s is the segment in the table
}

func (k gemvNeon) write(name, doc string) {
	k.start(name, "c *Call", 8, k.frame, doc)
	k.op("MOVD c+0(FP), R0")
	k.load(0, field{callW, 1}, field{callX, 2}, field{callBlocks, 6}, field{callCount, 7}, field{callY, 11}, field{callAhead, 26})
	if k.scaled {
		k.form()
	}
	k.once()

	k.label("block")
	k.op("MOVWU %d(R6), R25", blockLines)
	k.op("MOVBU %d(R6), R19", blockSegments)
	if k.scaled {
		k.header()
		k.block()
	}
	k.op("CMP $4, R19")
	k.op("BNE fewer")
	k.fourSegments()
	k.label("next")
	k.op("ADD $%d, R6", blockSize)
	k.op("SUBS $1, R7")
	k.op("BNE block")
	k.op("RET")
	k.fewerSegments()
}

func (k gemvNeon) fourSegments() {
	k.op("LSL $%d, R25, R17", log2(4*k.perLine))
	for s := range 3 {
		k.op("ADD R17, R%d, R%d", 2+s, 3+s)
	}
	k.zero(16, 16)
	k.op("MOVD R25, R15")
	k.label("four")
	k.op("ADD R26, R1, R16")
	for s := range 4 {
		k.op("PRFM %d(R16), PLDL1KEEP", 64*s)
	}
	for s := range 4 {
		k.line(s, 64*s, 2+s, 16+4*s)
	}
	k.op("ADD $256, R1")
	k.op("SUBS $1, R15")
	k.op("BNE four")
	k.op("MOVD R5, R2")
	k.addToY("y", 4)
}

// fewerSegments has one segment after the other, each every Segments·64 bytes.
func (k gemvNeon) fewerSegments() {
	k.label("fewer")
	k.op("LSL $6, R19, R3")
	k.op("MOVD R1, R4")
	k.label("segment")
	k.zero(16, 4)
	k.op("MOVD R25, R15")
	k.label("one")
	k.line(0, 0, 2, 16)
	k.op("ADD R3, R1")
	k.op("SUBS $1, R15")
	k.op("BNE one")
	k.addToY("y_one", 1)
	if k.frame > 0 {
		k.op("ADD $%d, R22", k.frame/4)
	}
	k.op("ADD $64, R4")
	k.op("SUBS $1, R19")
	k.op("BEQ fewer_end")
	k.op("MOVD R4, R1")
	k.op("B segment")
	k.label("fewer_end")
	k.op("SUB R3, R1")
	k.op("ADD $64, R1")
	if k.frame > 0 {
		k.table()
	}
	k.op("B next")
}

// addToY adds the sums of so many segments.
func (k gemvNeon) addToY(label string, segments int) {
	k.op("VLD1 (R11), %s", list(4, 0, "S4"))
	each := func(form int) {
		for s := range segments {
			if k.scaled {
				k.scales(form, 10)
			}
			for i := range 4 {
				if k.scaled {
					k.op("VFMLA V%d.S4, V%d.S4, V%d.S4", 10+i, 16+4*s+i, i)
				} else {
					k.hand("fadd v%d.4s, v%[1]d.4s, v%d.4s", i, 16+4*s+i)
				}
			}
		}
	}
	if k.scaled {
		k.byScales(label, each)
	} else {
		each(formF32)
	}
	k.op("VST1 %s, (R11)", list(4, 0, "S4"))
}

// table points R22 at the first segment of the table.
func (k gemvNeon) table() { k.op("MOVD $taken-%d(SP), R22", k.frame) }

// gemvCodes is a kernel of codes.
func gemvCodes(f exactNeon, c codeBits) gemvNeon {
	k := gemvNeon{exactNeon: f, perLine: c.perLine(), scaled: true, frame: 4 * 4 * c.inWord() * 16}
	segment, vector, part := k.frame/4, k.frame/16, k.frame/16/c.parts()

	// fill writes the table. z makes V16 to V19 a segment's zero points.
	fill := func(label string, z func()) {
		k.op("MOVD R22, R17")
		for j := range c.inWord() {
			k.fill(c.one(j), 20+j)
		}
		k.op("MOVD $4, R16")
		k.label(label)
		z()
		for v := range 4 {
			for p := range c.parts() {
				for i := range 2 {
					k.hand("fadd v%d.4s, v%d.4s, v%d.4s", 24+i, 16+v, 20+c.field(p, i))
				}
				k.op("FSTPQ (F24, F25), %d(R17)", vector*v+part*p)
			}
		}
		k.op("ADD $%d, R17", segment)
		k.op("SUBS $1, R16")
		k.op("BNE %s", label)
	}
	k.once = func() {
		k.codeConstants(c, codeMasks, codeOnes)
		k.table()
		k.constantZero(16)
		fill("constant", func() {})
	}
	k.block = func() {
		k.op("CBZ R13, zeros")
		fill("bytes", func() { k.byteZeros(16) })
		k.label("zeros")
	}
	k.line = func(s, w, x, sum int) {
		for v := 0; v < 4; v += 2 {
			k.op("FLDPQ %d(R1), (F%d, F%d)", w+16*v, codeHigh, codeHigh+1)
			for h := range 2 {
				k.words(codeHigh+h, codeLow+h, codeOnes)
			}
			for p := range c.parts() {
				switch { // two parts are loaded again for the other columns
				case c.parts() == 2 && v == 0:
					k.op("FMOVQ %d(R%d), F4", 16*p, x)
				case c.parts() == 2 || v == 0:
					k.op("FMOVQ.P 16(R%d), F4", x)
				}
				for h := range 2 {
					k.op("FLDPQ %d(R22), (F%d, F%d)", segment*s+vector*(v+h)+part*p, 10+2*h, 11+2*h)
				}
				for t := range 4 {
					word := codeLow
					if t >= 2 {
						word = codeHigh
					}
					for h := range 2 {
						k.op("VAND V%d.B16, V%d.B16, V%d.B16", codeMasks+c.field(p, t%2), word+h, 14+h)
					}
					for h := range 2 {
						k.hand("fsub v%d.4s, v%[1]d.4s, v%d.4s", 14+h, 10+2*h+t%2)
					}
					for h := range 2 {
						k.multiply(sum+v+h, 14+h, t)
					}
				}
			}
		}
	}
	return k
}
