package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Instructions of AMX, by tile number: three-byte VEX in the map 0F38, W = 0,
// 128 bits, as the Intel 64 and IA-32 Architectures Software Developer's Manual,
// volume 2, has them. Tiles are written TMM0 to TMM7.

// Values of the field pp.
const (
	vexNone = iota
	vex66
	vexF3
	vexF2
)

// vexTile is the prefix and the opcode: x and b are the high bits of the index
// and the base.
func vexTile(x, b, vvvv, pp int, opcode byte) []byte {
	return []byte{0xc4, 1<<7 | byte(1-x)<<6 | byte(1-b)<<5 | 2, byte(15-vvvv)<<3 | byte(pp), opcode}
}

func (f *file) loadTileConfig(m operand.Mem) {
	base := int(m.Base.(reg.Physical).PhysicalIndex())
	if m.Index != nil || base&7 == 4 {
		panic("a base register without SIB byte is wanted")
	}
	code := append(vexTile(0, base>>3, 0, vexNone, 0x49), displaced(0, base, m.Disp)...)
	f.bytes("LDTILECFG "+m.Asm(), []reg.Register{m.Base}, nil, code...)
}

func (f *file) releaseTiles() {
	f.bytes("TILERELEASE", nil, nil, append(vexTile(0, 0, 0, vexNone, 0x49), 0xc0)...)
}

func (f *file) zeroTile(tile int) {
	f.bytes(fmt.Sprintf("TILEZERO TMM%d", tile), nil, nil, append(vexTile(0, 0, 0, vexF2, 0x49), byte(0xc0|tile<<3))...)
}

// loadTile reads a tile whose rows lie m.Index bytes apart, storeTile writes one.
func (f *file) loadTile(m operand.Mem, tile int) {
	f.bytes(fmt.Sprintf("TILELOADD %s, TMM%d", m.Asm(), tile), []reg.Register{m.Base, m.Index}, nil, tileMove(m, tile, vexF2)...)
}

func (f *file) storeTile(tile int, m operand.Mem) {
	f.bytes(fmt.Sprintf("TILESTORED TMM%d, %s", tile, m.Asm()), []reg.Register{m.Base, m.Index}, nil, tileMove(m, tile, vexF3)...)
}

// streamTile is loadTile of what is not read again soon, and need not stay in the first cache.
func (f *file) streamTile(m operand.Mem, tile int) {
	f.bytes(fmt.Sprintf("TILELOADDT1 %s, TMM%d", m.Asm(), tile), []reg.Register{m.Base, m.Index}, nil, tileMove(m, tile, vex66)...)
}

func tileMove(m operand.Mem, tile, pp int) []byte {
	base, index := int(m.Base.(reg.Physical).PhysicalIndex()), int(m.Index.(reg.Physical).PhysicalIndex())
	code := vexTile(index>>3, base>>3, 0, pp, 0x4b)
	rest := displaced(tile, 4, m.Disp)
	if base&7 == 5 && m.Disp == 0 { // a base of BP or R13 has a displacement
		rest = []byte{1<<6 | rest[0], 0}
	}
	sib := byte(int(log2(int(m.Scale)))<<6 | index&7<<3 | base&7)
	return append(append(append(code, rest[0]), sib), rest[1:]...)
}

// displaced is ModRM for memory, and the shortest displacement.
func displaced(r, rm, disp int) []byte {
	b := byte(r&7<<3 | rm&7)
	switch d := uint32(disp); {
	case disp == 0 && rm&7 != 5:
		return []byte{b}
	case disp == int(int8(disp)):
		return []byte{1<<6 | b, byte(d)}
	default:
		return []byte{2<<6 | b, byte(d), byte(d >> 8), byte(d >> 16), byte(d >> 24)}
	}
}

// tileProduct is what tiles hold.
type tileProduct struct {
	name   string
	pp     int
	opcode byte
}

var (
	signedBytes   = tileProduct{"TDPBSSD", vexF2, 0x5e}
	unsignedBytes = tileProduct{"TDPBSUD", vexF3, 0x5e} // of b
	bfloat16Pairs = tileProduct{"TDPBF16PS", vexF3, 0x5c}
)

// multiplyTiles adds the products of a and b to sum.
func (f *file) multiplyTiles(p tileProduct, b, a, sum int) {
	f.bytes(fmt.Sprintf("%s TMM%d, TMM%d, TMM%d", p.name, b, a, sum), nil, nil, append(vexTile(0, 0, b, p.pp, p.opcode), byte(3<<6|sum<<3|a))...)
}
