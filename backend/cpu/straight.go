package cpu

import (
	"slices"
	"unsafe"
)

// straight computes rows straight from packed weights, with kernels of two tiles where there are
// some for so many.
func (b *block) straight() {
	one, two := b.direct(), b.directWider(b.rows)
	if s1, s2 := b.ofAllRows(one), b.ofAllRows(two); s1 != nil || s2 != nil && b.tiles%2 == 0 {
		b.stream(s1, s2)
		return
	}
	all := run{0, len(b.blocks)}
	for first := 0; first < b.tiles; first += tilesFinished {
		tiles := min(tilesFinished, b.tiles-first)
		sums := view[float32](b.scratch, b.rows*tiles*tileColumns)
		clear(sums)
		for i, n := first, 1; i < first+tiles; i += n {
			steps := one
			if n = 1; two != nil && i+1 < first+tiles {
				steps, n = two, 2
			}
			b.call.Ahead = b.aheadOf(n)
			b.coming, b.share = [2]span{}, 0
			if i+n < b.tiles {
				b.coming[0] = spanOf(b.packed(i+n, all)) // memory is free while units are busy, or a tile is read again
			}
			b.sweep(steps, all, unsafe.Pointer(unsafe.SliceData(b.packed(i, all))), b.tileBytes(), sums[(i-first)*tileColumns:], tiles, b.tile+i, n)
		}
		b.finish(b.tile+first, tiles, tiles, sums)
	}
}

// ofAllRows returns the kernel that takes all rows of the block in a call, nil if there is none.
func (b *block) ofAllRows(steps []step) *step {
	if i := slices.IndexFunc(steps, func(s step) bool { return s.rows == b.rows }); i >= 0 {
		return &steps[i]
	}
	return nil
}

// stream is straight for few rows: a call for two tiles, where two is not nil, or for one, which is not
// nil if one is left, and next to nothing between them, as memory would wait for it.
func (b *block) stream(one, two *step) {
	c, all := b.call, run{0, len(b.blocks)}
	sums := view[float32](b.scratch, b.rows*b.tiles*tileColumns)
	clear(sums)
	b.begin(all, b.tiles)
	b.rowsFrom(0, b.rows, all)
	c.WStep = uintptr(b.tileBytes())
	packed, tile := unsafe.Pointer(unsafe.SliceData(b.packed(0, all))), 0
	multiply := func(s *step, n int) {
		c.Ahead = b.aheadOf(n)
		for ; tile+n <= b.tiles; tile += n {
			c.W, c.Y = unsafe.Add(packed, tile*b.tileBytes()), &sums[tile*tileColumns]
			if c.Next = uintptr(c.W); b.nextToo {
				c.Next += uintptr(n * b.tileBytes())
			}
			if tile+n == b.tiles {
				b.fetchOutputs(b.tile, b.tiles, 0, b.rows/b.parts)
			}
			s.run(c)
		}
	}
	if two != nil {
		multiply(two, 2)
	}
	if one != nil {
		multiply(one, 1)
	}
	b.finish(b.tile, b.tiles, b.tiles, sums)
}

// aheadOf is Call.Ahead for kernels of n tiles: they fetch in the order of memory, so that a second
// tile's lines are there before it begins.
func (b *block) aheadOf(n int) uintptr {
	ahead := b.ahead
	switch {
	case b.rows > 3:
		ahead = b.aheadRows
	case b.rows <= 2:
		ahead = b.aheadTwo
	}
	if ahead > 0 {
		ahead += uintptr((n - 1) * b.tileBytes())
	}
	return ahead
}

// sharing says that calls which read the same tiles straight from packed weights fetch shares of the
// next; kernels of unpacked weights are told, too, and do not heed it.
func (w *product) sharing() bool {
	return w.ahead > 0 && w.kind.exact() && w.f.exact.shares[w.weights()]
}

// shareOf is Call.Ahead and Call.Pace of the kernel for some rows from row m on that is one of several
// for n tiles: it fetches as much of the tiles behind them as it has of the rows, so that memory, which
// these tiles have come from before, is busy all the time.
func (b *block) shareOf(m, rows, n int) (ahead, pace uintptr) {
	bytes, first := n*b.tileBytes(), &b.blocks[0]
	at := bytes + bytes*m/b.rows - int(first.Segments)*int(first.Lines)*lineBytes // kernels add these lines, but to 0
	return uintptr(max(1, at)), uintptr(up(lineBytes*rows, b.rows))
}

// directWider returns the kernels that multiply so many rows straight from packed weights of
// two tiles, nil if there are none.
func (w *product) directWider(rows int) []step {
	if e, kind := &w.f.exact, w.weights(); w.kind.exact() && rows >= e.directWiderFrom[kind] {
		return e.directWider[kind]
	}
	return nil
}
