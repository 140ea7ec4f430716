package cpu

import (
	"slices"
	"unsafe"
)

// straight computes rows straight from packed weights, with kernels of two tiles where there are
// some for so many. Where a call does not have all rows, several read the same tiles: K may be in stretches then,
// each of which all tiles that are finished together are multiplied with before the next.
func (b *block) straight() {
	one, two := b.direct(), b.directWider(b.rows)
	if s1, s2 := b.ofAllRows(one), b.ofAllRows(two); s1 != nil || s2 != nil && b.tiles%2 == 0 {
		b.stream(s1, s2)
		return
	}
	together := 1
	if two != nil {
		together = 2
	}
	stretches := b.stretches(together)
	b.sharing = b.ahead > 0 && b.kind.exact() && (b.f.exact.shares[b.weights()] || stretches > 1)
	for first := 0; first < b.tiles; first += tilesFinished {
		tiles := min(tilesFinished, b.tiles-first)
		sums, end := view[float32](b.scratch, b.rows*tiles*tileColumns), first+tiles
		clear(sums)
		for i := range stretches {
			r := b.stretch(i, stretches)
			for tile, n := first, 0; tile < end; tile += n {
				steps := one
				if n = min(together, end-tile); n == 2 {
					steps = two
				}
				b.call.Ahead = b.aheadOf(n)
				switch next := tile + n; { // memory is free while units are busy, or tiles are read again: as many come as these
				case next < end:
					b.comes(next, min(n, end-next), r)
				case i+1 < stretches:
					b.comes(first, n, b.stretch(i+1, stretches))
				default:
					b.comes(next, n, b.stretch(0, stretches))
				}
				b.sweep(steps, r, unsafe.Pointer(unsafe.SliceData(b.packed(tile, r))), b.tileBytes(), sums[(tile-first)*tileColumns:], tiles, b.tile+tile, n)
			}
		}
		b.finish(b.tile+first, tiles, tiles, sums)
	}
}

// stretches is how many K is in: one, or so many that what is read again and again has room in the second
// cache. Those are tiles of plain weights, which several calls read, with what is fetched of the next; and rows
// of x that leave it, as all tiles read them, where 4-bit codes do not wait for memory themselves. It gains
// (Zen 5, plain weights and x of bfloat16, int8 by 4-bit codes in groups of 128, us, N=1024 but where K=4096):
//
//	rows                          14    24    48    64   128    256   K
//	plain, one                  1163  1753  3555  4686  8888  18560   4096
//	plain, 4096 bytes of x each 1082  1650  3288  4447  8973  17921
//	plain, one                  1333  1834  3492  4653  8493  16308   14336 (128 and 256 rows unpacked)
//	plain, 4096 bytes            950  1470  2870  3912  7735  15744
//	codes, one                                    2205  4514   8981   14336
//	codes, 4096 bytes                             2174  4341   8754
func (b *block) stretches(together int) int {
	plain := together == 2 && b.bits == 0
	codes := b.bits == 4 && b.integers().inRegisters > 0 && !b.kind.exact() && b.rows*b.front().stride() > rowsInCache
	if plain || codes {
		return up(len(b.runs), bytesTogether/(runFeatures*b.front().values.Size()))
	}
	return 1
}

// stretch is one of so many, the longer ones last: the last run is a short one, and what comes is no more
// than what is read while it is fetched.
func (w *product) stretch(i, of int) run {
	return run{w.runs[i*len(w.runs)/of].from, w.runs[(i+1)*len(w.runs)/of-1].to}
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
	b.allRows(all)
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

// shareOf is Call.Ahead and Call.Pace of one of so many calls that read the same bytes from w on: each fetches
// its share of what comes, so that memory, which has nothing else to do once the first of them has read the tiles,
// is busy all the time. Of two tiles apart the first half of the calls fetches one and the others the other.
func (b *block) shareOf(call, calls int, w uintptr, read int) (ahead, pace uintptr) {
	of, second, first := b.coming[0], b.coming[1], b.call.Blocks
	switch {
	case second.at == of.at+uintptr(of.bytes):
		of.bytes += second.bytes
	case second.bytes > 0:
		if half := up(calls, 2); call < half {
			calls = half
		} else {
			of, call, calls = second, call-half, max(1, calls-half)
		}
	}
	from := of.at + uintptr(of.bytes*call/calls-int(first.Segments)*int(first.Lines)*lineBytes) // kernels add these lines, but to 0
	return max(1, from-w), uintptr(up(lineBytes*of.bytes, calls*read))
}

// directWider returns the kernels that multiply so many rows straight from packed weights of
// two tiles, nil if there are none.
func (w *product) directWider(rows int) []step {
	if e, kind := &w.f.exact, w.weights(); w.kind.exact() && rows >= e.directWiderFrom[kind] {
		return e.directWider[kind]
	}
	return nil
}
