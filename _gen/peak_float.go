package main

import "github.com/mmcloughlin/avo/reg"

const (
	peakFloat  = peakFloats + "every register holds 0.\n"
	peakFloats = "float32 and bfloat16 products from registers, as many as a processor does in a\ntime.\n\nMaths: none; "
)

func init() {
	peakLoop("float_fma", "FloatFMA", peakFloat, peakY, "vfmadd231ps ymm: 8 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.VFMADD231PS(b, a, sum)
	})
	peakLoop("float_avx512", "FloatAVX512", peakFloat, peakZ, "vfmadd231ps zmm: 16 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.VFMADD231PS(b, a, sum)
	})
	peakLoop("float_bf16", "FloatBF16", peakFloat, peakZ, "vdpbf16ps zmm: 32 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.dotBF16(b, a, sum)
	})
}
