package cpu

import (
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
)

// tiledRows is rows with those that fill their last tiles.
func tiledRows(rows int) int { return up(rows, asm.TileRows) * asm.TileRows }

// toTiles copies the values of prepared row m, one byte each, to tiles of so many
// features.
func toTiles(tiles, row []byte, m, features int) {
	to := rowOfTiles(tiles, m, len(row), features)
	for at := 0; at < len(row); at += features {
		copy(to[at*asm.TileRows:][:features], row[at:])
	}
}

// rowOfTiles is where row m begins in tiles, of which a row has so many bytes in each and
// so many in all: the next of them are TileRows times as many behind.
func rowOfTiles(tiles []byte, m, bytes, tile int) []byte {
	return tiles[m/asm.TileRows*asm.TileRows*bytes+m%asm.TileRows*tile:]
}

// flushTiles is what exact products on tiles lose (see flushPairs): of x by codes what is
// smaller than asm.LeastInTiles, in rows that are divided by 2¹⁶ too, but no float16 is that small.
func (p *panel) flushTiles() float64 {
	switch {
	case p.bits == 0:
		return 2 * float64(p.parts) * flushPairs // sums of both chains of each part, too
	case p.parts == rows.PartsOf(dtype.F16):
		return 0
	}
	return asm.LeastInTiles / shrink
}

// writePairs prepares row m of x: its parts go to tiles of pairs, where there are such, and to
// rows of float32 where some are read so. What the sums of a row are to be multiplied with is
// that of tame.
func (f *front) writePairs(to *prepared, plan *rows.Plan, x, scratch []byte, m int) {
	first, scale, least := m*f.parts, float32(1), float32(0)
	if f.scales > 0 {
		least = asm.LeastInTiles
	}
	if len(to.tiles) > 0 {
		var dst rows.Parted
		for i := range f.parts {
			dst[i] = rowOfTiles(to.tiles, first+i, f.tiles, asm.TileBytes)
		}
		if top := plan.Tiles(&dst, x, scratch, &f.halves, least); f.scales > 0 && tooLarge(top) {
			row := f.floats(scratch)
			plan.Row(rows.Dst{Values: scratch[:f.row]}, x, scratch[f.row:])
			shrinkRow(row)
			plan.TilesOfRow(&dst, row, &f.halves, least)
			scale = 1 / shrink
		}
	}
	if first >= to.first {
		row := to.rows[(first-to.first)*f.stride():]
		parts := view[float32](row, (f.parts-1)*f.stride()/4+f.width)
		plan.Row(rows.Dst{Values: row[:f.row]}, x, scratch)
		if top := plan.Parts(parts, f.stride()/4, least); f.scales > 0 && tooLarge(top) {
			plan.Row(rows.Dst{Values: row[:f.row]}, x, scratch)
			shrinkRow(parts[:f.width])
			plan.Parts(parts, f.stride()/4, least)
			scale = 1 / shrink
		}
	}
	if f.scales > 0 {
		to.scales[m] = scale
	}
}
