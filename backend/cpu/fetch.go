package cpu

import "unsafe"

// span is memory that is to be fetched.
type span struct {
	at    uintptr
	bytes int
}

// startOf is where weights begin.
func startOf(w []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(w))) }

// soon names what comes next: run i of a tile, or behind the last tile the next
// run of the first. Its packed weights are fetched while the units are busy, at
// least a share with each step, and are in the second cache when they are unpacked.
// Tiles are counted in the portion; so many go together.
func (b *block) soon(tile, together, i, steps int) {
	if tile == b.tiles {
		if tile, i = 0, i+1; i == len(b.runs) {
			b.coming, b.share = [2]span{}, 0
			return
		}
	}
	b.comes(tile, min(together, b.tiles-tile), b.runs[i])
	b.share = up((b.coming[0].bytes+b.coming[1].bytes)/lineBytes, steps) * lineBytes
}

// comes names a run of n tiles from one on, counted in the portion, as what is read next: behind its tiles
// are those of the portion behind it, which for the last one lie behind all weights. Kernels fetch as much of it as
// they can, or a share.
func (b *block) comes(tile, n int, r run) {
	b.coming, b.share = [2]span{}, 0
	first := b.tile + tile
	if tile >= b.tiles {
		first = b.behind + tile - b.tiles
	}
	for i := range n {
		at := (first+i)*b.tileBytes() + b.offset[r.from]
		b.coming[i] = span{startOf(b.data) + uintptr(at), b.offset[r.to] - b.offset[r.from]}
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
