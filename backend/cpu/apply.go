package cpu

import (
	"math"
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

	width   int // goroutines that the products deserve
	threads int // that they are divided for

	fronts   []prepared  // of each of the layer's
	scratch  []byte      // l.scratch bytes for each worker
	together int         // rows that are prepared one after the other
	products bool        // which of the two loops runs
	run      []kernelRun // one for each worker
	portions []int       // of each part
}

// kernelRun is what a worker hands to an assembly kernel, which must not be
// allocated for each. The padding keeps workers off each other's cache lines.
type kernelRun struct {
	asm.Call
	asm.Output
	asm.Block // some segments of one
	_         [64]byte
}

// divide makes work, which is Workspace bytes, what the call needs.
func (c *call) divide(work []byte) {
	c.width = c.l.dev.width(c.l.costOfParts(c.rows))
	c.threads = c.l.dev.threads(c.width)
	c.fronts = c.fronts[:0]
	for i, f := range c.l.fronts {
		var p prepared
		p, work = f.take(work, c.rows, c.l.readsFrom(i, c.rows, c.threads))
		c.fronts = append(c.fronts, p)
	}
	c.scratch = work
}

func (c *call) do() {
	l, pool := c.l, c.l.dev.pool
	width := l.dev.width(l.costOfFronts(c.rows))
	c.together = l.together(c.rows, l.dev.threads(width))
	prepare := up(c.rows, c.together) * len(l.fronts)
	pool.Run(c.job, c, prepare, width)
	c.products = true
	c.portions = c.portions[:0]
	for i := range l.parts {
		c.portions = append(c.portions, l.parts[i].portions(c.rows, c.threads))
	}
	pool.RunParts(c.job, c, c.portions, c.width)
}

// together is how many rows go to a worker at once: one, or as many as a front puts in their places
// together, if there are so many for each of so many threads.
func (l *layer) together(rows, threads int) int {
	most := 1
	for _, f := range l.fronts {
		if f.placer != nil {
			most = max(most, f.placer.Rows())
		}
	}
	if n := up(rows, threads*up(rows, threads*most)); n >= placedLeast { // each has as many chunks, as even as can be
		return n
	}
	return 1
}

// readsFrom is the first of a front's prepared rows that a part reads as it is.
func (l *layer) readsFrom(front, rows, threads int) int {
	from := math.MaxInt
	for i := range l.parts {
		if p := &l.parts[i]; p.front == front {
			from = min(from, p.readsFrom(rows, threads))
		}
	}
	return from
}

// scratchOf is one worker's scratch memory.
func (c *call) scratchOf(worker int) []byte { return c.scratch[worker*c.l.scratch:][:c.l.scratch] }

// Do implements workers.Task.
func (c *call) Do(worker, chunk int) {
	if !c.products {
		m, i := chunk/len(c.l.fronts)*c.together, chunk%len(c.l.fronts)
		c.l.fronts[i].write(&c.fronts[i], c.x[m*c.xStep:], c.xStep, c.scratchOf(worker), m, min(c.together, c.rows-m))
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
func (c *call) row(p *part, m int) []byte {
	of := &c.fronts[p.front]
	return of.rows[(m-of.first)*c.l.fronts[p.front].stride():]
}

// tilesOf is the tiles for a part from row m, the first of a tile, and so many bytes of
// each row on.
func (c *call) tilesOf(p *part, m, at int) unsafe.Pointer {
	return unsafe.Pointer(&c.fronts[p.front].tiles[m*c.l.fronts[p.front].tiles+at*asm.TileRows])
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

// readsFrom implements matrix.
func (w *weights) readsFrom(int, int) int { return 0 }

// portions implements matrix: a tile each.
func (w *weights) portions(int, int) int { return up(w.n, tileRows(w.k)) }

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
