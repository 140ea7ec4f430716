package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowsOf calls f with the memory of so many rows from base on, step bytes apart, of
// which three is the triple; it moves base on.
func (k *amx) rowsOf(rows int, base, step, three reg.GPPhysical, f func(row int, m operand.Mem)) {
	k.LEAQ(indexed(step, step, 2, 0), three)
	for row := range rows {
		switch row % 4 {
		case 0:
			if row > 0 {
				k.LEAQ(indexed(base, step, 4, 0), base)
			}
			f(row, at(base, 0))
		case 3:
			f(row, indexed(base, three, 1, 0))
		default:
			f(row, indexed(base, step, row%4, 0))
		}
	}
}

// convert corrects and scales the sums of three turns before and adds them to the
// unit's float sums.
func (k *amx) convert(turn int) {
	s := (turn + 1) % amxSlots // three turns before, and the one that comes next
	label := func(name string) string { return of(turn, "scale_"+name) }
	other := uint32(k.zeros()) | vnniScaled | amxGoesOn | amxFilling
	if k.pairs {
		other = amxFilling
	}
	k.TESTL(operand.U32(other), k.scalar(vnniForm))
	k.JNE(operand.LabelRef(label("other")))
	k.Label(label("plain"))
	k.VMOVUPS(at(reg.R12, 0), zmm[0])
	k.add(s, label("plain_end"), false, false)
	k.Label(label("added"))
	k.ADDQ(operand.I32(entryBytes), reg.R12)
	if !k.pairs {
		k.ADDQ(operand.Imm(4), vnniSide)
	}
	k.DECQ(reg.R15)
	k.JEQ(operand.LabelRef(label("unit")))
	k.Label(label("on"))
	k.later(func() {
		k.Label(label("other"))
		k.TESTL(operand.U32(amxFilling), k.scalar(vnniForm))
		k.JNE(operand.LabelRef(label("fill")))
		if k.pairs {
			k.nextScaled(label)
			return
		}
		k.TESTL(operand.U32(amxGoesOn), k.scalar(vnniForm))
		k.JNE(operand.LabelRef(label("slot")))
		k.Label(label("found"))
		k.VMOVUPS(at(reg.R12, 0), zmm[0])
		k.VMOVDQU32(at(reg.R12, entryZeros), zmm[1])
		k.TESTB(operand.Imm(k.zeros()), k.scalar(vnniForm))
		k.JNE(operand.LabelRef(label("zeros")))
		k.TESTL(operand.U32(vnniScaled), k.scalar(vnniForm))
		k.JEQ(operand.LabelRef(label("plain")))
		k.add(s, label("scaled_end"), false, true)
		k.JMP(operand.LabelRef(label("added")))
		k.Label(label("zeros"))
		k.TESTL(operand.U32(vnniScaled), k.scalar(vnniForm))
		k.JNE(operand.LabelRef(label("zeros_scaled")))
		k.add(s, label("zeros_end"), true, false)
		k.JMP(operand.LabelRef(label("added")))
		k.Label(label("zeros_scaled"))
		k.add(s, label("zeros_scaled_end"), true, true)
		k.JMP(operand.LabelRef(label("added")))

		k.Label(label("slot"))
		k.MOVQ(k.slot(s, slotEntry), reg.R12)
		k.MOVQ(k.slot(s, slotSide), vnniSide)
		k.CMPQ(k.slot(s, slotFix), operand.Imm(0))
		k.JEQ(operand.LabelRef(label("found")))
		k.MOVQ(operand.I32(0), k.slot(s, slotFix))
		for row := range 16 {
			z := zmm[4+row%12]
			k.VMOVDQA64(k.sums(s, row), z)
			k.VPADDD(k.fixes(s, row), z, z)
			k.VMOVDQA64(z, k.sums(s, row))
		}
		k.JMP(operand.LabelRef(label("found")))
		k.nextScaled(label)
	})
}

// nextScaled stores the float sums of a unit and goes to those of the next, if there
// is one.
func (k *amx) nextScaled(label func(string) string) {
	y, c := reg.RBX, reg.R9
	k.Label(label("fill"))
	k.DECQ(reg.R15)
	k.JNE(operand.LabelRef(label("on")))
	k.XORL(operand.U32(amxFilling), k.scalar(vnniForm))
	k.MOVQ(k.scalar(vnniYStep), reg.R8)
	k.JMP(operand.LabelRef(label("first")))
	k.Label(label("unit"))
	k.MOVQ(k.scalar(amxY), y)
	k.MOVQ(k.scalar(vnniYStep), reg.R8)
	k.rowsOf(16, y, reg.R8, c, func(row int, m operand.Mem) { k.VMOVUPS(zmm[16+row], m) })
	k.ADDQ(operand.Imm(64), k.scalar(amxY))
	k.firstSide()
	k.DECQ(k.scalar(amxScaleTiles))
	k.JNE(operand.LabelRef(label("next")))
	k.SUBQ(operand.Imm(16), k.scalar(amxScaleLeft))
	k.JEQ(operand.LabelRef("done"))
	k.nextRows(amxRowY, amxBlockY, amxScaleSide)
	k.MOVQ(k.scalar(vnniYStep), reg.R8)
	k.Load(k.Param("c"), c)
	k.MOVQ(at(c, callTiles), y)
	k.MOVQ(y, k.scalar(amxScaleTiles))
	k.Label(label("first"))
	k.MOVQ(k.scalar(amxRowY), y)
	k.MOVQ(y, k.scalar(amxY))
	k.firstSide()
	k.LEAQ(at(reg.RBP, amxEntries), reg.R12)
	k.Label(label("next"))
	k.MOVQ(k.scalar(amxY), y)
	k.MOVQ(k.scalar(amxSums), reg.R15)
	k.rowsOf(16, y, reg.R8, c, func(row int, m operand.Mem) { k.VMOVUPS(m, zmm[16+row]) })
	k.JMP(operand.LabelRef(label("on")))
}

// firstSide goes back to Side of the first segment.
func (k *amx) firstSide() {
	if !k.pairs {
		k.MOVQ(k.scalar(amxScaleSide), vnniSide)
	}
}

// add corrects the sums of a turn, with the zeros in Z1 where they are not one for all,
// scales them by Z0, and by scales of x if scaled, and adds them to the float sums. It goes to end
// behind the last four or eight rows that there are.
func (k *amx) add(s int, end string, zeros, scaled bool) {
	defer k.Label(end)
	there := func(row int) {
		if flag := map[int]uint32{4: amxFour, 8: amxEight}[row]; flag != 0 {
			k.TESTL(operand.U32(flag), k.scalar(vnniForm))
			k.JNE(operand.LabelRef(end))
		}
	}
	side, scale, three := reg.RBX, reg.R9, reg.R8
	if zeros || scaled || !k.less {
		k.MOVQ(vnniSide, side)
	}
	if scaled {
		k.MOVQ(vnniSide, scale)
		k.ADDQ(k.scalar(amxToScales), scale)
	}
	if k.pairs {
		for row := range 16 {
			there(row)
			k.VFMADD231PS(k.sums(s, row), zmm[0], zmm[16+row])
		}
		return
	}
	one := func(row int, m, toScale operand.Mem) {
		there(row)
		z := zmm[4+row%12]
		switch {
		case zeros:
			k.VMOVDQA64(k.sums(s, row), z)
			k.VPDPWSSD_BCST(m, zmm[1], z)
			k.VCVTDQ2PS(z, z)
		case k.less:
			k.VCVTDQ2PS(k.sums(s, row), z)
		default:
			k.VPBROADCASTD(m, z)
			k.VPADDD(k.sums(s, row), z, z)
			k.VCVTDQ2PS(z, z)
		}
		if !scaled {
			k.VFMADD231PS(z, zmm[0], zmm[16+row])
			return
		}
		k.VMULPS(zmm[0], z, z)
		k.VFMADD231PS_BCST(toScale, z, zmm[16+row])
	}
	if k.less && !zeros && !scaled {
		for row := range 16 {
			one(row, operand.Mem{}, operand.Mem{})
		}
		return
	}
	k.rowsOf(16, side, vnniSideStep, three, func(row int, m operand.Mem) {
		if scaled && row > 0 && row%4 == 0 {
			k.LEAQ(indexed(scale, vnniSideStep, 4, 0), scale)
		}
		toScale := m
		toScale.Base = scale
		one(row, m, toScale)
	})
}
