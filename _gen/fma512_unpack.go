package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const unpack512Registers = `
Registers: AX next line, CX blocks left, DX step between lines, SI Block, R8 lines
left, R9 scales, R10 zero points, R11 the segment's first line, R12 segments left,
R13 Form, R14 where to write, R15 bytes of a header;
`

func init() {
	for _, c := range []codeBits{codes4, codes8} {
		bits := string('0' + rune(c))
		register(asmDir, "unpack_w"+bits+"_avx512", `
Codes of `+bits+` bits as an unpacked panel.
`+c.maths512()+unpack512Registers+`Z0 scales, Z0 and Z1 codes, Z2 a weight, Z3 zero points, Z4 to Z7 masks, Z8 to Z11
powers of two, Z12 to Z15 what is taken from codes`+c.table512()+map[codeBits]string{codes4: ", Z20 to Z27 weights"}[c]+`.
`, func(f *file) {
			k := unpackFMA{exactFMA: exactFMA{f, zmm}, scaled: true}
			k.with(newCodes512(k.exactFMA, c, 1).weights(), c.perLine())
			name := "UnpackW" + bits + "AVX512"
			k.write(name, name+" writes blocks of codes of "+bits+" bits as an unpacked panel.")
		})
	}
	plain := func(name, what, vectors string, line func(k exactFMA, i int, w operand.Mem) reg.VecPhysical, once func(k exactFMA)) {
		kernel := map[string]string{"f32": "UnpackF32AVX512", "f16": "UnpackF16AVX512", "bf16": "UnpackBF16AVX512"}[name]
		features := map[string]int{"f32": 1, "f16": 2, "bf16": 2}[name]
		register(asmDir, "unpack_"+name+"_avx512", `
Plain `+what+` weights as an unpacked panel with scales of 1.

Maths: every weight as float32, exactly.
`+unpack512Registers+vectors+`
`, func(f *file) {
			k := unpackFMA{exactFMA: exactFMA{f, zmm}}
			k.line = func(_ int, w operand.Mem) (weights []func() reg.VecPhysical) {
				for i := range features {
					weights = append(weights, func() reg.VecPhysical { return line(k.exactFMA, i, w) })
				}
				return weights
			}
			k.once = func() { once(k.exactFMA) }
			k.write(kernel, kernel+" writes blocks of plain "+what+" weights as an unpacked panel.")
		})
	}
	plain("f32", "float32", "Z2 weights, Z3 ones.", func(k exactFMA, i int, w operand.Mem) reg.VecPhysical {
		k.VMOVUPS(w, zmm[2])
		return zmm[2]
	}, func(exactFMA) {})
	plain("bf16", "bfloat16", "Z2 weights, Z3 ones, Z4 a mask.", func(k exactFMA, i int, w operand.Mem) reg.VecPhysical {
		return k.bf16Weight(i, w)
	}, func(k exactFMA) { k.fill(0xffff0000, zmm[4]) })
	plain("f16", "float16", "Z2 weights, Z3 ones, Z4 the order of pairs of columns,\nZ5 and Z6 weights of two features.", func(k exactFMA, i int, w operand.Mem) reg.VecPhysical {
		if i == 0 {
			k.halfWeights(w)
		}
		y := k.halfWeight(i)
		k.VPERMPD(y, zmm[4], y)
		return y
	}, func(k exactFMA) { k.evenOdd(zmm[4]) })
}
