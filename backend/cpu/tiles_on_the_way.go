package cpu

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// Few rows of codes by weights of 4 bits go to a kernel that unpacks weights on the way to
// tiles, once for every 16 rows: there is no unpacking that waits for memory while
// nothing is multiplied, and a call has more tiles of columns, since configuring tiles takes
// 110 ns. Measured on Granite Rapids, 4096x4096: 16 rows take 0.69 ms where unpacking first takes 0.79 (g128),
// 0.65 and 1.13 (per channel), 32 rows 1.03 and 1.05, 48 1.40 and 1.37.
const (
	mostOnTheWay  = 32
	tilesOnTheWay = 8 // of columns, of a call and of a portion
)

// mostTail is the most rows that stay behind whole tiles of x and are multiplied as few
// rows are, after the others: 17 rows take 0.86 ms and not 1.02, 20 1.05 and 1.03.
const mostTail = 3

// packedTiles says that packed weights can be unpacked on the way. Segments of 32 features
// leave half of each tile unused: 20 rows of g32 take 1.52 ms, and 1.35 on vectors.
func (p *panel) packedTiles() bool {
	return !p.kind.exact() && p.bits == 4 && p.tileFeatures == asm.TileBytes
}

// onTheWay says that so many rows are multiplied so.
func (w *product) onTheWay(rows int) bool {
	return rows <= mostOnTheWay && w.packedTiles() && w.integers().tilesOnTheWay != nil
}

// tail is how many of some rows are multiplied as few rows are, after the others.
func (w *product) tail(rows int) int {
	if tail := rows % asm.TileRows; rows > asm.TileRows && tail <= mostTail && w.onTheWay(rows-tail) {
		return tail
	}
	return 0
}

// placesOf is where the tiles of packed weights of each run begin, in bytes.
func (p *panel) placesOf(runs []run) (all [][]uint32) {
	for _, r := range runs {
		var places []uint32
		for i, b := range p.blocks[r.from:r.to] {
			from := p.offset[r.from+i] - p.offset[r.from] + p.header()
			for line := 0; line < int(b.Segments)*int(b.Lines); line += p.tileFeatures / p.perLine {
				places = append(places, uint32(from+line*lineBytes))
			}
		}
		all = append(all, places)
	}
	return all
}

// tilesOnTheWay computes run by run, some tiles of columns at once. What is read next is
// fetched: the run of the next tile, or behind the last one the next run.
func (b *block) tilesOnTheWay() {
	b.height = tiledRows(b.rows)
	b.call.Spare = unsafe.Pointer(&b.scratch[b.sumsBytes()])
	sums := view[float32](b.scratch, b.height*b.tiles*tileColumns)
	clear(sums)
	for i, r := range b.runs {
		b.call.Places, b.call.PlaceCount = &b.places[i][0], uintptr(len(b.places[i]))
		for tile := 0; tile < b.tiles; tile += tilesOnTheWay {
			tiles := min(tilesOnTheWay, b.tiles-tile)
			next := b.packed(tile, r)
			switch {
			case tile+tiles < b.tiles:
				next = b.packed(tile+tiles, r)
			case i+1 < len(b.runs):
				next = b.packed(0, b.runs[i+1])
			}
			b.call.Soon = spanOf(next).at
			b.sweepOnTheWay(r, sums[b.height*tile*tileColumns:][:b.height*tiles*tileColumns], tile, tiles)
		}
	}
	b.finish(b.tile, b.tiles, tilesOnTheWay, sums)
}

// sweepOnTheWay multiplies all rows by a run of some tiles from one on.
func (b *block) sweepOnTheWay(r run, sums []float32, tile, tiles int) {
	c := b.call
	b.beginOnTiles(r, sums, b.tile+tile, tiles)
	c.W, c.WStep = unsafe.Pointer(unsafe.SliceData(b.packed(tile, r))), uintptr(b.tileBytes())
	b.pointTo(int(b.first[r.from]))
	b.integers().tilesOnTheWay(c)
}
