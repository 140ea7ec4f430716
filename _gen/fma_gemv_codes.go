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
`+codeMaths+exRegisters+`Y0 to Y3 sums of two segments while their lines are added, Y4 to Y11 their codes,
Y12 weights, Y13 x, Y14 a mask, Y15 exponents; at the end of segments Y0 and Y1
sums of y, Y2 scales, Y3 a sum. The frame has the sums of four segments, the masks,
and what is taken from codes, [segment][half][field].
`, func(f *file) {
		const sums, masks, zeros = 0, 8 * 32, 12 * 32
		k := gemv(f, ymm, codes4.perLine())
		k.single = ymm[0:2]
		sum := func(s, h int) operand.Mem { return at(exFrame, sums+32*(2*s+h)) }
		mask := func(j int) operand.Mem { return at(exFrame, masks+32*j) }
		table := k.codes(codes4, zeros)
		constant := k.once
		k.once = func() {
			constant()
			for j := range codes4.inWord() {
				k.fill(codes4.mask(j), ymm[0])
				k.VMOVAPS(ymm[0], mask(j))
			}
			k.fill(codeExponents, ymm[15])
		}
		k.clear = func() {
			k.VXORPS(ymm[0], ymm[0], ymm[0])
			for s := range 4 {
				for _, h := range halves {
					k.VMOVAPS(ymm[0], sum(s, h))
				}
			}
		}
		k.sum = func(s, h int) reg.VecPhysical {
			k.VMOVAPS(sum(s, h), ymm[3])
			return ymm[3]
		}
		// Two segments together: their sums wait for each other less.
		lines := func(first, segments int, x func(s, i int) operand.Mem) {
			words := func(s, h int, high bool) reg.VecPhysical {
				if high {
					return ymm[6+4*s+h]
				}
				return ymm[4+4*s+h]
			}
			for s := range segments {
				for _, h := range halves {
					w := at(exW, 64*(first+s)+32*h)
					k.lowWord(w, ymm[15], words(s, h, false))
					k.highWord(w, ymm[15], words(s, h, true))
				}
			}
			for i := range codes4.perLine() {
				high, j := codes4.at(i)
				k.VMOVAPS(mask(j), ymm[14])
				for s := range segments {
					k.VBROADCASTSS(x(first+s, i), ymm[13])
					for _, h := range halves {
						k.VANDPS(ymm[14], words(s, h, high), ymm[12])
						k.VSUBPS(table(first+s, h, j), ymm[12], ymm[12])
						k.VFMADD231PS(ymm[12], ymm[13], ymm[2*s+h])
					}
				}
			}
		}
		k.four = func(x func(s, i int) operand.Mem) {
			for first := 0; first < 4; first += 2 {
				move := func(op func(a, b operand.Op)) {
					for s := range 2 {
						for _, h := range halves {
							op(sum(first+s, h), ymm[2*s+h])
						}
					}
				}
				move(func(m, y operand.Op) { k.VMOVAPS(m, y) })
				lines(first, 2, x)
				move(func(m, y operand.Op) { k.VMOVAPS(y, m) })
			}
		}
		k.one = func(x func(i int) operand.Mem, sum []reg.VecPhysical) {
			lines(0, 1, func(s, i int) operand.Mem { return x(i) })
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
		k.TESTQ(operand.I32(formBytes), exForm)
		k.JEQ(operand.LabelRef("zeros"))
		zeros := func(s, h int) { k.byteZeros(at(exAny, 16*s+8*h), ymm[0]) }
		k.zeroTable(c, func() { k.LEAQ(indexed(exW, exHead, 1, -4*16), exAny) }, zeros, table)
		k.Label("zeros")
	}
	k.ahead = func() reg.Register {
		k.MOVQ(at(exFrame, slot), exLeft)
		return exLeft
	}
	k.end1 = func() { k.ADDQ(operand.I32(uint64(2*half)), exTable) }
	k.last = first
	return table
}
