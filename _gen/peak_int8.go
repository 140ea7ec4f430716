package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peakDir is the package of the loops that measure a processor.
const peakDir = "internal/peak"

// peakTurn is the instructions of one turn of a loop, each into one of the
// independent sums, of X and Y twelve, for which there are registers beside two
// factors. Twelve are latency × ports of vdpbf16ps on Zen 5, which did 1.85 in a cycle of the 2 it
// does with twice as many.
const peakTurn = 24

var (
	peakX = []reg.VecPhysical{reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7, reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13}
	peakY = []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13}
	peakZ = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12,
		reg.Z13, reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25,
	}
)

const (
	peakInt8  = peakInt8s + "every register holds 0.\n"
	peakInt8s = "int8 products from registers, as many as a processor does in a time.\n\nMaths: none; "
	peakPairs = "Registers: 0 to 5 products, 6 to 11 their sums by four, 12 and 13 factors, CX turns left."
)

func init() {
	peakLoop("int8_vnni", "Int8VNNI", peakInt8, peakZ, "vpdpbusd zmm: 64 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.VPDPBUSD(b, a, sum)
	})
	peakLoop("int8_vnni256", "Int8VNNI256", peakInt8, peakY, "vpdpbusd ymm in its EVEX encoding: 32 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.VPDPBUSD(b, a, sum)
	})
	peakLoop("int8_avxvnni", "Int8AVXVNNI", peakInt8, peakY, "vpdpbusd ymm in its VEX encoding: 32 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.peakVexDot(b, a, sum)
	})
	peakLoop("int8_avx2", "Int8AVX2", peakInt8, peakY, "vpmaddubsw ymm: 32 products each", func(f *file, sum, a, b reg.VecPhysical) {
		f.VPMADDUBSW(b, a, sum)
	})
	peakTiles("int8_amx", "Int8AMX", peakInt8s, "tdpbssd: 16384 products each", signedBytes)
	peakTiles("float_amx", "FloatAMX", peakFloats, "tdpbf16ps: 8192 products each", bfloat16Pairs)
	register(peakDir, "int8pair_avx2", peakInt8+peakPairs, func(f *file) {
		f.function("Int8PairAVX2", "n uintptr", "Int8PairAVX2 does 12n times vpmaddubsw and vpmaddwd ymm: 32 products for each two.")
		f.peakBegin(peakY)
		for range 2 {
			for i := range 6 {
				f.VPMADDUBSW(peakY[12], peakY[13], peakY[i])
			}
			for i := range 6 {
				f.VPMADDWD(peakY[12], peakY[i], peakY[6+i])
			}
		}
		f.peakEnd()
		f.VZEROUPPER()
		f.RET()
	})
}

// peakTiles makes the file of a function of tiles.
func peakTiles(name, symbol, head, what string, product tileProduct) {
	register(peakDir, name, head+`every tile holds 0.
Registers: TMM0 to TMM3 sums, TMM4 to TMM7 factors, CX turns left, SP the
configuration of tiles: palette 1, 16 rows of 64 bytes.`, func(f *file) {
		f.function(symbol, "n uintptr", symbol+" does 24n times "+what+".")
		config := f.AllocLocal(64)
		f.Load(f.Param("n"), reg.RCX)
		f.VPXOR(reg.Y0, reg.Y0, reg.Y0)
		f.VMOVDQU(reg.Y0, config)
		f.VMOVDQU(reg.Y0, config.Offset(32))
		f.MOVB(operand.Imm(1), config)
		for n := range 8 {
			f.MOVW(operand.U16(64), config.Offset(16+2*n))
			f.MOVB(operand.Imm(16), config.Offset(48+n))
		}
		f.LEAQ(config, reg.RDX)
		f.loadTileConfig(at(reg.RDX, 0))
		for n := range 8 {
			f.zeroTile(n)
		}
		f.Label("turn")
		for i := range peakTurn {
			f.multiplyTiles(product, 6+i%2, 4+i/2%2, i%4)
		}
		f.peakEnd()
		f.releaseTiles()
		f.VZEROUPPER()
		f.RET()
	})
}

// peakLoop makes the file of the function symbol(n): n turns of peakTurn times op,
// with two factors in the last of the registers.
func peakLoop(name, symbol, head string, regs []reg.VecPhysical, what string, op func(f *file, sum, a, b reg.VecPhysical)) {
	sums := len(regs) - 2
	registers := fmt.Sprintf("Registers: 0 to %d independent sums, %d and %d factors, CX turns left.", sums-1, sums, sums+1)
	register(peakDir, name, head+registers, func(f *file) {
		f.function(symbol, "n uintptr", fmt.Sprintf("%s does %dn times %s.", symbol, peakTurn, what))
		f.peakBegin(regs)
		for i := range peakTurn {
			op(f, regs[i%sums], regs[sums], regs[sums+1])
		}
		f.peakEnd()
		f.VZEROUPPER()
		f.RET()
	})
}

// peakBegin clears the registers and begins the loop over n.
func (f *file) peakBegin(regs []reg.VecPhysical) {
	f.Load(f.Param("n"), reg.RCX)
	for _, r := range regs {
		if r.Size() == 64 {
			f.VPXORD(r, r, r)
		} else {
			f.VPXOR(r, r, r)
		}
	}
	f.Label("turn")
}

func (f *file) peakEnd() {
	f.DECQ(reg.RCX)
	f.JNZ(operand.LabelRef("turn"))
}

// peakVexDot is VPDPBUSD b, a, sum on Y registers: VEX.256.66.0F38.W0 50 /r.
func (f *file) peakVexDot(b, a, sum reg.VecPhysical) {
	rm, v, r := byte(b.PhysicalIndex()), byte(a.PhysicalIndex()), byte(sum.PhysicalIndex())
	invert := func(bit, at byte) byte { return (1 - bit) << at }
	f.bytes("VPDPBUSD "+b.Asm()+", "+a.Asm()+", "+sum.Asm(), []reg.Register{b, a, sum}, []reg.Register{sum},
		0xc4,
		invert(r>>3, 7)|invert(0, 6)|invert(rm>>3, 5)|2,
		(15-v)<<3|1<<2|1,
		0x50,
		3<<6|r&7<<3|rm&7)
}
