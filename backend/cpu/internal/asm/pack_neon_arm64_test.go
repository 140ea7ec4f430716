package asm

func init() {
	packers = append(packers, packer{
		lines: []packKernel{{bytes: 4, most: 255, run: PackDwordsNEON}, {bytes: 8, most: 15, run: PackNibblesNEON}},
	})
}
