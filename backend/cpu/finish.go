package cpu

import (
	"math"
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// finish turns the sums of some tiles from one on into outputs: those of the parts of a row
// of x together, times the row's scale, plus the bias, and rounded once to the type of y. A few
// rows of all of them come before the next, as the outputs of two tiles share a line and the
// sums of parts are read twice.
func (b *block) finish(tile, tiles, together int, sums []float32) {
	all, most := b.rows/b.parts, rowsFinished
	if together > 1 && b.parts == 1 {
		most = rowsWhole
	}
	for row := 0; row < all; row += most {
		rows := min(most, all-row)
		for t := 0; t < tiles; t += together {
			n := min(together, tiles-t)
			of := sums[(b.height*t+row*b.parts*n)*tileColumns:]
			if b.parts > 1 {
				b.addParts(of[:rows*b.parts*n*tileColumns], rows)
			}
			b.finishTiles(tile+t, n, row, rows, of)
		}
	}
}

// addParts adds the sums of the parts of some rows of x to those of their first parts, which
// stay as they are where they are no numbers: a part of 0 times an infinite weight is none.
func (b *block) addParts(sums []float32, rows int) {
	columns := len(sums) / (rows * b.parts)
	if add := b.f.addParts; add != nil {
		add(&sums[0], uintptr(rows), uintptr(b.parts), uintptr(columns/tileColumns))
		return
	}
	for ; len(sums) > 0; sums = sums[b.parts*columns:] {
		for i, first := range sums[:columns] {
			rest := sums[columns+i]
			if b.parts == 3 {
				rest += sums[2*columns+i]
			}
			if math.Float32bits(first)&^(1<<31) < infBits {
				sums[i] = first + rest
			}
		}
	}
}

// finishTiles does so for some rows of x and tiles that go together.
func (b *block) finishTiles(tile, tiles, row, rows int, sums []float32) {
	first, whole := tile*tileColumns, 0
	if run := b.f.finish[b.c.yType]; run != nil {
		whole = min(tiles, b.n/tileColumns-tile)
	}
	if whole > 0 {
		b.finishWhole(first, whole, row, rows, sums, tiles)
	}
	from, to, step := whole*tileColumns, min(tiles*tileColumns, b.n-first), b.parts*tiles*tileColumns
	if from == to {
		return
	}
	for m := range rows {
		scale, _ := b.rowScale(row + m)
		for i := from; i < to; i++ {
			v := sums[m*step+i]
			if scale != nil {
				v = float32(v * *scale)
			}
			b.c.put(b.p, b.bias, b.firstRow()+row+m, first+i, v)
		}
	}
}

// firstRow is the first row of x of the block.
func (b *block) firstRow() int { return b.row / b.parts }

// rowScale is what the sums of row m of x of the block are multiplied with, nil for
// nothing, and the bytes to that of the next row.
func (b *block) rowScale(m int) (scale *float32, step int) {
	f := b.front()
	if !f.perRow {
		return nil, 0
	}
	return f.scaleOf(&b.c.fronts[b.p.front], b.firstRow()+m)
}

// finishWhole does so for the first of the tiles, which have all their columns.
func (b *block) finishWhole(first, whole, row, rows int, sums []float32, tiles int) {
	c := b.c
	scale, step := b.rowScale(row)
	*b.out = asm.Output{
		Y: &sums[0], YStep: uintptr(b.parts * tiles * tileColumns * 4),
		Dst: b.y(row, first), DstStep: uintptr(c.yStep),
		Scales: scale, ScalesStep: uintptr(step), Rows: uintptr(rows), Tiles: uintptr(whole),
	}
	if b.bias != nil {
		b.out.Bias = &b.bias[first]
	}
	b.f.finish[c.yType](b.out)
}

// y is where the output of a row of x of the block and a column is.
func (b *block) y(row, column int) unsafe.Pointer {
	c := b.c
	return unsafe.Pointer(&c.y[(b.firstRow()+row)*c.yStep+(b.p.column+column)*c.yType.Size()])
}
