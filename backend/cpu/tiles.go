package cpu

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// AMX multiplies tiles: 16 rows of x by 16 lines of 8-bit codes, which is 64
// features, or half as many of both, or by 16 lines of pairs of bfloat16, which is 32.
// Prepared rows stand a second time in such tiles, or exact ones that nothing else reads
// there alone, 16 rows after the other: a tile is then read from one piece of memory.

// leastTiled is the rows from which products are on tiles, where they can be. Measured on Granite Rapids,
// 4096x4096: 13 rows of g128 and 8 bits take 1.05 ms on vectors and 0.99 on tiles, 28 of g32 2.18 and
// 1.80, but 20 1.55 and 1.75, as tiles have 32. Exact products of 4 bits: 2 rows take 0.74 ms on vectors
// and 0.88 on tiles, 3 0.90 and 0.87, 4 1.06 and 0.85; of 8 bits 4 1.35 and 1.52, 5 1.52 on tiles. Codes of 4 bits, unpacked on the way: 8 rows of g128 0.67 ms
// both, of g64 0.70 and 0.78, 10 0.78 both.
func (p *panel) leastTiled() int {
	switch {
	case p.kind == tilePanel && p.bits == 4:
		return 3
	case p.kind == tilePanel:
		return 5
	case p.tileFeatures < asm.TileBytes:
		return 25
	case p.bits != 4:
		return 13
	case p.sumLength() < 2*asm.TileBytes:
		return 10
	}
	return 8
}

// tilesOfAMX is how many tiles of columns are multiplied at once, each with the same x:
// with their weights that stays in the first cache.
const tilesOfAMX = 2

// mostZero is the largest zero point that leaves signed bytes of 4-bit codes.
const mostZero = 128

// canTile returns the features of the tiles on which a panel can be multiplied: every
// segment has whole ones, as parts of a tile would take as long as all of it. 0: on none.
func (p *panel) canTile() int {
	if p.kind == tilePanel {
		return asm.TilePairs
	}
	if p.bits == 4 && p.form.Zeros() != asm.ZeroPairs && p.zeroMost > mostZero {
		return 0
	}
	tile := asm.TileBytes
	for _, b := range p.blocks {
		for int(b.Features)%tile != 0 {
			if tile /= 2; tile < asm.TileBytes/2 {
				return 0
			}
		}
	}
	return tile
}

// tileValue is the bytes of a value of x in a tile.
func (p *panel) tileValue() int {
	if p.kind == tilePanel {
		return 2
	}
	return 1
}

// paddingOfTiles is the part of all features that may be there to fill tiles.
const paddingOfTiles = 8

// tileSpare is the bytes that the kernels of tiles need for a run.
func (p *panel) tileSpare() int {
	most, tiles := 0, tilesOfAMX
	if p.mostFew() > 0 {
		tiles = tilesFew
	}
	for _, r := range p.divide() {
		most = max(most, int(p.first[r.to]-p.first[r.from]))
	}
	return align(asm.TileSpare(tiles, most))
}

// beginOnTiles makes the call one of all rows by some tiles from one on, over a run. It
// returns how many segments go at a time, so that there is room in the first cache, of
// how many.
func (b *block) beginOnTiles(r run, sums []float32, tile, tiles int) (each, all int) {
	c, f := b.call, b.front()
	b.begin(r, tiles)
	c.XStep, c.Rows, c.Y = uintptr(f.tiles), b.rowsOnTiles(), &sums[0]
	c.Tiles, c.TileBytes = uintptr(tiles), uintptr(b.tileFeatures*b.tileValue())
	if r.to == len(b.blocks) {
		b.fetchOutputs(tile, tiles, 0, b.rows/b.parts)
	}
	all = int(b.first[r.to] - b.first[r.from])
	most, block := b.runFeatures(), c.Blocks
	if b.kind == tilePanel && b.f.exact.unpack[b.weights()] == nil && b.height == asm.TileRows {
		most *= 2 // weights are used but once: nothing has to stay in the first cache
	}
	if c.Count > 1 || int(block.Features)*all <= most || int(block.Ends) != 1<<all-1 {
		return all, all
	}
	return max(1, most/int(block.Features)), all
}

// leastInUnits is the rows from which products are in units of two by two tiles.
// Measured on Granite Rapids, 4096x2048, before and after, M = 32, 64, 128, 256: 8 bits and int8 x per channel 0.52, 0.72, 1.28,
// 2.66 and 0.49, 0.62, 1.10, 2.40 ms, plain bfloat16 0.89, 1.41, 2.70, 5.7 and 0.99, 1.28, 2.22, 4.8.
func (p *panel) leastInUnits() int {
	if p.bits == 0 {
		return rowsOfUnit + 1
	}
	return rowsOfUnit
}

// inUnits says that a run of some tiles is multiplied in units of two by two tiles: those
// read each tile half as often, but are of two tiles of columns, and of segments that
// all end sums. They keep float sums in memory, which does not pay where a sum is of one tile:
// int8 x and 4 bits, g32, 128 rows, take 2.1 ms so and 2.5 in units (4096x2048, Granite Rapids), 8 bits, g64, 1.7 and 1.9.
func (b *block) inUnits(r run, tiles int) bool {
	return tiles == tilesOfAMX && b.height >= b.leastInUnits() && b.sumLength() >= 2*asm.TileBytes/b.tileValue() && b.allEnd(r)
}

// allEnd says that every segment of a run ends a sum. Long groups of codes with zero points of
// their own have some that do not.
func (p *panel) allEnd(r run) bool {
	for _, s := range p.blocks[r.from:r.to] {
		if s.Ends != 1<<s.Segments-1 {
			return false
		}
	}
	return true
}

// fetchesInUnits is how often kernels of units fetch a share of what comes, where x
// has so many tiles in a row.
func (b *block) fetchesInUnits(tiles int) int {
	return 2 * tiles * up(b.height, rowsOfUnit)
}

// rowsOnTiles is the rows for kernels of one tile of rows: those there are, where they are fewer than
// that, and whole tiles of more.
func (b *block) rowsOnTiles() uintptr {
	if b.height == asm.TileRows {
		return uintptr(b.rows)
	}
	return uintptr(b.height)
}

// turns is how many sums of 16 rows by 16 columns there are of each.
func (b *block) turns(tiles int) int { return b.height / asm.TileRows * tiles }

// sweepOnTiles is sweep on tiles of AMX: one call has all rows. Segments of which
// several would leave no room in the first cache go some at a time.
func (b *block) sweepOnTiles(r run, w unsafe.Pointer, wStep int, sums []float32, tile, tiles int) {
	c := b.call
	each, all := b.beginOnTiles(r, sums, tile, tiles)
	c.W, c.WStep = w, uintptr(wStep)
	from, to := int(b.first[r.from]), int(b.first[r.to])
	multiply, fetches := b.integers().tiles, b.turns(tiles)*b.sumsOf(from, to)
	if units := b.integers().tilesUnits; units != nil && b.inUnits(r, tiles) {
		multiply, fetches = units, b.fetchesInUnits(b.features(r)/b.tileFeatures)
		c.Rows = uintptr(b.rows) // units have those there are
	}
	c.Soon, c.SoonStep, c.Share = soonOnTiles(b.coming, fetches)
	for first := from; first < to; first += each {
		c.First, c.Segments = 0, 0
		if each < all {
			c.First, c.Segments = uintptr(first-from), uintptr(min(each, to-first))
		}
		b.pointTo(first)
		multiply(c)
		c.Soon += uintptr(fetches*each/all) * c.Share * lineBytes // segments of one block, or there is one call
	}
}

// pointTo makes the call one of what rows have from a piece on.
func (b *block) pointTo(piece int) {
	b.call.X = b.c.tilesOf(b.p, b.row, int(b.pieces[piece].at)*b.tileValue())
	if !b.kind.exact() {
		b.sidesFrom(piece)
	}
}

// features is those of a run, with their padding.
func (p *panel) features(r run) (n int) {
	for _, b := range p.blocks[r.from:r.to] {
		n += int(b.Segments) * int(b.Features)
	}
	return n
}

// sweepPairs is sweepOnTiles for exact products. It unpacks as many segments as go at a
// time, to panels, so that these stay in the first cache, too; plain weights are
// multiplied as they are packed.
func (b *block) sweepPairs(r run, panels []byte, sums []float32, tile, tiles int) {
	c, unpack := b.call, b.f.exact.unpack[b.weights()]
	each, all := b.beginOnTiles(r, sums, tile, tiles)
	whole, part := c.Blocks, &b.c.run[b.worker].Block
	for first := 0; first < all; first += each {
		n := min(each, all-first)
		c.Blocks, c.First, c.Segments = whole, uintptr(first), uintptr(n)
		if n == all {
			c.Segments = 0
		}
		packed := b.packed(tile-b.tile, r)
		bytes := len(packed) * n / all
		c.W, c.WStep = unsafe.Pointer(unsafe.SliceData(packed)), uintptr(b.tileBytes())
		if unpack != nil {
			for t := range tiles {
				packed := b.packed(tile-b.tile+t, r)
				c.W = unsafe.Pointer(unsafe.SliceData(packed))
				c.Soon = b.halfOf(t, packed[:bytes])
				unpack(unsafe.Pointer(unsafe.SliceData(panels[t*b.second:])), c)
			}
			bytes -= half(bytes)
			c.W, c.WStep = unsafe.Pointer(unsafe.SliceData(panels)), uintptr(b.second)
			if n < all { // the panel is of a block of these segments
				*part = asm.Block{Lines: whole.Lines, Features: whole.Features, Segments: uint8(n), Ends: 1<<n - 1}
				c.Blocks, c.First, c.Segments = part, 0, 0
			}
		}
		b.pointTo(int(b.first[r.from]) + first)
		features := n * int(whole.Features)
		if n == all {
			features = b.features(r)
		}
		multiply, fetches := b.f.exact.tiles[b.weights()], b.turns(tiles)*features/asm.TilePairs
		if units := b.f.exact.tilesUnits[b.weights()]; units != nil && b.inUnits(r, tiles) {
			multiply, fetches = units, b.fetchesInUnits(features/asm.TilePairs)
			c.Rows = uintptr(b.rows)
		}
		c.Soon, c.SoonStep, c.Share = soonOnTiles(b.rest(bytes), fetches)
		multiply(c)
	}
}

// halfOf is what the unpacking of a tile's packed weights fetches of what comes: as
// many lines as half of them, so that memory is not idle meanwhile, and no more, as it
// would wait. If nothing comes, weights that are there.
func (b *block) halfOf(tile int, packed []byte) uintptr {
	coming := &b.coming[tile]
	if coming.bytes == 0 {
		return startOf(packed)
	}
	at, n := coming.at, min(half(len(packed)), coming.bytes)
	coming.at, coming.bytes = at+uintptr(n), coming.bytes-n
	return at
}

// half is half of so many bytes, in whole lines.
func half(bytes int) int { return bytes / 2 / lineBytes * lineBytes }

// rest is so many bytes of what comes for each tile, as far as there are so many.
func (b *block) rest(bytes int) (rest [2]span) {
	for t := range b.coming {
		coming := &b.coming[t]
		n := min(bytes, coming.bytes)
		rest[t] = span{coming.at, n}
		coming.at, coming.bytes = coming.at+uintptr(n), coming.bytes-n
	}
	return rest
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
	return coming[0].at, step, uintptr(up(coming[0].bytes/lineBytes, turns))
}
