package asm

import "github.com/klauspost/cpuid/v2"

func init() {
	packers = append(packers, packer{
		needs:  []cpuid.FeatureID{cpuid.AVX2},
		spread: SpreadAVX2, transpose: TransposeAVX2, sums: PackSumsAVX2,
		lines: []packKernel{{bytes: 4, most: 255, run: PackDwordsAVX2}, {bytes: 8, most: 15, run: PackNibblesAVX2}},
		ordered: []packKernel{
			{bytes: 4, most: 255, ordered: PackOrderedDwordsAVX2}, {bytes: 8, most: 15, ordered: PackOrderedNibblesAVX2},
		},
	})
}
