package cpu

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// AMX multiplies tiles: 16 rows of x by 16 lines of 8-bit codes, which is 64
// features, or half as many of both. Prepared rows stand a second time in such tiles,
// 16 rows after the other: a tile is then read from one piece of memory.

// leastTiled is the rows from which products are on tiles of so many features.
// Measured on Granite Rapids, 4096x4096: 13 rows of g128 take 1.05 ms on vectors and
// 0.99 on tiles, 28 of g32 2.18 and 1.80, but 20 1.55 and 1.75, as tiles have 32.
func leastTiled(features int) int {
	if features < asm.TileFeatures {
		return 25
	}
	return 13
}

// tilesOfAMX is how many tiles of columns are multiplied at once, each with the same x:
// with their weights that stays in the first cache.
const tilesOfAMX = 2

// mostZero is the largest zero point that leaves signed bytes of 4-bit codes.
const mostZero = 128

// canTile returns the features of the tiles on which a panel of int8 x can be
// multiplied: every segment has whole ones, as parts of a tile would take as long as
// all of it. 0: on none.
func (p *panel) canTile() int {
	if p.bits == 4 && p.form.Zeros() != asm.ZeroPairs && p.zeroMost > mostZero {
		return 0
	}
	tile := asm.TileFeatures
	for _, b := range p.blocks {
		for int(b.Features)%tile != 0 {
			if tile /= 2; tile < asm.TileFeatures/2 {
				return 0
			}
		}
	}
	return tile
}

// tileSpare is the bytes that the kernels of tiles need for a run.
func (p *panel) tileSpare() int {
	most := 0
	for _, r := range p.divide() {
		most = max(most, int(p.first[r.to]-p.first[r.from]))
	}
	return align(asm.TileSpare(tilesOfAMX, most))
}

// tiledRows is rows of x with those that fill their last tiles.
func tiledRows(rows int) int { return (rows + asm.TileRows - 1) / asm.TileRows * asm.TileRows }

// preparedRows is the prepared rows that a workspace has room for: where a row has
// bytes in tiles, whole ones. What there is beyond the last row is multiplied, whatever
// it is, and the sums are dropped.
func preparedRows(rows, tiles int) int {
	if tiles > 0 {
		return tiledRows(rows)
	}
	return rows
}

// toTiles copies the values of prepared row m, one byte each, to tiles of so many
// features.
func toTiles(tiles, row []byte, m, features int) {
	to := tiles[m/asm.TileRows*asm.TileRows*len(row)+m%asm.TileRows*features:]
	for at := 0; at < len(row); at += features {
		copy(to[at*asm.TileRows:][:features], row[at:])
	}
}

// sweepOnTiles is sweep on tiles of AMX: one call has all rows. Segments of which
// several would leave no room in the first cache go some at a time.
func (b *block) sweepOnTiles(r run, w unsafe.Pointer, wStep int, sums []float32, tile, tiles int) {
	c, f := b.call, b.c.l.fronts[b.p.front]
	c.W, c.WStep = w, uintptr(wStep)
	c.Blocks, c.Count = &b.blocks[r.from], uintptr(r.to-r.from)
	c.XStep, c.Rows = uintptr(f.width), uintptr(b.height)
	c.Y, c.YStep = &sums[0], uintptr(tiles*tileColumns*4)
	c.Tiles, c.TileFeatures = uintptr(tiles), uintptr(b.tileFeatures)
	if r.to == len(b.blocks) {
		b.fetchOutputs(tile, tiles, 0, b.rows)
	}
	from, to := int(b.first[r.from]), int(b.first[r.to])
	each := to - from
	if block := c.Blocks; c.Count == 1 && int(block.Features)*each > runFeatures && int(block.Ends) == 1<<each-1 {
		each = max(1, runFeatures/int(block.Features))
	}
	turns := b.height / asm.TileRows * tiles // of a sum
	c.Soon, c.SoonStep, c.Share = soonOnTiles(b.coming, turns*b.sumsOf(from, to))
	prepared := b.c.row(b.p, b.row)
	for first := from; first < to; first += each {
		c.First, c.Segments = 0, 0
		if each < to-from {
			c.First, c.Segments = uintptr(first-from), uintptr(min(each, to-first))
		}
		c.X = b.c.tilesOf(b.p, b.row, int(b.pieces[first].at))
		c.Side = unsafe.Pointer(&prepared[f.sideAt+4*first])
		if !f.perRow {
			c.Scales = unsafe.Pointer(&prepared[f.scalesAt+4*first])
		}
		b.integers().tiles(c)
		c.Soon += uintptr(turns*each) * c.Share * lineBytes // each ends a sum, or there is one call
	}
}

// halfOf is what the unpacking of a tile's packed weights fetches of what comes: as
// many lines as half of them, so that memory is not idle meanwhile, and no more, as it
// would wait. If nothing comes, weights that are there.
func (b *block) halfOf(tile int, packed []byte) uintptr {
	coming := &b.coming[tile]
	if coming.bytes == 0 {
		return spanOf(packed).at
	}
	at, n := coming.at, min(len(packed)/2/lineBytes*lineBytes, coming.bytes)
	coming.at, coming.bytes = at+uintptr(n), coming.bytes-n
	return at
}

// soonOnTiles divides two spans of about the same length among so many turns, each
// of which fetches share lines of both.
func soonOnTiles(coming [2]span, turns int) (at, step, share uintptr) {
	if coming[0].bytes == 0 {
		return 0, 0, 0
	}
	if coming[1].bytes > 0 {
		step = coming[1].at - coming[0].at
	}
	return coming[0].at, step, uintptr((coming[0].bytes/lineBytes + turns - 1) / turns)
}
