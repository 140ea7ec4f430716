package cpu

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// Few rows of codes go to kernels of tiles that read weights as they are packed, and
// unpack those of 4 bits on the way, once for every 16 rows: there is no unpacking that
// waits for memory while nothing is multiplied, and a call has more tiles of columns, since
// configuring tiles takes 110 ns. Measured on Granite Rapids, 4096x4096, before and after: 16 rows of 4
// bits 0.79 and 0.69 ms (g128), 1.13 and 0.65 (per channel), 32 rows 1.05 and 1.03, 48 1.37 and
// 1.40; exact products 1.15 and 0.91 (16 rows), 1.60 and 1.42 (32); of 8 bits 1.28 and 1.23, 1.47 and 1.25 (per channel), 17 rows 1.38 and 1.50.
const (
	mostFew4, mostFew8 = 32, 16
	tilesFew           = 8 // of columns, of a call and of a portion
)

// mostTail is the most rows that stay behind whole tiles of x and are multiplied as fewer
// rows are, after the others: 17 rows of 4 bits take 0.86 ms and not 1.02, 20 1.05 and 1.03. Exact
// rows are all on tiles, as there alone.
const mostTail = 3

// mostFew is the most rows that are few. Segments of 32 features leave half of each tile
// unused: 20 rows of g32 and 4 bits take 1.52 ms, and 1.35 on vectors. Exact products of other
// weights are of unpacked panels.
func (p *panel) mostFew() int {
	switch {
	case p.tileFeatures == 0, !p.kind.exact() && p.tileFeatures < asm.TileBytes:
		return 0
	case p.bits == 4:
		return mostFew4
	case p.kind.exact():
		return 0
	}
	return mostFew8
}

// fewOnTiles says that so many rows are few.
func (w *product) fewOnTiles(rows int) bool {
	return rows <= w.mostFew() && w.fewKernel() != nil
}

// fewKernel is the kernel for few rows, nil: there is none.
func (w *product) fewKernel() func(*asm.Call) {
	if w.kind.exact() {
		return w.f.exact.tilesFew[w.weights()]
	}
	return w.integers().tilesFew
}

// tail is how many of some rows are multiplied as fewer rows are, after the others.
func (w *product) tail(rows int) int {
	if tail := rows % asm.TileRows; w.bits == 4 && !w.kind.exact() && rows > asm.TileRows && tail <= mostTail && w.fewOnTiles(rows-tail) {
		return tail
	}
	return 0
}

// placesOf is where the tiles of packed weights of each run begin, in bytes, for codes of
// 4 bits of few rows.
func (p *panel) placesOf(runs []run) (all [][]uint32) {
	if p.bits != 4 || p.mostFew() == 0 {
		return nil
	}
	for _, r := range runs {
		var places []uint32
		for i, b := range p.blocks[r.from:r.to] {
			from := p.offset[r.from+i] - p.offset[r.from] + p.header()
			if p.kind == tilePanel {
				places = p.pairPlaces(places, b, from)
				continue
			}
			for line := 0; line < int(b.Segments)*int(b.Lines); line += p.tileFeatures / p.perLine {
				places = append(places, uint32(from+line*lineBytes))
			}
		}
		all = append(all, places)
	}
	return all
}

// pairPlaces appends those of a block whose lines begin at from: a tile has one segment's
// lines, of which the lowest bits say how many lie from one to the next, and zero points.
func (p *panel) pairPlaces(places []uint32, b asm.Block, from int) []uint32 {
	zeros := from - inBlock*tileColumns*p.form.ZeroBytesOf()
	for s := range int(b.Segments) {
		for line := 0; line < int(b.Lines); line += p.tileFeatures / p.perLine {
			places = append(places, uint32(from+(line*int(b.Segments)+s)*lineBytes|int(b.Segments)), uint32(zeros+s*tileColumns))
		}
	}
	return places
}

// fewRows computes run by run, some tiles of columns at once. What is read next is
// fetched: the run of the next tile, or behind the last one the next run.
func (b *block) fewRows() {
	b.height = tiledRows(b.rows)
	b.call.Spare = unsafe.Pointer(&b.scratch[b.sumsBytes()])
	sums := view[float32](b.scratch, b.height*b.tiles*tileColumns)
	clear(sums)
	for i, r := range b.runs {
		if b.places != nil {
			b.call.Places, b.call.PlaceCount = &b.places[i][0], uintptr(len(b.places[i]))
			if b.kind == tilePanel {
				b.call.PlaceCount /= 2
			}
		}
		for tile := 0; tile < b.tiles; tile += tilesFew {
			tiles := min(tilesFew, b.tiles-tile)
			next := b.packed(tile, r)
			switch {
			case tile+tiles < b.tiles:
				next = b.packed(tile+tiles, r)
			case i+1 < len(b.runs):
				next = b.packed(0, b.runs[i+1])
			}
			b.call.Soon = spanOf(next).at
			b.sweepFew(r, sums[b.height*tile*tileColumns:][:b.height*tiles*tileColumns], tile, tiles)
		}
	}
	b.finish(b.tile, b.tiles, tilesFew, sums)
}

// sweepFew multiplies all rows by a run of some tiles from one on.
func (b *block) sweepFew(r run, sums []float32, tile, tiles int) {
	c := b.call
	b.beginOnTiles(r, sums, b.tile+tile, tiles)
	c.W, c.WStep = unsafe.Pointer(unsafe.SliceData(b.packed(tile, r))), uintptr(b.tileBytes())
	if b.kind == tilePanel {
		c.X = b.tilesFrom(int(b.first[r.from]))
	} else {
		b.pointTo(int(b.first[r.from]))
	}
	b.fewKernel()(c)
}
