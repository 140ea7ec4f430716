package cpu

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// Few rows of codes, and all exact ones by codes of 4 bits, go to kernels of tiles that read weights as they are packed, and
// unpack those of 4 bits on the way, once for every 16, 32 or 48 rows: there is no unpacking that
// waits for memory while nothing is multiplied, and a call has more tiles of columns, since
// configuring tiles takes 50 ns and filling and draining their pipeline 60 more. Measured on Granite Rapids,
// 4096x4096, panels and on the way, in ms:
//
//	rows                  16           32           48           64           96          128
//	4 bits, g128      0.79 0.69    1.05 0.82    1.26 1.06    1.48 1.34    1.95 1.95    2.4  4.8
//	per channel       1.13 0.63    1.20 0.70    1.38 1.00    1.50 1.16    1.87 1.56    2.2  2.8
//	exact, g128       1.12 0.88    1.60 1.13    1.90 1.51    2.15 1.90    3.0  2.75    3.9  3.65
//
// with zero points of groups of 128 1.6 and 1.6 at 64 rows, 2.0 and 2.3 at 96,
// and of 8 bits, with 16 rows, 1.28 and 1.23, 1.47 and 1.25 (per channel), with 17 1.38 and 1.50.
const (
	mostFew4, mostFew8 = 64, 16
	tilesFew           = 8 // of columns, of a call and of a portion
)

// rowsOfUnit is the rows of x that kernels of units of two by two tiles multiply with the
// same weights.
const rowsOfUnit = 2 * asm.TileRows

// mostTall is the most rows of a unit of three by two tiles.
const mostTall = 3 * asm.TileRows

// mostTail is the most rows that stay behind whole units of x and are multiplied as fewer
// rows are, after the others: 65 rows of 4 bits take 1.56 ms and not 1.85. Exact rows are all on tiles, as there alone.
const mostTail = 3

// mostFew is the most rows that are few. Segments of 32 features leave half of each tile
// unused: 20 rows of g32 and 4 bits take 1.52 ms, and 1.35 on vectors. Exact products of other
// weights are of unpacked panels.
func (p *panel) mostFew() int {
	switch {
	case p.tileFeatures == 0, !p.kind.exact() && p.tileFeatures < asm.TileBytes:
		return 0
	case p.bits == 4 && p.kind.exact():
		return rowsOnTheWay
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

// fewUnits is fewKernel for units of two by two tiles, or of three by two where so many rows are
// one. Those unpack once for all of them: measured on Granite Rapids, 4096x4096, g128, 33, 40 and 48 rows of
// int8 x take 0.95, 0.97 and 1.06 ms and not 1.00, 1.17 and 1.20, exact ones 1.38, 1.40 and 1.51 and not 1.70, 1.73 and 1.80.
func (w *product) fewUnits(rows int) func(*asm.Call) {
	units, tall := w.integers().fewUnits, w.integers().fewTall
	if w.kind.exact() {
		units, tall = w.f.exact.fewUnits[w.weights()], w.f.exact.fewTall[w.weights()]
	}
	if tall != nil && rows > rowsOfUnit && rows <= mostTall {
		return tall
	}
	return units
}

// tail is how many of some rows are multiplied as fewer rows are, after the others.
func (w *product) tail(rows int) int {
	tail := rows % rowsOfUnit
	if w.bits != 4 || w.kind.exact() || rows < rowsOfUnit || tail > mostTail || !w.fewOnTiles(rows-tail) {
		return 0
	}
	if rows <= mostTall && w.allEnd(run{0, len(w.blocks)}) { // all are one unit
		return 0
	}
	return tail
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
			b.call.Soon = startOf(next)
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
	b.pointTo(int(b.first[r.from]))
	whole := 0 // tiles that go in units
	if units := b.fewUnits(b.rows); units != nil && b.height > asm.TileRows && tiles > 1 && b.allEnd(r) {
		whole = tiles &^ 1
		c.Tiles, c.Rows = uintptr(whole), uintptr(b.rows)
		units(c)
	}
	if whole < tiles {
		c.W, c.Y = unsafe.Add(c.W, whole*b.tileBytes()), &sums[whole*tileColumns]
		c.Tiles, c.Rows = uintptr(tiles-whole), b.rowsOnTiles()
		b.fewKernel()(c)
	}
}
