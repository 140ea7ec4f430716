package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// convert scales the sums and adds them to the float sums.
func (k *intVNNI) convert() {
	for n := k.chains; n > 1; n /= 2 {
		k.each(func(r, t int) {
			for c := range n / 2 {
				k.VPADDD(k.sum(r, t, c+n/2), k.sum(r, t, c), k.sum(r, t, c))
			}
		})
	}
	scale := k.spare()[:k.tiles]
	k.loadScales("", vnniScale, scale)
	k.each(func(r, t int) { k.VCVTDQ2PS(k.sum(r, t, 0), k.sum(r, t, 0)) })
	k.TESTL(operand.U32(vnniScaled), k.scalar(vnniForm))
	k.JNE(operand.LabelRef("scaled"))
	if k.inMemory {
		k.toMemory(scale)
	} else {
		k.each(func(r, t int) { k.VFMADD231PS(scale[t], k.sum(r, t, 0), k.y(r, t)) })
	}
	k.Label("converted")
	k.later(func() {
		k.Label("scaled")
		k.each(func(r, t int) { k.VMULPS(scale[t], k.sum(r, t, 0), k.sum(r, t, 0)) })
		k.LEAQ(indexed(vnniSide, vnniToScales, 1, 0), reg.R8)
		if k.inMemory {
			k.scaledToMemory()
		} else {
			k.eachSide(func(r int, sx operand.Mem) {
				for t := range k.tiles {
					k.VFMADD231PS_BCST(sx, k.sum(r, t, 0), k.y(r, t))
				}
			})
		}
		k.JMP(operand.LabelRef("converted"))
	})
}

// toMemory adds sums times scales to Y.
func (k *intVNNI) toMemory(scale []reg.VecPhysical) {
	p := reg.R8
	k.MOVQ(k.scalar(vnniY), p)
	k.each(func(r, t int) {
		if r > 0 && t == 0 {
			k.ADDQ(k.scalar(vnniYStep), p)
		}
		k.VFMADD213PS(at(p, 64*t), scale[t], k.sum(r, t, 0))
		k.VMOVUPS(k.sum(r, t, 0), at(p, 64*t))
	})
}

// scaledToMemory adds sums times the scales of x at R8 to Y.
func (k *intVNNI) scaledToMemory() {
	p, y := vnniScale, k.spare()
	k.MOVQ(p, k.scalar(vnniKept))
	k.MOVQ(k.scalar(vnniY), p)
	k.eachSide(func(r int, sx operand.Mem) {
		if r > 0 {
			k.ADDQ(k.scalar(vnniYStep), p)
		}
		for t := range k.tiles {
			to := y[(r*k.tiles+t)%len(y)]
			k.VMOVUPS(at(p, 64*t), to)
			k.VFMADD231PS_BCST(sx, k.sum(r, t, 0), to)
			k.VMOVUPS(to, at(p, 64*t))
		}
	})
	k.MOVQ(k.scalar(vnniKept), p)
}

// loadScales widens a segment's scales to float32. The labels in it begin with name.
func (k *intVNNI) loadScales(name string, from reg.Register, scale []reg.VecPhysical) {
	k.TESTB(operand.Imm(formF16), k.scalar(vnniForm))
	k.JEQ(operand.LabelRef(name + "not_f16"))
	for t, s := range scale {
		k.VCVTPH2PS(inTile(t, from, 0), s)
	}
	k.Label(name + "scales")
	k.later(func() {
		k.Label(name + "not_f16")
		k.TESTB(operand.Imm(formBF16), k.scalar(vnniForm))
		k.JNE(operand.LabelRef(name + "bf16"))
		for t, s := range scale {
			k.VMOVUPS(inTile(t, from, 0), s)
		}
		k.JMP(operand.LabelRef(name + "scales"))
		k.Label(name + "bf16")
		for t, s := range scale {
			k.VPMOVZXWD(inTile(t, from, 0), s)
			k.VPSLLD(operand.Imm(16), s, s)
		}
		k.JMP(operand.LabelRef(name + "scales"))
	})
}
