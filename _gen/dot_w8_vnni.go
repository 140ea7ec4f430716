package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/reg"
)

const w8VNNIHead = `
8-bit weights by int8 x: see package asm for the layout and the sums.

Maths: codes are unsigned, x is signed, as vpdpbusd takes them: four products and
the sum of before, in int32 without saturation. `

const w8VNNIRest = `Kernels of one tile take x from
memory in vpdpbusd itself; kernels of two tiles load it once for both.
` + vnniRegisters + `after them weights, and for two tiles x.`

const s8VNNIRest = `x of three rows is loaded four
dwords at a time and shuffled into lanes, that of others taken from memory in vpdpbusd.
` + vnniRegisters + `after them weights, then four dwords of x
of each of three rows, one of them in all lanes.`

const p4VNNIHead = `
4-bit weights, unpacked by UnpackW4VNNI, by int8 x: see package asm for the sums.

Maths: a line is two lines of 8-bit codes, and its sums are theirs. `

// rowsShuffled8 is rowsShuffled for 8-bit codes, and leastNext8 the fewest rows of kernels that
// fetch of the next tile while they multiply: with fewer, memory is busy anyway.
const rowsShuffled8, leastNext8 = 3, 10

// mostTwoTiles is the most rows of a kernel for two tiles. Those of more than six
// take fewer calls, which weigh where two units make one short, and read each
// weight for more rows.
const mostTwoTiles = 12

func init() {
	register(asmDir, "dot_w8_vnni", w8VNNIHead+w8VNNIRest, func(f *file) {
		for rows := 1; rows <= 12; rows++ {
			byteCodes(f, "DotW8VNNI", "8-bit codes", rows, 1, 1, 0)
		}
		for rows := 1; rows <= mostTwoTiles; rows++ {
			byteCodes(f, "DotW8VNNI", "8-bit codes", rows, 2, 1, 0)
		}
	})
	register(asmDir, "dot_s8_vnni", w8VNNIHead+s8VNNIRest, func(f *file) {
		for rows := leastShuffled; rows <= 12; rows++ {
			byteCodes(f, "DotS8VNNI", "8-bit codes", rows, 1, 1, rowsShuffled8)
		}
	})
	register(asmDir, "dot_p4_vnni", p4VNNIHead+w8VNNIRest, func(f *file) {
		for rows := 1; rows <= 6; rows++ {
			byteCodes(f, "DotP4VNNI", "unpacked 4-bit codes", rows, 1, 2, 0)
		}
		for rows := 1; rows <= mostTwoTiles; rows++ {
			byteCodes(f, "DotP4VNNI", "unpacked 4-bit codes", rows, 2, 2, 0)
		}
	})
}

// byteCodes emits a kernel for lines of a code in each byte, each line of the
// panel being so many of them, with x of so many rows shuffled.
func byteCodes(f *file, family, codes string, rows, tiles, lines, shuffled int) {
	name, what := fmt.Sprintf("%sx%d", family, rows), "a tile"
	k := &intVNNI{file: f, rows: rows, tiles: tiles, chains: vnniChains(rows), packed: tiles == 1 && lines == 1}
	if tiles == 2 {
		name, what = name+"x2", "two tiles"
		k.chains = vnniChains(2 * rows)
		k.inMemory = rows > 7
		k.next = max(1, rows/6)
		if lines == 1 {
			k.next *= 2
		}
	}
	if spare := k.spare(); shuffled > 0 {
		k.shuffled = spare[len(spare)-shuffled-1:]
		if rows >= leastNext8 {
			k.next = 1
		}
	}
	k.lines = func() {
		k.MOVL(at(vnniBlock, blockLines), vnniLines.As32())
		if lines == 2 {
			k.ADDL(vnniLines.As32(), vnniLines.As32())
		}
		k.byteLines()
	}
	k.write(name, fmt.Sprintf("%s adds the products of %d rows of int8 and %s of %s to Y.", name, rows, what, codes))
}

func (k *intVNNI) byteLines() {
	weights, x := k.spare()[:len(k.spare())-len(k.shuffled)], []reg.VecPhysical(nil)
	if k.tiles == 2 { // with seven rows no more than two registers are left for weights
		n := min(4, len(weights)-2)
		weights, x = weights[:n], weights[n:]
	}
	k.unrolled(4, 4, func(i int, alone bool) {
		k.fetch(64 * i)
		w := weights[i*k.tiles%len(weights):][:k.tiles]
		for t := range w {
			k.VMOVDQA64(inTile(t, vnniW, 64*i), w[t])
		}
		chain := i % k.chains
		if k.tiles == 1 {
			k.products(i, alone, w[0], chain)
			return
		}
		for r := range k.rows {
			to := x[(i*k.rows+r)%len(x)]
			k.VPBROADCASTD(k.x(r, 4*i), to)
			for t := range w {
				k.VPDPBUSD(to, w[t], k.sum(r, t, chain))
			}
		}
	})
}
