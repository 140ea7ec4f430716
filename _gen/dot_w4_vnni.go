package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const w4VNNIHead = `
4-bit weights by int8 x: see package asm for the layout and the sums.

Maths: codes are unsigned, x is signed, as vpdpbusd takes them: four products and
the sum of before, in int32 without saturation. A line is two of its operands.
`

const s4VNNIRest = `x of two rows, one of nine, is loaded four dwords at a time and shuffled into lanes.
` + vnniRegisters + `after them low and high codes of two lines, with
nine rows of one, four dwords of x of each row that is shuffled, one of them in all
lanes, and the low nibbles' mask.`

// x of so many rows goes to lanes by shuffles, in kernels of the rows from which loads,
// not memory, keep products waiting. Measured on Zen 5, 1 to 3 rows: all better than none,
// and two or three than one.
const rowsShuffled, leastShuffled = 2, 7

func init() {
	kernel := func(f *file, family string, rows, shuffled int) {
		name := fmt.Sprintf("%sVNNIx%d", family, rows)
		w4VNNI(f, rows, shuffled).write(name,
			fmt.Sprintf("%s adds the products of %d rows of int8 and a tile of 4-bit codes to Y.", name, rows))
	}
	register(asmDir, "dot_w4_vnni", w4VNNIHead+vnniRegisters+"after them low and high codes of two lines, and the low nibbles' mask.", func(f *file) {
		for rows := 1; rows <= 12; rows++ {
			kernel(f, "DotW4", rows, 0)
		}
	})
	register(asmDir, "dot_s4_vnni", w4VNNIHead+s4VNNIRest, func(f *file) {
		for rows := leastShuffled; rows <= 12; rows++ {
			kernel(f, "DotS4", rows, rowsShuffled)
		}
	})
}

// vnniChains is how many chains the sums of so many rows by one tile have: at
// least four vpdpbusd in flight for their latency, ten where registers allow.
func vnniChains(rows int) int {
	switch {
	case rows == 1:
		return 4
	case rows < 10:
		return 2
	}
	return 1
}

// w4VNNI is a kernel with x of so many rows at most shuffled.
func w4VNNI(f *file, rows, shuffled int) *intVNNI {
	k := &intVNNI{file: f, rows: rows, tiles: 1, chains: vnniChains(rows), packed: true}
	codes, mask := k.spare()[:len(k.spare())-1], zmm[31]
	if shuffled > 0 { // nine rows leave registers for one
		n := len(codes) - min(shuffled, len(codes)-3) - 1
		codes, k.shuffled = codes[:n], codes[n:]
	}
	k.constants = func() {
		k.MOVL(operand.U32(0x0f0f0f0f), reg.R8L)
		k.VPBROADCASTD(reg.R8L, mask)
	}
	unroll := 2
	if rows < 4 {
		unroll = 4
	} else {
		k.next = 1 // half of a tile while another is read
	}
	k.lines = func() {
		k.MOVL(at(vnniBlock, blockLines), vnniLines.As32())
		k.unrolled(unroll, 8, func(i int, alone bool) {
			low, high := codes[0], codes[1]
			if i%2 == 1 && len(codes) >= 4 {
				low, high = codes[2], codes[3]
			}
			k.fetch(64 * i)
			k.VMOVDQA64(at(vnniW, 64*i), low)
			k.VPSRLW(operand.Imm(4), low, high)
			k.VPANDD(mask, low, low)
			k.VPANDD(mask, high, high)
			for h, u := range []reg.VecPhysical{low, high} {
				k.products(2*i+h, alone, u, (2*i+h)%k.chains)
			}
		})
	}
	return k
}
