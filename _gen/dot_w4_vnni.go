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
` + vnniRegisters + `after them low and high codes of two lines, and the low nibbles' mask.`

func init() {
	register(asmDir, "dot_w4_vnni", w4VNNIHead, func(f *file) {
		for rows := 1; rows <= 12; rows++ {
			name := fmt.Sprintf("DotW4VNNIx%d", rows)
			w4VNNI(f, rows).write(name,
				fmt.Sprintf("%s adds the products of %d rows of int8 and a tile of 4-bit codes to Y.", name, rows))
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

func w4VNNI(f *file, rows int) *intVNNI {
	k := &intVNNI{file: f, rows: rows, tiles: 1, chains: vnniChains(rows), packed: true}
	codes, mask := k.spare(), zmm[31]
	k.constants = func() {
		k.MOVL(operand.U32(0x0f0f0f0f), reg.R8L)
		k.VPBROADCASTD(reg.R8L, mask)
	}
	unroll := 2
	if rows < 4 {
		unroll = 4
	} else {
		k.next = 1 // half of a tile while another is read; 8-bit codes keep the memory busy anyway
	}
	k.lines = func() {
		k.MOVL(at(vnniBlock, blockLines), vnniLines.As32())
		k.unrolled(unroll, 8, func(i int) {
			low, high := codes[0], codes[1]
			if i%2 == 1 && len(codes) > 4 {
				low, high = codes[2], codes[3]
			}
			k.fetch(64 * i)
			k.VMOVDQA64(at(vnniW, 64*i), low)
			k.VPSRLW(operand.Imm(4), low, high)
			k.VPANDD(mask, low, low)
			k.VPANDD(mask, high, high)
			for h, u := range []reg.VecPhysical{low, high} {
				for r := range rows {
					k.VPDPBUSD_BCST(k.x(r, 8*i+4*h), u, k.sum(r, 0, (2*i+h)%k.chains))
				}
			}
		})
	}
	return k
}
