package cpu

import "github.com/bitlane/bitlane/backend/cpu/internal/asm"

// AMX multiplies tiles: 16 rows of x by 16 lines of 8-bit codes, which is 64
// features. Prepared rows stand a second time in such tiles, 16 rows after the
// other: a tile is then read from one piece of memory.

// leastTiled is the rows from which products are on tiles. Measured on Granite
// Rapids, 4096x4096: 12 rows take as long as 16 on tiles do.
const leastTiled = 13

// mostZero is the largest zero point for all that leaves signed bytes of 4-bit
// codes.
const mostZero = 128

// canTile reports whether a panel of int8 x can be multiplied on tiles: whether
// every segment has whole ones. Parts of a tile would take as long as all of it.
func (p *panel) canTile() bool {
	for _, b := range p.blocks {
		if b.Features%asm.TileFeatures != 0 {
			return false
		}
	}
	return p.zero <= mostZero || p.bits == 8
}

// tiledRows is rows of x with those that fill their last tiles.
func tiledRows(rows int) int { return (rows + asm.TileRows - 1) / asm.TileRows * asm.TileRows }

// toTiles copies the values of prepared row m, one byte each, to tiles.
func toTiles(tiles, row []byte, m int) {
	const each = asm.TileFeatures
	to := tiles[m/asm.TileRows*asm.TileRows*len(row)+m%asm.TileRows*each:]
	for at := 0; at < len(row); at += each {
		copy(to[at*asm.TileRows:][:each], row[at:])
	}
}

// fetchOnTiles lets a call for so many rows fetch what comes, all of it.
func (b *block) fetchOnTiles(r run, rows int) {
	c := b.call
	c.Soon, c.SoonStep, c.Share = soonOnTiles(b.coming, int(b.first[r.to]-b.first[r.from])*rows/asm.TileRows)
	b.coming = [2]span{}
}

// soonOnTiles divides two spans of about the same length among so many steps, each
// of which fetches share lines of both.
func soonOnTiles(coming [2]span, steps int) (at, step, share uintptr) {
	if coming[0].bytes == 0 {
		return 0, 0, 0
	}
	if coming[1].bytes > 0 {
		step = coming[1].at - coming[0].at
	}
	return coming[0].at, step, uintptr((coming[0].bytes/lineBytes + steps - 1) / steps)
}
