package main

func init() {
	registerText(asmDir, "finish_neon", outputMaths+`
Registers: R0 Output, R1 y, R2 its step, R3 dst, R4 its step, R5 scale, R6 its
step, R7 bias, R8 rows left, R9 tiles, R10 y, R11 dst and R12 bias of a tile, R13 tiles left; V0 to
V3 the row, V4 to V15 rounding to bfloat16, V16 to V19 bias, V20 and V21 0x7fff and
0x400000, V22 the scale.
`, func(f *neonFile) {
		finishNeon(f, "F32", func() { f.op("VST1.P %s, 64(R11)", list(4, 0, "S4")) })
		finishNeon(f, "F16", func() {
			for v := 0; v < 4; v += 2 {
				f.hand("fcvtn v%d.4h, v%d.4s", v/2, v)
				f.hand("fcvtn2 v%d.8h, v%d.4s", v/2, v+1)
			}
			f.op("VST1.P %s, 32(R11)", list(2, 0, "H8"))
		})
		finishNeon(f, "BF16", func() {
			k := exactNeon{f}
			k.keepNaN(4, 8, finishQuiet, func() { k.roundBF16(4, 4, finishBelow) })
			f.op("VUZP2 V1.H8, V0.H8, V0.H8")
			f.op("VUZP2 V3.H8, V2.H8, V1.H8")
			f.op("VST1.P %s, 32(R11)", list(2, 0, "H8"))
		})
	})
}

// Registers of what rounding to bfloat16 needs.
const finishBelow, finishQuiet = 20, 21

// finishNeon is one function; store rounds and stores the row.
func finishNeon(f *neonFile, kind string, store func()) {
	k := exactNeon{f}
	name := "Finish" + kind + "NEON"
	k.function(name, "o *Output", 8, "turns sums into outputs of the type in its name: see Output.")
	k.op("MOVD o+0(FP), R0")
	k.load(0, field{outY, 1}, field{outYStep, 2}, field{outDst, 3}, field{outDstStep, 4}, field{outScales, 5}, field{outScalesStep, 6}, field{outBias, 7}, field{outRows, 8}, field{outTiles, 9})
	if kind == "BF16" {
		k.fill(0x7fff, finishBelow)
		k.fill(0x400000, finishQuiet)
	}

	k.label("row")
	k.op("MOVD R1, R10")
	k.op("MOVD R3, R11")
	k.op("MOVD R7, R12")
	k.op("MOVD R9, R13")
	k.op("CBZ R5, tile")
	k.op("FMOVS (R5), F22")
	k.op("ADD R6, R5")
	k.label("tile")
	k.op("VLD1.P 64(R10), %s", list(4, 0, "S4"))
	k.op("CBZ R5, bias")
	for v := range 4 {
		k.hand("fmul v%d.4s, v%[1]d.4s, v22.s[0]", v)
	}
	k.label("bias")
	k.op("CBZ R7, store")
	k.op("VLD1.P 64(R12), %s", list(4, 16, "S4"))
	for v := range 4 {
		k.hand("fadd v%d.4s, v%[1]d.4s, v%d.4s", v, 16+v)
	}
	k.label("store")
	store()
	k.op("SUBS $1, R13")
	k.op("BNE tile")
	k.op("ADD R2, R1")
	k.op("ADD R4, R3")
	k.op("SUBS $1, R8")
	k.op("BNE row")
	k.op("RET")
}
