package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// panelHeader is the bytes of a block's scales in an unpacked panel.
const panelHeader = 4 * 16 * 4

// Registers of unpackFMA, beside exW, exCount, exBlock, exFrame, exLines,
// exScale, exLeft, exForm and exHead.
var (
	unpackTo    = reg.R14 // next row of the panel
	unpackStep  = reg.RDX // between lines of a segment
	unpackZero  = reg.R10 // next zero points
	unpackFirst = reg.R11 // first line of the segment
	unpackSoon  = reg.RBX // what is fetched next, where the kernel fetches
)

const unpackRegisters = `
Registers: AX next line, CX blocks left, DX step between lines, SI Block, DI frame
(32-byte aligned), R8 lines left, R9 scales, R10 zero points, R11 the segment's
first line, R12 segments left, R13 Form, R14 where to write, R15 bytes of a header;
`

// unpackFMA is a kernel that writes blocks as an unpacked panel.
type unpackFMA struct {
	exactFMA
	scaled  bool
	once    func()                                              // constants; exAny points at the Call
	segment func()                                              // before a segment's lines; nil: nothing
	line    func(h int, w operand.Mem) []func() reg.VecPhysical // weights of half h, one feature after the other
	tiles   bool                                                // it fetches half as many lines as it unpacks, from Call.Soon on, and takes Call.First and Call.Segments
}

// some goes to the first of the segments that the Call names, if it names some.
func (k unpackFMA) some() {
	k.Load(k.Param("c"), exLines)
	k.CMPQ(at(exLines, callSegments), operand.Imm(0))
	k.JEQ(operand.LabelRef("all"))
	k.MOVQ(at(exLines, callSegments), exLeft)
	k.MOVQ(at(exLines, callFirst), exLines)
	k.SHLQ(operand.Imm(4), exLines)
	k.ADDQ(exLines, unpackZero)
	k.SHLQ(operand.Imm(2), exLines)
	k.ADDQ(exLines, unpackFirst)
	k.Label("all")
}

func (k unpackFMA) write(name string, doc ...string) {
	k.function(name, "dst unsafe.Pointer, c *Call", doc...)
	dst, err := k.Param("dst").Resolve() // Load knows no unsafe.Pointer
	if err != nil {
		panic(err)
	}
	k.MOVQ(dst.Addr, unpackTo)
	k.Load(k.Param("c"), exAny)
	k.MOVQ(at(exAny, callW), exW)
	k.MOVQ(at(exAny, callBlocks), exBlock)
	k.MOVQ(at(exAny, callCount), exCount)
	if k.tiles {
		k.MOVQ(at(exAny, callSoon), unpackSoon)
	}
	if k.scaled {
		k.header()
	}
	if k.once != nil {
		k.once()
	}
	one := k.vectors[3]
	if !k.scaled {
		k.fill(0x3f800000, one)
	}

	k.Label("block")
	scales := func(form int) {
		if k.tiles {
			k.Load(k.Param("c"), exAny)
			k.MOVQ(at(exAny, callFirst), exAny)
			k.SHLQ(operand.Imm(log2(scaleBytes(form))), exAny)
			k.ADDQ(exAny, exScale)
		}
		for s := range 4 {
			for _, h := range k.parts() {
				y := one
				if k.scaled {
					y = k.vectors[0]
					k.scales(form, s, h, y)
				}
				k.VMOVAPS(y, at(unpackTo, 64*s+k.part()*h))
			}
		}
	}
	if k.scaled {
		k.MOVQ(exW, exScale)
		k.byScales("block", exForm, scales)
		k.ADDQ(exHead, exW)
		k.LEAQ(at(exW, -4*16), unpackZero)
	} else {
		scales(0)
	}
	k.ADDQ(operand.I32(panelHeader), unpackTo)
	k.MOVBQZX(at(exBlock, blockSegments), exLeft)
	k.MOVQ(exLeft, unpackStep)
	k.SHLQ(operand.Imm(6), unpackStep)
	k.MOVQ(exW, unpackFirst)
	if k.tiles {
		k.some()
	}

	k.Label("segment")
	k.MOVQ(unpackFirst, exW)
	k.MOVL(at(exBlock, blockLines), exLines.As32())
	if k.segment != nil {
		k.segment()
	}
	k.Label("line")
	if k.tiles { // each line twice
		k.PREFETCHT1(at(unpackSoon, 0))
		k.ADDQ(operand.Imm(32), unpackSoon)
	}
	features := 0
	for _, h := range k.parts() {
		weights := k.line(h, at(exW, k.part()*h))
		features = len(weights)
		for i, w := range weights {
			k.VMOVAPS(w(), at(unpackTo, 64*i+k.part()*h))
		}
	}
	k.ADDQ(unpackStep, exW)
	k.ADDQ(operand.I32(uint64(64*features)), unpackTo)
	k.DECQ(exLines)
	k.JNE(operand.LabelRef("line"))
	k.ADDQ(operand.Imm(64), unpackFirst)
	k.DECQ(exLeft)
	k.JNE(operand.LabelRef("segment"))

	k.Comment("The block ends where its last segment does, not a step behind that.")
	k.SUBQ(unpackStep, exW)
	k.ADDQ(operand.Imm(64), exW)
	k.ADDQ(operand.Imm(blockSize), exBlock)
	k.DECQ(exCount)
	k.JNE(operand.LabelRef("block"))
	k.VZEROUPPER()
	k.RET()
}

func init() {
	registerUnpackCodes(codes4, "w4", "UnpackW4FMA", "Y0 and Y1 codes, Y2 weights, Y3 exponents, Y4\nand Y5 zero points, Y8 to Y15 what is taken from codes of two halves. The frame\nhas masks and powers of two.")
	registerUnpackCodes(codes8, "w8", "UnpackW8FMA", "Y0 and Y1 codes, Y2 weights, Y3 exponents, Y4\nand Y5 zero points, Y8 to Y11 what is taken from codes of two halves. The frame\nhas masks and powers of two.")

	plain := func(name, kernel, what string, line func(k exactFMA, h int, w operand.Mem) []func() reg.VecPhysical, once func(k exactFMA)) {
		register(asmDir, "unpack_"+name+"_fma", `
Plain `+what+` weights as an unpacked panel with scales of 1.

Maths: every weight as float32, exactly.
`+unpackRegisters+`Y0 to Y2 weights, Y3 ones, Y4 a mask.
`, func(f *file) {
			k := unpackFMA{exactFMA: exactFMA{f, ymm}}
			k.line = func(h int, w operand.Mem) []func() reg.VecPhysical { return line(k.exactFMA, h, w) }
			if once != nil {
				k.once = func() { once(k.exactFMA) }
			}
			k.write(kernel, kernel+" writes blocks of plain "+what+" weights as an unpacked panel.")
		})
	}
	plain("f32", "UnpackF32FMA", "float32", func(k exactFMA, h int, w operand.Mem) []func() reg.VecPhysical {
		return []func() reg.VecPhysical{func() reg.VecPhysical {
			k.VMOVAPS(w, ymm[h])
			return ymm[h]
		}}
	}, nil)
	plain("bf16", "UnpackBF16FMA", "bfloat16", func(k exactFMA, h int, w operand.Mem) []func() reg.VecPhysical {
		return []func() reg.VecPhysical{func() reg.VecPhysical {
			k.VMOVDQA(w, ymm[h])
			k.VPSLLD(operand.U8(16), ymm[h], ymm[2])
			return ymm[2]
		}, func() reg.VecPhysical {
			k.VPAND(ymm[4], ymm[h], ymm[h])
			return ymm[h]
		}}
	}, func(k exactFMA) { k.fill(0xffff0000, ymm[4]) })
	plain("f16", "UnpackF16FMA", "float16", func(k exactFMA, h int, w operand.Mem) []func() reg.VecPhysical {
		feature := func(pick uint8) func() reg.VecPhysical {
			return func() reg.VecPhysical {
				if pick == 0x88 {
					k.VCVTPH2PS(w, ymm[0])
					k.VCVTPH2PS(w.Offset(16), ymm[1])
				}
				k.VSHUFPS(operand.U8(pick), ymm[1], ymm[0], ymm[2])
				k.VPERMPD(operand.U8(0xd8), ymm[2], ymm[2])
				return ymm[2]
			}
		}
		return []func() reg.VecPhysical{feature(0x88), feature(0xdd)}
	}, nil)
}

func registerUnpackCodes(c codeBits, name, kernel, vectors string) {
	bits := map[codeBits]string{codes4: "4", codes8: "8"}[c]
	register(asmDir, "unpack_"+name+"_fma", `
Codes of `+bits+` bits as an unpacked panel.
`+codeMaths+unpackRegisters+vectors+`
`, func(f *file) {
		k := unpackFMA{exactFMA: exactFMA{f, ymm}, scaled: true}
		fields := c.inWord()
		mask := func(j int) operand.Mem { return at(exFrame, 32*j) }
		one := func(j int) operand.Mem { return at(exFrame, 32*(fields+j)) }
		taken := func(h, j int) reg.VecPhysical { return ymm[8+fields*h+j] }
		take := func() { // zero points in Y4 and Y5
			for _, h := range halves {
				for j := range fields {
					k.VADDPS(one(j), ymm[4+h], taken(h, j))
				}
			}
		}
		k.once = func() {
			k.frame(2 * 32 * fields)
			k.constantZero()
			k.VMOVAPS(ymm[0], ymm[4])
			k.VMOVAPS(ymm[0], ymm[5])
			for j := range fields {
				k.fill(c.mask(j), ymm[1])
				k.VMOVAPS(ymm[1], mask(j))
				k.fill(c.one(j), ymm[1])
				k.VMOVAPS(ymm[1], one(j))
			}
			k.fill(codeExponents, ymm[3])
			take()
		}
		k.segment = func() {
			k.ifBytes("zeros", exForm, func() {
				for _, h := range halves {
					k.byteZeros(at(unpackZero, 8*h), ymm[4+h])
				}
				k.ADDQ(operand.Imm(16), unpackZero)
				take()
			})
		}
		k.line = func(h int, w operand.Mem) (weights []func() reg.VecPhysical) {
			for i := range c.perLine() {
				weights = append(weights, func() reg.VecPhysical {
					if i == 0 {
						k.lowWord(w, ymm[3], ymm[0])
						k.highWord(w, ymm[3], ymm[1])
					}
					high, j := c.at(i)
					word := ymm[0]
					if high {
						word = ymm[1]
					}
					k.VANDPS(mask(j), word, ymm[2])
					k.VSUBPS(taken(h, j), ymm[2], ymm[2])
					return ymm[2]
				})
			}
			return weights
		}
		k.write(kernel, kernel+" writes blocks of codes of "+bits+" bits as an unpacked panel.")
	})
}
