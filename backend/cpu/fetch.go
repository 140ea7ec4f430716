package cpu

import "unsafe"

// span is memory that is to be fetched.
type span struct {
	at    uintptr
	bytes int
}

func spanOf(w []byte) span { return span{uintptr(unsafe.Pointer(unsafe.SliceData(w))), len(w)} }

// soon names what comes next: run i of a tile, or behind the last tile the next
// run of the first. Its packed weights are fetched while the units are busy, at
// least a share with each step, and are in the second cache when they are unpacked.
// Tiles are counted in the portion; so many go together.
func (b *block) soon(tile, together, i, steps int) {
	b.coming, b.share = [2]span{}, 0
	if tile == b.tiles {
		if tile, i = 0, i+1; i == len(b.runs) {
			return
		}
	}
	r := b.runs[i]
	bytes := 0
	for i := range min(together, b.tiles-tile) {
		w := b.packed(tile+i, r)
		b.coming[i] = spanOf(w)
		bytes += len(w)
	}
	b.share = up(bytes/lineBytes, steps) * lineBytes
}

// comes names a run of n tiles from one on, counted in the portion, as what is read next: they may lie behind
// it, or behind all weights. Kernels fetch as much of it as they can, or a share. Whole tiles are one span.
func (b *block) comes(tile, n int, r run) {
	b.coming, b.share = [2]span{}, 0
	bytes := b.offset[r.to] - b.offset[r.from]
	if bytes == b.tileBytes() {
		bytes, n = n*bytes, 1
	}
	for i := range n {
		at := uintptr((b.tile+tile+i)*b.tileBytes() + b.offset[r.from])
		b.coming[i] = span{uintptr(unsafe.Pointer(unsafe.SliceData(b.data))) + at, bytes}
	}
}

// next is where what comes begins that is not fetched yet; if there is none, or no
// more of it, weights that are there anyway.
func (b *block) next(otherwise unsafe.Pointer) uintptr {
	for i := range b.coming {
		if w := &b.coming[i]; w.bytes > 0 {
			return w.at
		}
	}
	return uintptr(otherwise)
}

// fetch takes note of how far a kernel has fetched what comes, so many bytes, and
// asks for what is missing of the share of a step.
func (b *block) fetch(bytes int) {
	for i := range b.coming {
		w := &b.coming[i]
		if w.bytes == 0 {
			continue
		}
		n := min(bytes, w.bytes)
		if more := min(b.share, w.bytes) - n; more > 0 && b.f.fetch != nil {
			b.f.fetch(w.at+uintptr(n), uintptr(more/lineBytes))
			n += more
		}
		w.at, w.bytes = w.at+uintptr(n), w.bytes-n
		return
	}
}

// fetchOutputs asks for the lines that some rows and tiles are written to, since a
// line is read before it is written.
func (b *block) fetchOutputs(tile, tiles, row, rows int) {
	first := tile * tileColumns
	columns := min(tiles*tileColumns, b.n-first)
	for i := 0; i < columns && b.f.fetchRows != nil; i += lineBytes / b.c.yType.Size() {
		b.f.fetchRows(b.y(row, first+i), uintptr(b.c.yStep), uintptr(rows))
	}
}
