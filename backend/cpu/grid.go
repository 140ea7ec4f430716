package cpu

import "github.com/bitlane/bitlane/backend/cpu/internal/asm"

// grid is how the products are divided: groups of rows by groups of tiles.
type grid struct{ rows, tiles, rowGroups, tileGroups int }

// grid divides so many rows of kernels.
func (w *product) grid(rows, threads int) (g grid) {
	most, unpacked := w.portion()
	g.rows, g.tiles = min(most, rowsStraight), tilesStream
	least, pairs := rowsLeast, w.directWider(rows) != nil // rows of a portion; kernels take two tiles
	if from := w.from(); from <= most && rows >= from {
		g.rows, g.tiles, least = most, unpacked, max(least, from)
		pairs = w.together() > 1
		if w.fewOnTiles(rows - w.tail(rows)) {
			g.tiles = tilesFew
		}
	}
	tiles := w.panel.tiles()
	g.rowGroups = up(rows, g.rows)
	if threads > 1 {
		portions := threads * min(max(portionsLeast, portionsByRow*rows), portionsMost)
		g.tiles = min(g.tiles, max(1, tiles*g.rowGroups/portions))
		if pairs && up(tiles, 2)*g.rowGroups >= 2*threads {
			g.tiles = max(2, g.tiles-g.tiles%2)
		}
		// Rows are divided where there are too few tiles: as long as weights are still
		// unpacked for them, and further where threads would have nothing to do.
		divide := func(portions, least int) {
			for g.rowGroups*up(tiles, g.tiles) < portions && up(rows, g.rowGroups+1) >= least {
				g.rowGroups++
			}
		}
		divide(2*threads, least)
		divide(threads, rowsLeast)
	}
	g.rows = up(rows, g.rowGroups)
	if w.tileFeatures > 0 {
		unit := w.rowUnit()
		g.rows = min(up(g.rows, unit)*unit, most)
	}
	g.rowGroups = up(rows, g.rows)
	g.tileGroups = up(tiles, g.tiles)
	return g
}

// up is a/b, rounded up.
func up(a, b int) int { return (a + b - 1) / b }

// portions implements matrix.
func (w *product) portions(rows, threads int) int {
	g := w.grid(rows*w.parts, threads)
	return g.rowGroups * g.tileGroups
}

// rowUnit is what rows of kernels are divided by where they are on tiles: whole tiles of
// whole rows of x.
func (p *panel) rowUnit() int {
	if p.parts%2 == 0 {
		return asm.TileRows
	}
	return asm.TileRows * p.parts
}

// readsFrom implements matrix.
func (w *product) readsFrom(rows, threads int) int {
	rows *= w.parts
	if w.kind != tilePanel || rows < w.from() {
		return 0
	}
	g := w.grid(rows, threads)
	if last := (g.rowGroups - 1) * g.rows; rows-last < w.from() { // the last group has the fewest
		return last
	}
	return rows
}
