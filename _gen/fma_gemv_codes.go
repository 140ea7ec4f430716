package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	register(asmDir, "gemv_w8_fma", `
One row of float32 times codes of 8 bits.
`+codeMaths+exRegisters+`Y0 and Y1 codes, then sums of y, Y2 weights, Y3 x, Y4 exponents, Y5 and Y6
masks, Y8 to Y15 sums of four segments. The frame has what is taken from codes,
[segment][half][field].
`, func(f *file) {
		k := gemv(f, ymm, codes8.perLine())
		masks, table := ymm[5:7], k.codes(codes8, 0)
		constant := k.once
		k.once = func() {
			constant()
			k.fill(codeExponents, ymm[4])
			for j, m := range masks {
				k.fill(codes8.mask(j), m)
			}
		}
		k.lines(func(s int, w func(h int) operand.Mem, x func(i int) operand.Mem, sum []reg.VecPhysical) {
			for i := range codes8.perLine() {
				high, j := codes8.at(i)
				for _, h := range halves {
					if j == 0 && high {
						k.highWord(w(h), ymm[4], ymm[h])
					} else if j == 0 {
						k.lowWord(w(h), ymm[4], ymm[h])
					}
				}
				k.VBROADCASTSS(x(i), ymm[3])
				for _, h := range halves {
					k.VANDPS(masks[j], ymm[h], ymm[2])
					k.VSUBPS(table(s, h, j), ymm[2], ymm[2])
					k.VFMADD231PS(ymm[2], ymm[3], sum[h])
				}
			}
		})
		k.write("GemvW8FMA", "GemvW8FMA multiplies one row with codes of 8 bits.")
	})
	register(asmDir, "gemv_w4_fma", `
One row of float32 times codes of 4 bits.
`+codeMaths+exRegisters+`Y0 exponents and Y1 a mask while lines are added, then sums of y, Y2 weights, Y3 x,
Y4 to Y11 codes of two segments, Y12 to Y15 their sums. The frame has exponents,
the masks, and what is taken from codes, [segment][half][field].
`, func(f *file) {
		const exponents, masks, zeros = 0, 32, 5 * 32
		k := gemv(f, ymm, codes4.perLine())
		k.together = 2
		k.single = ymm[12:14]
		k.sum = func(s, h int) reg.VecPhysical { return ymm[12+2*s+h] }
		third := 2 * 2 * 32 * codes4.inWord() // bytes of what is taken from two segments
		k.rest = func() { k.ADDQ(operand.I32(uint64(third)), exTable) }
		mask := func(j int) operand.Mem { return at(exFrame, masks+32*j) }
		table := k.codes(codes4, zeros)
		constant := k.once
		k.once = func() {
			constant()
			for j := range codes4.inWord() {
				k.fill(codes4.mask(j), ymm[0])
				k.VMOVAPS(ymm[0], mask(j))
			}
			k.fill(codeExponents, ymm[0])
			k.VMOVAPS(ymm[0], at(exFrame, exponents))
		}
		k.clear = func() {
			for _, y := range ymm[12:16] {
				k.VXORPS(y, y, y)
			}
			k.VMOVAPS(at(exFrame, exponents), ymm[0])
		}
		begin1 := k.begin1
		k.begin1 = func() {
			begin1()
			k.VMOVAPS(at(exFrame, exponents), ymm[0])
		}
		// Two segments together: their sums wait for each other less.
		lines := func(segments int, x func(s, i int) operand.Mem) {
			words := func(s, h int, high bool) reg.VecPhysical {
				if high {
					return ymm[6+4*s+h]
				}
				return ymm[4+4*s+h]
			}
			for s := range segments {
				for _, h := range halves {
					w := at(exW, 64*s+32*h)
					k.lowWord(w, ymm[0], words(s, h, false))
					k.highWord(w, ymm[0], words(s, h, true))
				}
			}
			for i := range codes4.perLine() {
				high, j := codes4.at(i)
				k.VMOVAPS(mask(j), ymm[1])
				for s := range segments {
					k.VBROADCASTSS(x(s, i), ymm[3])
					for _, h := range halves {
						k.VANDPS(ymm[1], words(s, h, high), ymm[2])
						k.VSUBPS(table(s, h, j), ymm[2], ymm[2])
						k.VFMADD231PS(ymm[2], ymm[3], k.sum(s, h))
					}
				}
			}
		}
		k.four = func(x func(s, i int) operand.Mem) { lines(2, x) }
		k.one = func(x func(i int) operand.Mem, sum []reg.VecPhysical) {
			lines(1, func(s, i int) operand.Mem { return x(i) })
		}
		k.write("GemvW4FMA", "GemvW4FMA multiplies one row with codes of 4 bits.")
	})
}

// codes prepares what codes need: a frame of which zeros bytes are the kernel's
// own, and behind them a table of what is taken from codes and Call.Ahead. One
// of fewer segments is segment 0 of a table that moves on.
func (k *gemvFMA) codes(c codeBits, zeros int) (table func(s, h, j int) operand.Mem) {
	half := 32 * c.inWord()
	table = func(s, h, j int) operand.Mem { return at(exTable, 2*half*s+half*h+32*j) }
	first := func() { k.LEAQ(at(exFrame, zeros), exTable) }
	k.scaled = true
	slot := zeros + 4*2*half
	k.once = func() {
		k.constantZero()
		k.frame(slot + 8)
		k.MOVQ(at(exAny, callAhead), exLeft)
		k.MOVQ(exLeft, at(exFrame, slot))
		first()
		k.zeroTable(c, func() {}, func(s, h int) {}, table)
	}
	k.block = func() {
		k.ifBytes("zeros", exForm, func() {
			zeros := func(s, h int) { k.byteZeros(at(exAny, 16*s+8*h), ymm[0]) }
			k.zeroTable(c, func() { k.LEAQ(indexed(exW, exHead, 1, -4*16), exAny) }, zeros, table)
		})
	}
	k.ahead = func() reg.Register {
		k.MOVQ(at(exFrame, slot), exLeft)
		return exLeft
	}
	k.end1 = func() { k.ADDQ(operand.I32(uint64(2*half)), exTable) }
	k.last = first
	return table
}
