package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peakRead is what one turn of a read loop reads, peakBuffer the size of the
// probe's memory, in bytes.
const peakRead, peakBuffer = 512, 8192

const (
	peakReading = `
Reading memory in ascending order with plain vector loads%s.

Maths: none; what is read is dropped.
Registers: SI address, CX bytes left, 0 to 7 what was read.
`
	peakProbing = `
A loop that keeps the load, the multiply and the integer ports of a core busy at
once, from the first cache: whatever else the core does makes it slower. Its
vectors have 128 bits, as these fill the ports as well as wider ones do: Zen 3
takes 256-bit products with memory at full speed only after some 100 us of them,
and would seem disturbed wherever the probe follows anything else. Or they have
512, beside work that has such: many processors have a lower clock for these.

Maths: none; the memory holds 0.
Registers: BX memory, DX offset in it, SI both, CX turns left, 0 to 11 sums,
12 factor, R8 to R11 integer sums.
`
)

func init() {
	peakReadLoop("scan", "Scan", peakX, 16, 0, func(f *file, m operand.Mem, r reg.VecPhysical) { f.MOVUPS(m, r) })
	peakReadLoop("scan_avx2", "ScanAVX2", peakY, 32, 0, func(f *file, m operand.Mem, r reg.VecPhysical) { f.VMOVDQU(m, r) })
	load512 := func(f *file, m operand.Mem, r reg.VecPhysical) { f.VMOVDQU64(m, r) }
	peakReadLoop("scan_avx512", "ScanAVX512", peakZ, 64, 0, load512)
	peakReadLoop("scan_ahead_avx512", "ScanAheadAVX512", peakZ, 64, 2048, load512)
	peakProbe("busy", "Busy", peakX, 16, false, func(f *file, m operand.Mem, sum reg.VecPhysical) { f.ADDPS(m, sum) })
	peakProbe("busy_fma", "BusyFMA", peakX, 16, true, func(f *file, m operand.Mem, sum reg.VecPhysical) { f.VFMADD231PS(m, reg.X12, sum) })
	peakProbe("busy_avx512", "BusyAVX512", peakZ, 64, true, func(f *file, m operand.Mem, sum reg.VecPhysical) { f.VFMADD231PS(m, reg.Z12, sum) })
	peakChain("chain", "Chain", "", nil)
	peakChain("chain_avx512", "ChainAVX512", ", and\n8n products of 512 bits beside them, for the clock that those have", func(f *file, i int) {
		f.VFMADD231PS(reg.Z12, reg.Z12, peakZ[i])
	})
}

// peakChain is a chain of additions, with something that does not wait for them
// beside every fourth.
func peakChain(name, symbol, what string, beside func(f *file, i int)) {
	head := "\nAdditions that wait for each other: one a cycle on every processor" + what + ".\n\nMaths: none.\nRegisters: AX sum, DX what is added, CX turns left"
	if beside != nil {
		head += ", 0 to 7 sums of products, 12 factor: all hold 0"
	}
	register(peakDir, name, head+".\n", func(f *file) {
		f.function(symbol, "n uintptr", symbol+" does 32n additions, each of the last one's result: 32n cycles.")
		f.Load(f.Param("n"), reg.RCX)
		f.XORQ(reg.RAX, reg.RAX)
		f.MOVQ(reg.RCX, reg.RDX)
		if beside != nil {
			for _, r := range append(peakZ[:8:8], reg.Z12) {
				f.VPXORD(r, r, r)
			}
		}
		f.Label("turn")
		for i := range 32 {
			f.ADDQ(reg.RDX, reg.RAX)
			if beside != nil && i%4 == 3 {
				beside(f, i/4)
			}
		}
		f.peakEnd()
		if beside != nil {
			f.VZEROUPPER()
		}
		f.RET()
	})
}

// peakReadLoop fetches each line so many bytes ahead; 0: that is left to the
// processor.
func peakReadLoop(name, symbol string, regs []reg.VecPhysical, size, ahead int, load func(*file, operand.Mem, reg.VecPhysical)) {
	what, fetches := "", ""
	if ahead > 0 {
		what, fetches = fmt.Sprintf(", each line fetched\n%d bytes ahead", ahead), fmt.Sprintf(", and fetches %d beyond, whether there or not", ahead)
	}
	register(peakDir, name, fmt.Sprintf(peakReading, what), func(f *file) {
		f.function(symbol, "p *byte, n uintptr", symbol+" reads n bytes, n a multiple of 512 and above 0"+fetches+".")
		f.Load(f.Param("p"), reg.RSI)
		f.Load(f.Param("n"), reg.RCX)
		f.Label("turn")
		for i := range peakRead / size {
			if ahead > 0 {
				f.PREFETCHT1(at(reg.RSI, i*size+ahead))
			}
			load(f, at(reg.RSI, i*size), regs[i%8])
		}
		f.ADDQ(operand.I32(peakRead), reg.RSI)
		f.SUBQ(operand.I32(peakRead), reg.RCX)
		f.JNZ(operand.LabelRef("turn"))
		if size > 16 {
			f.VZEROUPPER()
		}
		f.RET()
	})
}

// peakProbe does 16 times op on memory and eight additions of integers in a
// turn. op may use register 12, which holds 0.
func peakProbe(name, symbol string, regs []reg.VecPhysical, size int, avx bool, op func(*file, operand.Mem, reg.VecPhysical)) {
	register(peakDir, name, peakProbing, func(f *file) {
		f.function(symbol, "p *byte, n uintptr",
			symbol+" does 16n sums or products with memory, which is 8192 bytes of 0 at a multiple of 64, and 8n additions.")
		f.Load(f.Param("p"), reg.RBX)
		f.Load(f.Param("n"), reg.RCX)
		f.XORQ(reg.RDX, reg.RDX)
		general := []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11}
		for _, r := range general {
			f.XORQ(r, r)
		}
		for _, r := range regs[:13] {
			switch {
			case size == 64:
				f.VPXORD(r, r, r)
			case avx:
				f.VPXOR(r, r, r)
			default:
				f.XORPS(r, r)
			}
		}
		f.Label("turn")
		f.LEAQ(indexed(reg.RBX, reg.RDX, 1, 0), reg.RSI)
		for i := range 16 {
			op(f, at(reg.RSI, i*size), regs[i%12])
			if i%2 == 1 {
				f.ADDQ(reg.RDX, general[i/2%4])
			}
		}
		f.ADDQ(operand.I32(16*size), reg.RDX)
		f.ANDQ(operand.I32(peakBuffer-16*size), reg.RDX)
		f.peakEnd()
		if size > 16 {
			f.VZEROUPPER()
		}
		f.RET()
	})
}
