package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// halfLabel is a label of half a tile of a sum.
func halfLabel(n int, name string) string { return fmt.Sprintf("%s%d", name, n) }

// scaleHalf adds half a tile of a sum, corrected and scaled, to Y, if there is one. Those
// behind those of a sum are the last of it once more.
func (k *amxUnits) scaleHalf(n int) {
	h := amxHalf{amxUnits: k, n: n, tile: n / 2, row: n % 2 * 8}
	if n >= 2*k.tiles() {
		h.tile -= k.high
	}
	k.Label(halfLabel(n, "scale"))
	k.TESTQ(reg.R12, reg.R12)
	k.JEQ(operand.LabelRef(halfLabel(n, "scaled")))
	if h.row == 0 {
		k.onlyWhole(unitScaledShort, h.tile, halfLabel(n, "scaled"))
	} else if h.last() {
		k.CMPQ(k.scalar(unitScaledShort), operand.Imm(0))
		k.JNE(operand.LabelRef(halfLabel(n, "scaled")))
	}
	h.write()
	k.Label(halfLabel(n, "scaled"))
}

// amxHalf is half a tile of a sum while it is scaled.
type amxHalf struct {
	*amxUnits
	n, tile, row int
}

// z is where a row is made float32.
func (h amxHalf) z(row int) reg.VecPhysical { return zmm[4+row] }

// sum is a row of it in Call.Spare.
func (h amxHalf) sum(row int) operand.Mem {
	return at(reg.RBP, h.tile*amxTile+64*(h.row+row))
}

func (h amxHalf) write() {
	k := h.amxUnits
	entry := func(disp int) operand.Mem { return at(reg.R12, disp) }
	if h.tile%2 == 1 {
		k.MOVQ(k.scalar(unitApart), reg.R8)
		entry = func(disp int) operand.Mem { return indexed(reg.R12, reg.R8, 1, disp) }
	}
	k.VMOVUPS(entry(0), zmm[0])
	if k.pairs {
		h.each("", h.plain, false)
		return
	}
	k.TESTL(operand.U32(uint32(k.zeros())|vnniScaled), k.scalar(vnniForm))
	k.JNE(operand.LabelRef(halfLabel(h.n, "other")))
	if k.less {
		h.each("", h.plain, false)
	} else {
		h.side("", h.constant, false)
	}
	k.later(func() {
		k.Label(halfLabel(h.n, "other"))
		k.VMOVDQU32(entry(entryZeros), zmm[1])
		k.TESTB(operand.Imm(k.zeros()), k.scalar(vnniForm))
		k.JNE(operand.LabelRef(halfLabel(h.n, "zeros")))
		if k.less {
			h.side("_scaled", h.plain, true)
		} else {
			h.side("_scaled", h.constant, true)
		}
		k.JMP(operand.LabelRef(halfLabel(h.n, "scaled")))
		k.Label(halfLabel(h.n, "zeros"))
		k.TESTL(operand.U32(vnniScaled), k.scalar(vnniForm))
		k.JNE(operand.LabelRef(halfLabel(h.n, "zeros_scaled")))
		h.side("_zeros", h.zeros, false)
		k.JMP(operand.LabelRef(halfLabel(h.n, "scaled")))
		k.Label(halfLabel(h.n, "zeros_scaled"))
		h.side("_zeros_scaled", h.zeros, true)
		k.JMP(operand.LabelRef(halfLabel(h.n, "scaled")))
	})
}

// each scales eight rows and adds them to Y, also by scales of x where scaled. Its label is so called.
func (h amxHalf) each(end string, convert func(row int), scaled bool) {
	k, y, step, three := h.amxUnits, reg.RBX, reg.R8, reg.R9
	end = halfLabel(h.n, "end"+end)
	k.MOVQ(k.scalar(vnniYStep), step)
	k.MOVQ(k.scalar(unitScaledY), y)
	for range h.tile / 2 {
		k.ADDQ(k.scalar(unitOtherY), y)
	}
	if h.row > 0 {
		k.LEAQ(indexed(y, step, 8, 0), y)
	}
	k.rowsOf(8, y, step, three, func(row int, of operand.Mem) {
		if row == 4 && h.row == 0 && h.last() {
			k.CMPQ(k.scalar(unitScaledShort), operand.Imm(unitFour))
			k.JEQ(operand.LabelRef(end))
		}
		z := h.z(row)
		of.Disp += 64 * (h.tile % 2)
		convert(row)
		if scaled {
			k.VMULPS(zmm[0], z, z)
			k.VMOVUPS(of, zmm[2])
			k.VFMADD231PS_BCST(indexed(reg.RSI, reg.RDI, 1, 0), z, zmm[2])
			k.VMOVUPS(zmm[2], of)
		} else {
			k.VFMADD213PS(of, zmm[0], z)
			k.VMOVUPS(z, of)
		}
	})
	if h.row == 0 && h.last() {
		k.Label(end)
	}
}

// last says that it is of the last tiles of rows, of which not all rows may be there.
func (h amxHalf) last() bool { return h.tile/2 == h.high-1 }

// side is each where SI walks over Side, and DI is the way from there to Scales.
func (h amxHalf) side(end string, convert func(row int), scaled bool) {
	k := h.amxUnits
	k.MOVQ(k.scalar(unitSideStep), reg.RDI)
	k.MOVQ(k.scalar(unitScaledSide), reg.RSI)
	for range h.tile / 2 {
		k.ADDQ(k.scalar(unitOtherSide), reg.RSI)
	}
	if h.row > 0 {
		k.LEAQ(indexed(reg.RSI, reg.RDI, 8, 0), reg.RSI)
	}
	k.MOVQ(k.scalar(amxToScales), reg.RDI)
	h.each(end, func(row int) {
		if row > 0 {
			k.ADDQ(k.scalar(unitSideStep), reg.RSI)
		}
		convert(row)
	}, scaled)
	k.MOVL(reg.ECX, reg.ESI)
	k.SHRL(operand.Imm(4), reg.ESI)
	k.MOVL(operand.U32(64), reg.EDI)
}

// plain makes a row float32.
func (h amxHalf) plain(row int) {
	if h.pairs {
		h.VMOVUPS(h.sum(row), h.z(row))
	} else {
		h.VCVTDQ2PS(h.sum(row), h.z(row))
	}
}

// constant does so and corrects it by Side.
func (h amxHalf) constant(row int) {
	z := h.z(row)
	h.VPBROADCASTD(at(reg.RSI, 0), z)
	h.VPADDD(h.sum(row), z, z)
	h.VCVTDQ2PS(z, z)
}

// zeros does so with zero points of each column.
func (h amxHalf) zeros(row int) {
	z := h.z(row)
	h.VMOVDQA64(h.sum(row), z)
	h.VPDPWSSD_BCST(at(reg.RSI, 0), zmm[1], z)
	h.VCVTDQ2PS(z, z)
}
