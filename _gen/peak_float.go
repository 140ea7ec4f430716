package main

import "github.com/mmcloughlin/avo/reg"

const peakFloat = "float32 and bfloat16 products from registers, as many as a processor does in a\ntime.\n\nMaths: none; every register holds 0.\n"

func init() {
	peakLoop("float_fma", "FloatFMA", peakFloat, peakY, "vfmadd231ps ymm: 8 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.VFMADD231PS(b, a, sum)
	})
	peakLoop("float_avx512", "FloatAVX512", peakFloat, peakZ, "vfmadd231ps zmm: 16 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.VFMADD231PS(b, a, sum)
	})
	peakLoop("float_bf16", "FloatBF16", peakFloat, peakZ, "vdpbf16ps zmm: 32 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.peakDotBF16(b, a, sum)
	})
}

// peakDotBF16 is VDPBF16PS b, a, sum on Z0 to Z15: EVEX.512.F3.0F38.W0 52 /r.
func (f *file) peakDotBF16(b, a, sum reg.VecPhysical) {
	rm, v, r := byte(b.PhysicalIndex()), byte(a.PhysicalIndex()), byte(sum.PhysicalIndex())
	invert := func(bit, at byte) byte { return (1 - bit) << at }
	f.bytes("VDPBF16PS "+b.Asm()+", "+a.Asm()+", "+sum.Asm(), []reg.Register{b, a, sum}, []reg.Register{sum},
		0x62,
		invert(r>>3, 7)|invert(0, 6)|invert(rm>>3, 5)|invert(0, 4)|2,
		(15-v)<<3|1<<2|2,
		2<<5|invert(0, 3),
		0x52,
		3<<6|r&7<<3|rm&7)
}
