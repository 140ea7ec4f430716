package main

func init() {
	for _, k := range []struct {
		name, file, doc string
		lines           int // of 16 bytes of a row
	}{
		{"PackDwordsNEON", "pack_dwords_neon", "writes 8·n lines, step bytes apart, from 16 rows of dwords, stride bytes apart.", 4},
		{"PackNibblesNEON", "pack_nibbles_neon", "writes 4·n lines, step bytes apart, from 16 rows of 4-bit codes, one in each byte,\n// stride bytes apart.", 2},
	} {
		registerText(asmDir, k.file, `
Writes lines of a tile, 16 columns, from the rows of these columns: see
PackDwordsAVX2, whose maths and arguments these are.

Maths: none. Four rows at a time, 16 bytes of each, are transposed.
Registers: R0 next line, R1 bytes to the next one, R2 next bytes of row 0, R3 bytes
from row to row, R4 turns left, R5 row; V0 to V7 rows, V16 to V31 lines, four
registers each.
`, func(f *neonFile) {
			f.stubs.WriteString("\nimport \"unsafe\"\n")
			f.function(k.name, "dst unsafe.Pointer, step uintptr, src unsafe.Pointer, stride, n uintptr", 40, k.doc)
			f.op("MOVD dst+0(FP), R0")
			f.op("MOVD step+8(FP), R1")
			f.op("MOVD src+16(FP), R2")
			f.op("MOVD stride+24(FP), R3")
			f.op("MOVD n+32(FP), R4")
			f.op("LSL $1, R4")
			f.label("turn")
			f.op("MOVD R2, R5")
			f.op("ADD $16, R2")
			line := func(j, q int) int { return 16 + 4*j + q }
			for q := range 4 {
				for r := range 4 {
					f.op("VLD1 (R5), [V%d.B16]", r)
					f.op("ADD R3, R5")
				}
				if k.lines == 4 {
					for i, name := range []string{"VZIP1", "VZIP2"} {
						f.op("%s V2.S4, V0.S4, V%d.S4", name, 4+i)
						f.op("%s V3.S4, V1.S4, V%d.S4", name, 6+i)
					}
					for i := range 2 {
						f.op("VZIP1 V%d.S4, V%d.S4, V%d.S4", 6+i, 4+i, line(2*i, q))
						f.op("VZIP2 V%d.S4, V%d.S4, V%d.S4", 6+i, 4+i, line(2*i+1, q))
					}
					continue
				}
				for r := range 4 {
					f.op("VUSHR $28, V%d.D2, V4.D2", r)
					f.op("VORR V4.B16, V%d.B16, V%[1]d.B16", r)
				}
				f.op("VUZP1 V1.S4, V0.S4, V4.S4")
				f.op("VUZP1 V3.S4, V2.S4, V5.S4")
				f.op("VUZP1 V5.S4, V4.S4, V%d.S4", line(0, q))
				f.op("VUZP2 V5.S4, V4.S4, V%d.S4", line(1, q))
			}
			for j := range k.lines {
				f.op("VST1 %s, (R0)", list(4, line(j, 0), "S4"))
				f.op("ADD R1, R0")
			}
			f.op("SUBS $1, R4")
			f.op("BNE turn")
			f.op("RET")
		})
	}
}
