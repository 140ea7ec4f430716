package asmcheck

import "fmt"

// Instructions of AMX, which the Go assembler cannot spell: three-byte VEX in the
// map 0F38 with W = 0 and 128 bits, Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 2.
const (
	tileConfigure = 0x49 // LDTILECFG, TILERELEASE, TILEZERO
	tileMove      = 0x4b // TILELOADD, TILELOADDT1, TILESTORED
	tileMultiply  = 0x5e // TDPB??D
	tilePairs     = 0x5c // TDPBF16PS
)

// isTile reports whether an opcode is one of AMX.
func isTile(f x86Fields, opcode byte) bool {
	return !f.evex && f.l == 0 && (opcode == tileConfigure || opcode == tileMove || opcode == tileMultiply || opcode == tilePairs)
}

// x86DecodeTile decodes an instruction of AMX behind its prefix.
func x86DecodeTile(f x86Fields, opcode byte, rest []byte) (instr, use, error) {
	fail := func(format string, args ...any) (instr, use, error) {
		return instr{}, use{}, fmt.Errorf(format, args...)
	}
	modrm := rest[0]
	reg, register := int(modrm>>3&7), modrm>>6 == 3
	tile := func(n int) string { return fmt.Sprintf("TMM%d", n) }
	if f.r != 0 {
		return fail("there are eight tiles")
	}
	multiplies := opcode == tileMultiply || opcode == tilePairs
	if f.vvvv != 0 && !multiplies {
		return fail("the unused register field is %d", f.vvvv)
	}
	if register && len(rest) != 1 {
		return fail("%d bytes too many", len(rest)-1)
	}
	needs := use{needs: []string{"AMXTILE"}, avx: true}
	memory := func() (string, error) {
		text, _, err := x86Operand(f, rest, 128, 1)
		return text, err
	}
	switch {
	case opcode == tileConfigure && !register && f.pp == 0 && reg == 0:
		at, err := memory()
		return instr{op: "LDTILECFG", args: []string{at}}, needs, err
	case opcode == tileConfigure && modrm == 0xc0 && f.pp == 0 && f.x|f.b == 0:
		return instr{op: "TILERELEASE"}, needs, nil
	case opcode == tileConfigure && register && modrm&7 == 0 && f.pp == 3 && f.x|f.b == 0:
		return instr{op: "TILEZERO", args: []string{tile(reg)}}, needs, nil
	case opcode == tileMove && !register && modrm&7 == 4 && f.pp > 0: // a tile's rows lie an index apart
		at, err := memory()
		switch f.pp {
		case 1:
			return instr{op: "TILELOADDT1", args: []string{at, tile(reg)}}, needs, err
		case 3:
			return instr{op: "TILELOADD", args: []string{at, tile(reg)}}, needs, err
		}
		return instr{op: "TILESTORED", args: []string{tile(reg), at}}, needs, err
	case multiplies && register && f.x|f.b == 0 && f.vvvv < 8 && (opcode == tileMultiply || f.pp == 2):
		name, feature := [4]string{"TDPBUUD", "TDPBUSD", "TDPBSUD", "TDPBSSD"}[f.pp], "AMXINT8"
		if opcode == tilePairs {
			name, feature = "TDPBF16PS", "AMXBF16"
		}
		a, b := int(modrm&7), f.vvvv
		if a == b || a == reg || b == reg {
			return fail("%s with a tile twice", name)
		}
		needs.needs = []string{feature}
		return instr{op: name, args: []string{tile(b), tile(a), tile(reg)}}, needs, nil
	}
	return fail("opcode %#02x with prefix %d is none of AMX in this form", opcode, f.pp)
}
