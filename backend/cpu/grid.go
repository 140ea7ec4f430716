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

// at is where portion i lies, in rows of kernels and tiles. A thread begins with a share of the portions,
// contiguous ones (see workers), of as many as the pool has threads. They are all groups of rows of its share of the
// tiles: so it reads what it, or its memory node, has packed, and no two threads read all weights. Within a
// share tiles come first: x of a group of rows stays in the second cache.
//
//	share                  0                           1
//	                tiles  0..15  16..31  32..47       48..63  64..79  80..95
//	rows   0..127          0      1       2            6       7       8
//	rows 128..255          3      4       5            9       10      11
func (g *grid) at(i, shares int) (row, tile int) {
	group := i / g.rowGroups
	share := ((group+1)*shares - 1) / g.tileGroups
	first := share * g.tileGroups / shares
	tiles := (share+1)*g.tileGroups/shares - first
	i -= first * g.rowGroups
	return i / tiles * g.rows, (first + i%tiles) * g.tiles
}

// behind is the tile that the portion behind portion i begins with: behind the last one it is the one behind all.
func (g *grid) behind(i, shares, tiles int) (tile int) {
	if i+1 == g.rowGroups*g.tileGroups {
		return tiles
	}
	_, tile = g.at(i+1, shares)
	return tile
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
