package cpu

import "github.com/bitlane/bitlane/backend/cpu/internal/rows"

// prepared is the rows of a call that a front has prepared, in its workspace.
type prepared struct {
	rows   []byte    // of front.stride bytes
	first  int       // which row of kernels is the first of them
	tiles  []byte    // of the values of all rows; empty: there are few
	scales []float32 // of pairs one for each row of x, if they have any; others have theirs in rows
}

// room is the bytes of a workspace for so many rows of x: for prepared rows, for scales, and
// for tiles. What these have beyond the last row can be multiplied, whatever it is, and the
// sums are dropped. Of rows for pairs at most those that are too few for tiles are read
// as they are.
func (r *rowShape) room(x int) (prepared, scales, tiles int) {
	n := x * r.parts
	if r.tiles > 0 {
		n = tiledRows(n)
	}
	if !r.pairs {
		return n * r.stride(), 0, n * r.tiles
	}
	return min(x*r.parts, r.leastTiled-1) * r.stride(), align(x * r.scales * 4), n * r.tiles
}

// bytes is the sum of room.
func (r *rowShape) bytes(x int) int {
	prepared, scales, tiles := r.room(x)
	return prepared + scales + tiles
}

// take divides what room says of work for a call of so many rows of x, and returns the rest.
// from is the first row that is read as it is.
func (f *front) take(work []byte, x, from int) (p prepared, rest []byte) {
	n, scales, tiles := f.room(x)
	p.rows, work = work[:n], work[n:]
	if f.pairs {
		p.first = from
		p.scales = view[float32](work, x*f.scales)
	}
	if f.tileFeatures > 0 && x*f.parts >= f.leastTiled {
		p.tiles = work[scales:][:tiles]
		f.clearBeyond(p.rows, x)
	}
	return p, work[scales+tiles:]
}

// clearBeyond clears the corrections and scales behind those of so many rows, as far as
// kernels of tiles scale sums by them: numbers that are left there might be subnormal, with which a
// product takes twice as long.
func (f *front) clearBeyond(rows []byte, n int) {
	if f.sideAt == 0 {
		return
	}
	for m := n; m < tiledRows(n); m++ {
		clear(rows[m*f.stride():][f.sideAt:f.row])
	}
}

// placedLeast is from how many rows on putting them in their places together takes less time than one
// by one: on Zen 5 three rows of 16 bits take as long, of int8 tokens.
const placedLeast = 4

// write prepares n rows of x, step bytes apart, from row m on. scratch is frontScratch bytes.
func (f *front) write(to *prepared, x []byte, step int, scratch []byte, m, n int) {
	plan := f.plan
	if f.placer != nil && n >= placedLeast {
		x, scratch = f.placer.Place(x, step, n, scratch)
		plan, step = f.placer.Plan, f.placer.Stride()
	}
	for i := range n {
		f.writeRow(to, plan, x[i*step:], scratch, m+i)
	}
}

// writeRow prepares row m of x, as its plan reads it.
func (f *front) writeRow(to *prepared, plan *rows.Plan, x, scratch []byte, m int) {
	if f.pairs {
		f.writePairs(to, plan, x, scratch, m)
		return
	}
	row := to.rows[m*f.stride():]
	f.prepare(plan, row, x, scratch)
	if len(to.tiles) > 0 {
		toTiles(to.tiles, row[:f.width], m, f.tileFeatures)
	}
}

// scaleOf is what the sums of row m of x are multiplied with, and the bytes to the next.
func (f *front) scaleOf(p *prepared, m int) (scale *float32, step int) {
	if f.pairs {
		return &p.scales[m], 4
	}
	return &f.rowScales(p.rows[m*f.stride():])[0], f.stride()
}
