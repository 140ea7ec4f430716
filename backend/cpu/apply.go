package cpu

import (
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

	prepared []byte // rows of l.row bytes
	scratch  []byte // l.scratch bytes for each worker
	products bool   // which of the two loops runs
}

// The least work, in features prepared and in products, that is worth waking
// another worker for.
const (
	frontWork   = 1 << 12
	productWork = 1 << 15
)

func (c *call) run() {
	l := c.l
	prepare := c.rows * len(l.fronts)
	l.dev.pool.Run(c.job, c, prepare, width(float64(prepare)*float64(l.k)/frontWork))
	c.products = true
	l.dev.pool.Run(c.job, c, l.chunks, width(float64(c.rows)*float64(l.n)*float64(l.k)/productWork))
}

// width is how many goroutines so many worthwhile portions of work deserve.
func width(portions float64) int { return int(min(portions, 1<<16)) + 1 }

// Do implements workers.Task.
func (c *call) Do(worker, chunk int) {
	scratch := c.scratch[worker*c.l.scratch:][:c.l.scratch]
	if c.products {
		c.multiply(scratch, chunk)
		return
	}
	fronts := c.l.fronts
	m, i := chunk/len(fronts), chunk%len(fronts)
	row := c.prepared[m*c.l.row:]
	for _, f := range fronts[:i] {
		row = row[f.row:]
	}
	fronts[i].prepare(row[:fronts[i].row], c.x[m*c.xStep:], scratch)
}

// multiply computes the outputs of one chunk for all rows of x.
func (c *call) multiply(scratch []byte, chunk int) {
	at := len(c.l.parts) - 1
	for chunk < c.l.parts[at].chunk {
		at--
	}
	p := &c.l.parts[at]
	first := (chunk - p.chunk) * p.tile
	last := min(first+p.tile, p.w.n)
	if c.l.fronts[p.front].recipe.Kind == quant.Exact {
		c.multiplyExact(p, scratch, first, last)
	} else {
		c.multiplyCodes(p, scratch, first, last)
	}
}

// together is the rows of W that are unpacked before they are multiplied. One
// row of x uses each only once, best while it is still in the first cache.
func (c *call) together(p *part) int {
	if c.rows == 1 {
		return 1
	}
	return p.tile
}

func (c *call) multiplyExact(p *part, scratch []byte, first, last int) {
	f := c.l.fronts[p.front]
	step := int(align(int64(padded(p.w.k)) * 4))
	codes := scratch[p.tile*step:]
	for lo := first; lo < last; lo += c.together(p) {
		hi := min(lo+c.together(p), last)
		for n := lo; n < hi; n++ {
			p.w.floats(view[float32](scratch[(n-lo)*step:], padded(p.w.k)), codes, n)
		}
		for m := range c.rows {
			x := f.values(c.prepared[m*c.l.row+p.at:])
			for n := lo; n < hi; n++ {
				c.put(p, m, n, dot(x, view[float32](scratch[(n-lo)*step:], len(x))))
			}
		}
	}
}

func (c *call) multiplyCodes(p *part, scratch []byte, first, last int) {
	f := c.l.fronts[p.front]
	row := int(align(int64(padded(p.w.k)) * 4))
	step := row + int(align(int64(p.w.groups)*4))
	codes := scratch[p.tile*step:]
	for lo := first; lo < last; lo += c.together(p) {
		hi := min(lo+c.together(p), last)
		for n := lo; n < hi; n++ {
			at := scratch[(n-lo)*step:]
			p.w.integers(view[int32](at, p.w.k), view[float32](at[row:], p.w.groups), codes, n)
		}
		for m := range c.rows {
			q, act := f.codes(c.prepared[m*c.l.row+p.at:])
			for n := lo; n < hi; n++ {
				at := scratch[(n-lo)*step:]
				c.put(p, m, n, p.w.combine(q, act, view[int32](at, p.w.k), view[float32](at[row:], p.w.groups)))
			}
		}
	}
}

// put adds the bias and stores one output, rounded once.
func (c *call) put(p *part, m, n int, y float32) {
	if p.w.bias != nil {
		y += p.w.bias[n]
	}
	c.yType.Put(c.y[m*c.yStep:], p.column+n, y)
}
