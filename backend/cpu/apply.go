package cpu

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/workers"
	"github.com/bitlane/bitlane/quant"
)

// call is one Apply. A Device keeps calls for the next ones.
type call struct {
	job  *workers.Job
	l    *layer
	rows int

	x, y         []byte
	xStep, yStep int // bytes from one row to the next
	yType        dtype.DType

	prepared []byte      // rows of l.stride bytes
	tiles    []byte      // of x, one front's after the other's
	scratch  []byte      // l.scratch bytes for each worker
	products bool        // which of the two loops runs
	run      []kernelRun // one for each worker
	portions []int       // of each part
	tileOnly []bool      // of each front: the values of its rows are read in tiles alone
}

// kernelRun is what a worker hands to an assembly kernel, which must not be
// allocated for each. The padding keeps workers off each other's cache lines.
type kernelRun struct {
	asm.Call
	asm.Output
	asm.Block // some segments of one
	_         [64]byte
}

// The least work, in features prepared and in products, that is worth waking
// another worker for.
const (
	frontWork   = 1 << 12
	productWork = 1 << 15
)

func (c *call) do() {
	l, pool := c.l, c.l.dev.pool
	c.tileOnly = c.tileOnly[:0]
	for i := range l.fronts {
		c.tileOnly = append(c.tileOnly, !l.readsRows(i, c.rows))
	}
	prepare := c.rows * len(l.fronts)
	pool.Run(c.job, c, prepare, width(float64(prepare)*float64(l.k)/frontWork))
	c.products = true
	c.portions = c.portions[:0]
	for i := range l.parts {
		c.portions = append(c.portions, l.parts[i].portions(c.rows, pool.Threads()))
	}
	pool.RunParts(c.job, c, c.portions, width(float64(c.rows)*float64(l.n)*float64(l.k)/productWork))
}

// readsRows reports whether a part reads more of a front's prepared rows than their scale.
func (l *layer) readsRows(front, rows int) bool {
	for i := range l.parts {
		if p := &l.parts[i]; p.front == front && p.readsRows(rows, l.dev.pool.Threads()) {
			return true
		}
	}
	return false
}

// width is how many goroutines so many worthwhile amounts of work deserve.
func width(amounts float64) int { return int(min(amounts, 1<<16)) + 1 }

// scratchOf is one worker's scratch memory.
func (c *call) scratchOf(worker int) []byte { return c.scratch[worker*c.l.scratch:][:c.l.scratch] }

// Do implements workers.Task.
func (c *call) Do(worker, chunk int) {
	if !c.products {
		m, i := chunk/len(c.l.fronts), chunk%len(c.l.fronts)
		f, prepared, scratch := c.l.fronts[i], c.prepared[m*c.l.stride+c.l.at[i]:], c.scratchOf(worker)
		row := prepared
		if c.tileOnly[i] { // it stays in a cache
			row, scratch = scratch[:f.row], scratch[f.row:]
		}
		f.prepare(row, c.x[m*c.xStep:], scratch)
		if f.tileFeatures > 0 && c.rows >= f.leastTiled {
			f.toTiles(c.tiles[c.tilesAt(i):], row, m)
		}
		if c.tileOnly[i] {
			copy(prepared[f.scalesAt:], row[f.scalesAt:][:4*f.scales])
		}
		return
	}
	for i := range c.l.parts {
		if p := &c.l.parts[i]; chunk < c.portions[i] {
			p.multiply(c, p, worker, chunk)
			return
		}
		chunk -= c.portions[i]
	}
}

// row is the prepared row m for a part.
func (c *call) row(p *part, m int) []byte { return c.prepared[m*c.l.stride+c.l.at[p.front]:] }

// tilesAt is where a front's tiles begin.
func (c *call) tilesAt(front int) (at int) {
	for _, f := range c.l.fronts[:front] {
		at += f.tiles
	}
	return at * tiledRows(c.rows)
}

// tilesOf is the tiles for a part from row m, the first of a tile, and so many bytes of
// each row on.
func (c *call) tilesOf(p *part, m, at int) unsafe.Pointer {
	return unsafe.Pointer(&c.tiles[c.tilesAt(p.front)+m*c.l.fronts[p.front].tiles+at*asm.TileRows])
}

// put adds the bias and stores one output, rounded once.
func (c *call) put(p *part, bias []float32, m, n int, y float32) {
	if bias != nil {
		y += bias[n]
	}
	c.yType.Put(c.y[m*c.yStep:], p.column+n, y)
}

var _ matrix = (*weights)(nil)

// outputs implements matrix.
func (w *weights) outputs() int { return w.n }

// readsRows implements matrix.
func (w *weights) readsRows(int, int) bool { return true }

// portions implements matrix: a tile each.
func (w *weights) portions(int, int) int { return (w.n + tileRows(w.k) - 1) / tileRows(w.k) }

// multiply implements matrix: it computes the outputs of one tile for all rows
// of x.
func (w *weights) multiply(c *call, p *part, worker, portion int) {
	tile := tileRows(w.k)
	first := portion * tile
	last := min(first+tile, w.n)
	together := tile // rows of W that are unpacked before they are multiplied
	if c.rows == 1 {
		together = 1 // one row of x uses each only once, best while it is in the first cache
	}
	multiply := w.multiplyCodes
	if c.l.Spec().Recipe.Kind == quant.Exact {
		multiply = w.multiplyExact
	}
	for lo := first; lo < last; lo += together {
		multiply(c, p, c.scratchOf(worker), lo, min(lo+together, last))
	}
}

func (w *weights) multiplyExact(c *call, p *part, scratch []byte, lo, hi int) {
	f := c.l.fronts[p.front]
	step := align(padded(w.k) * 4)
	codes := scratch[tileRows(w.k)*step:]
	for n := lo; n < hi; n++ {
		w.floats(view[float32](scratch[(n-lo)*step:], padded(w.k)), codes, n)
	}
	for m := range c.rows {
		x := f.floats(c.row(p, m))
		for n := lo; n < hi; n++ {
			c.put(p, w.bias, m, n, dot(x, view[float32](scratch[(n-lo)*step:], len(x))))
		}
	}
}

func (w *weights) multiplyCodes(c *call, p *part, scratch []byte, lo, hi int) {
	f := c.l.fronts[p.front]
	row := align(padded(w.k) * 4)
	step := row + align(w.groups*4)
	codes := scratch[tileRows(w.k)*step:]
	for n := lo; n < hi; n++ {
		at := scratch[(n-lo)*step:]
		w.integers(view[int32](at, w.k), view[float32](at[row:], w.groups), codes, n)
	}
	for m := range c.rows {
		q, act := f.words(c.row(p, m))
		for n := lo; n < hi; n++ {
			at := scratch[(n-lo)*step:]
			c.put(p, w.bias, m, n, w.combine(q, act, view[int32](at, w.k), view[float32](at[row:], w.groups)))
		}
	}
}
