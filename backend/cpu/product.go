package cpu

import (
	"slices"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/internal/peak"
	"github.com/bitlane/bitlane/quant"
)

// Blocking of the products, in rows of x and in tiles of W.
const (
	rowsTogether  = 256 // of a portion: the sums of two tiles fit the first cache, or nearly. Another portion of rows reads all weights again
	rowsStraight  = 128 // of a portion straight from packed weights: int8 x of 4096 features stays in the second cache
	rowsLeast     = 12  // of a portion where rows are divided among threads
	tilesTogether = 4   // of a portion with unpacked weights
	tilesExact    = 8   // of a portion of exact rows on tiles

	rowsOnTheWay  = 128 // of a portion of exact rows, where weights are unpacked on the way to tiles
	rowsFinished  = 8   // of a portion at a time: their outputs stay in the first cache, even where they share a set
	rowsWhole     = 32  // likewise where two tiles or more go together, whose outputs are whole lines
	tilesFinished = 4   // of those straight from packed weights, at a time
	tilesStream   = 16  // of a portion straight from packed weights: one long stream
	runFeatures   = 512 // about so many features are unpacked at a time

	bytesTogether = 1 << 12 // of a row of x in a stretch of K, about: see stretches
	rowsInCache   = 3 << 18 // bytes of rows of x that stay in a second cache of 1 MiB beside weights

	never = rowsTogether + 1 // rows from which weights are unpacked
)

// Portions for each thread: those of many rows take long, and threads wait half of
// one for the last; those of few rows are streams of weights, the better the longer.
const portionsLeast, portionsMost, portionsByRow = 8, 32, 2

// runFeatures is about how many features are unpacked at a time, and multiplied with
// tiles of AMX.
func (p *panel) runFeatures() int { return runFeatures / p.tileValue() }

// portion is the most rows and tiles of a portion with unpacked weights. Measured on Granite Rapids,
// 4096x4096, g128, medians in ms:
//
//	rows                       256                   512
//	portions of            128   256         256   384   512
//	int8, 4 bits           5.5   5.0         9.5   9.8  11.2
//	int8, 8 bits           6.4   5.5        11.5  11.9  13.2
//	exact, 4 bits, tiles   7.2   7.4
//	exact, 8 bits, tiles   8.6   8.1
//	bfloat16, tiles       10.0   8.5
func (p *panel) portion() (rows, tiles int) {
	rows, tiles = rowsTogether, tilesTogether
	if p.kind == tilePanel {
		tiles = tilesExact
		if p.bits == 4 {
			rows = rowsOnTheWay
		}
	}
	return rows / p.rowUnit() * p.rowUnit(), tiles
}

// sumsBytes is the sums of a portion.
func (p *panel) sumsBytes() int {
	rows, tiles := p.portion()
	return rows * tiles * tileColumns * 4
}

// product is a panel with its weights, multiplied by the kernels of a unit.
type product struct {
	*panel
	f    functions
	data []byte    // tiles
	bias []float32 // of whole tiles; nil: none
	runs []run     // of blocks that are unpacked together

	spread *asm.Spread // of the source's codes, for f.pack

	places [][]uint32 // by run: where tiles of its packed weights begin, in bytes; nil: not for those

	second int  // bytes to the second tile that is unpacked
	spare  int  // bytes of Call.Spare
	short  bool // integer sums are short: see tuned.shortSum

	ahead, aheadTwo, aheadRows uintptr // how far ahead weights are fetched, in bytes: see tuned
	nextToo                    bool    // a call that all rows do with fetches of the next tile, too: see tuned.aheadRows
}

// run is blocks that are unpacked, and their sums finished, together.
type run struct{ from, to int }

var _ packable = (*product)(nil)

func newProduct(p *panel, u *unit, mem []byte, at *layout, s *backend.Spec) *product {
	w := &product{panel: p, f: u.kernels(), data: mem[at.rows:][:p.tiles()*p.tileBytes()], runs: p.divide(), second: p.unpackedBytes()}
	w.spread = w.f.pack.spreadOf(s.Bits)
	if p.tileFeatures > 0 {
		w.spare = p.tileSpare()
		w.places = p.placesOf(w.runs)
	}
	w.tune(tuningOf(peak.ThisCore()))
	if s.Bias {
		w.bias = view[float32](mem[at.bias:], p.tiles()*tileColumns)
	}
	return w
}

// tune makes w choose as is best on a processor.
func (w *product) tune(t *tuned) {
	w.ahead = t.ahead[w.weights()]
	if w.kind == tilePanel && w.bits == 0 && t.aheadTiles > 0 {
		w.ahead = t.aheadTiles
	}
	w.aheadTwo, w.aheadRows, w.nextToo = w.ahead, w.ahead, t.aheadRows == 0
	if !w.kind.exact() && w.integers().inRegisters > 0 {
		if t.aheadTwo > 0 {
			w.aheadTwo = t.aheadTwo
		}
		if w.aheadRows = t.aheadRows; w.aheadRows == 0 {
			w.aheadRows = aheadOfRows
		}
	}
	w.short = !w.kind.exact() && w.sumLength() < t.shortSum
	if k, from := w.integers(), t.wideFrom[w.weights()]; from > 0 && k.inRegisters > 0 {
		k.wideFrom = from
	}
	if k := w.integers(); t.shuffled && k.shuffled != nil {
		k.direct = append(slices.Clone(k.shuffled), k.direct[len(k.shuffled):]...)
	}
	if e, kind := &w.f.exact, w.weights(); w.kind == floatPanel {
		if from := t.unpackFrom[kind]; from > 0 && e.wider != nil {
			e.unpackFrom[kind] = from
		}
		if from := t.directWiderFrom[kind]; from > 0 && e.directWider[kind] != nil {
			e.directWiderFrom[kind] = from
		}
	}
}

func (w *product) packChunks() int { return w.panel.tiles() }

func (w *product) packChunk(chunk int, src *quant.Weight, order []int32, spare []uint8) {
	pk := packer{p: w.panel, f: w.f.pack, how: w.spread, src: src, order: order}
	pk.tile(w.data[chunk*w.tileBytes():][:w.tileBytes()], chunk, spare)
}

// divide returns runs of blocks, each of which ends where integer sums end.
func (p *panel) divide() (out []run) {
	features, from := 0, 0
	for i, b := range p.blocks {
		features += int(b.Segments) * int(b.Lines) * p.perLine
		if last := i+1 == len(p.blocks); last || features >= p.runFeatures() && p.pieces[p.first[i+1]-1].ends {
			out = append(out, run{from, i + 1})
			features, from = 0, i+1
		}
	}
	return out
}

// unpackedBytes is the most that a run of one tile takes unpacked.
func (p *panel) unpackedBytes() int {
	most := 0
	for _, r := range p.divide() {
		blocks := p.blocks[r.from:r.to]
		bytes := 0
		switch p.kind {
		case floatPanel:
			bytes = asm.UnpackedBytes(blocks)
		case pairPanel, tilePanel:
			bytes = asm.UnpackedPairsBytes(blocks)
		default:
			for _, b := range blocks {
				value := 1 // byte of a code
				if p.kind == wordPanel {
					value = 2
				}
				bytes += p.header() + int(b.Segments)*int(b.Features)*tileColumns*value
			}
		}
		most = max(most, bytes)
	}
	return align(most)
}

// productScratch is one worker's scratch for products with the functions f:
// sums, and the weights of two tiles where they are unpacked.
func productScratch(p *panel, f functions) int {
	unpacks := f.exact.gemm != nil
	switch {
	case p.kind == tilePanel:
		unpacks = f.exact.unpack[p.weights()] != nil
	case p.kind.exact():
	case p.bits == 4:
		unpacks = f.codes4.unpack != nil || f.codes4.tilesUnpack != nil
	default:
		unpacks = f.codes8.unpack != nil || f.codes8.tilesUnpack != nil
	}
	n := p.sumsBytes()
	if p.tileFeatures > 0 {
		n += p.tileSpare()
	}
	if unpacks {
		n += 2 * p.unpackedBytes()
	}
	return n
}

func (w *product) outputs() int { return w.n }

// multiply implements matrix.
func (w *product) multiply(c *call, p *part, worker, portion int) {
	rows := c.rows * w.parts
	g, shares := w.grid(rows, c.threads), c.l.dev.pool.Threads()
	t := block{product: w, c: c, p: p, call: &c.run[worker].Call, out: &c.run[worker].Output, worker: worker, scratch: c.scratchOf(worker)}
	t.row, t.tile = g.at(portion, shares)
	t.tiles = min(g.tiles, w.panel.tiles()-t.tile)
	t.behind = g.behind(portion, shares, w.panel.tiles())
	t.rows = min(g.rows, rows-t.row)
	tail := w.tail(t.rows)
	t.rows -= tail
	t.compute()
	if tail > 0 { // its weights are in the second cache
		t.row, t.rows = t.row+t.rows, tail
		t.compute()
	}
}

// compute multiplies the rows of the block with its tiles.
func (b *block) compute() {
	stride := uintptr(b.front().stride())
	*b.call = asm.Call{XStep: stride, SStep: stride, Form: b.form, Zero: uint64(b.zero), Ahead: b.aheadOf(1), Pace: lineBytes}
	switch {
	case b.rows < b.from():
		b.straight()
	case b.fewOnTiles(b.rows):
		b.fewRows()
	default:
		b.runByRun()
	}
}

// block is some rows by some tiles, computed by one goroutine. Its rows are those of kernels,
// panel.parts for each row of x.
type block struct {
	*product
	c    *call
	p    *part
	call *asm.Call
	out  *asm.Output

	worker      int
	scratch     []byte
	row, rows   int
	height      int // rows of sums: on tiles there are whole ones
	tile, tiles int
	behind      int // tile that the next portion begins with

	coming [2]span // packed weights of the next run, of each tile, that are not fetched yet: whole lines
	share  int     // bytes that are fetched with a step

	sharing bool // each of several calls that read the same tiles fetches its share of what comes
}

// front is what has prepared the rows.
func (b *block) front() *front { return b.c.l.fronts[b.p.front] }

// packed is a run of blocks of a tile of the portion.
func (b *block) packed(tile int, r run) []byte {
	w := b.data[(b.tile+tile)*b.tileBytes():]
	return w[b.offset[r.from]:b.offset[r.to]]
}

// from is the number of rows from which weights are unpacked once for all of
// them.
func (w *product) from() int {
	if w.tileFeatures > 0 {
		return w.leastTiled()
	}
	if e := &w.f.exact; w.kind.exact() {
		switch {
		case e.gemm == nil:
			return never
		case e.direct[w.weights()] == nil:
			return 1
		}
		return e.unpackFrom[w.weights()]
	}
	if k := w.integers(); k.wideFrom > 0 {
		return k.wideFrom
	}
	return never
}

func (w *product) integers() *integerKernels {
	if w.bits == 4 {
		return &w.f.codes4
	}
	return &w.f.codes8
}

// runByRun computes a run of all tiles after the other, so that what it reads of
// x is still in the second cache for the next tiles. It unpacks weights once for
// all rows, two tiles at a time where kernels take two.
func (b *block) runByRun() {
	one, two, unpack := b.wide()
	together := b.together()
	b.height = b.rows
	unpacked := b.scratch[b.sumsBytes():]
	if b.tileFeatures > 0 {
		b.height = tiledRows(b.rows)
		b.call.Spare = unsafe.Pointer(&unpacked[0])
		unpacked = unpacked[b.spare:]
	}
	sums := view[float32](b.scratch, b.height*b.tiles*tileColumns)
	clear(sums)
	for i, r := range b.runs {
		for tile := 0; tile < b.tiles; tile += together {
			tiles, steps := min(together, b.tiles-tile), one
			if tiles == 2 {
				steps = two
			}
			sums := sums[b.height*tile*tileColumns:][:b.height*tiles*tileColumns]
			calls := 1 // on tiles, whose kernels have shares of their own
			if b.tileFeatures == 0 {
				calls = up(b.rows, steps[0].rows)
			}
			b.soon(tile+tiles, together, i, calls)
			if b.kind == tilePanel {
				b.sweepPairs(r, unpacked, sums, b.tile+tile, tiles)
				continue
			}
			w, step := unsafe.Pointer(unsafe.SliceData(b.packed(tile, r))), b.tileBytes()
			if unpack != nil {
				b.begin(r, tiles)
				for t := range tiles {
					w := b.packed(tile+t, r)
					b.call.W = unsafe.Pointer(unsafe.SliceData(w))
					if b.tileFeatures > 0 {
						b.call.Soon = b.halfOf(t, w)
					}
					unpack(unsafe.Pointer(unsafe.SliceData(unpacked[t*b.second:])), b.call)
				}
				w, step = unsafe.Pointer(unsafe.SliceData(unpacked)), b.second
			}
			if b.tileFeatures > 0 {
				b.sweepOnTiles(r, w, step, sums, b.tile+tile, tiles)
			} else {
				b.sweep(steps, r, w, step, sums, tiles, b.tile+tile, tiles)
			}
		}
	}
	b.finish(b.tile, b.tiles, together, sums)
}

func (b *block) direct() []step {
	if b.kind.exact() {
		return b.f.exact.direct[b.weights()]
	}
	return b.integers().direct
}

// together is how many tiles go together where there are many rows.
func (w *product) together() int {
	if w.tileFeatures > 0 {
		return tilesOfAMX
	}
	if _, two, _ := w.wide(); two != nil {
		return 2
	}
	return 1
}

// wide returns the kernels of one tile and of two for many rows, none on tiles of AMX,
// and what unpacks for them.
func (w *product) wide() (one, two []step, unpack func(unsafe.Pointer, *asm.Call)) {
	if w.kind.exact() {
		e := &w.f.exact
		return e.gemm, e.wider, e.unpack[w.weights()]
	}
	k := w.integers()
	if w.tileFeatures > 0 {
		return nil, nil, k.tilesUnpack
	}
	two = k.wider
	if w.short && k.inRegisters > 0 {
		two = two[len(two)-k.inRegisters:]
	}
	return k.wide, two, k.unpack
}

// pick returns the kernel for the next of some rows that are left, and how often
// it runs before another is picked. It divides the rows evenly: of seven, four
// and three take less time than six and one.
func pick(steps []step, left int) (s *step, rows, times int) {
	most := steps[0].rows
	calls := up(left, most)
	even, times := left/calls, left%calls
	if times == 0 {
		times = calls
	} else { // so many calls have a row more than the others
		even++
	}
	i := 0
	for steps[i].rows > even {
		i++
	}
	if steps[i].rows < even { // there is none of so many rows
		times = 1
	}
	return &steps[i], steps[i].rows, times
}

// begin makes the call one of a run of some tiles, whose sums of a row lie side by side.
func (b *block) begin(r run, tiles int) {
	c := b.call
	c.Blocks, c.Count = &b.blocks[r.from], uintptr(r.to-r.from)
	c.YStep = uintptr(tiles * tileColumns * 4)
}

// allRows makes the call one of the rows of the block, from the features of a run on.
func (b *block) allRows(r run) {
	f, first := b.front(), int(b.first[r.from])
	b.call.X, b.call.Rows = unsafe.Pointer(&b.c.row(b.p, b.row)[int(b.pieces[first].at)*f.values.Size()]), uintptr(b.rows)
	b.sidesFrom(first)
}

// sidesFrom makes the call one of what the rows of the block have besides values from a piece
// on. What the kernels read of a row is stride bytes behind that of the row before.
func (b *block) sidesFrom(piece int) {
	f := b.front()
	prepared := b.c.row(b.p, b.row)
	if f.sideAt > 0 {
		b.call.Side = unsafe.Pointer(&prepared[4*piece+f.sideAt])
	}
	if !f.perRow {
		b.call.Scales = unsafe.Pointer(&prepared[4*piece+f.scalesAt])
	}
}

// sweep runs kernels over all rows of the block and some tiles from one on, whose sums lie beside
// those of others.
func (b *block) sweep(steps []step, r run, w unsafe.Pointer, wStep int, sums []float32, beside, tile, tiles int) {
	c := b.call
	b.begin(r, beside)
	c.W, c.WStep = w, uintptr(wStep)
	b.allRows(r)
	call, calls, read := 0, up(b.rows, steps[0].rows), tiles*(b.offset[r.to]-b.offset[r.from])
	for m := 0; m < b.rows; {
		s, rows, times := pick(steps, b.rows-m)
		for range times {
			c.Y = &sums[m*beside*tileColumns]
			if r.to == len(b.blocks) {
				b.fetchOutputs(tile, tiles, m/b.parts, up(min(rows, b.rows-m), b.parts))
			}
			if b.sharing {
				c.Ahead, c.Pace = b.shareOf(call, calls, uintptr(w), read)
				call++
			}
			next := b.next(w)
			c.Next, c.Rows = next, uintptr(rows)
			s.run(c)
			b.fetch(int(c.Next - next))
			if m += rows; m < b.rows {
				c.Pass(uintptr(rows))
			}
		}
	}
}
