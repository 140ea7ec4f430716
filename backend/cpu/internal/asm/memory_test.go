package asm

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/guardpage"
)

// memory is where problems lie for kernels: each buffer ends or begins at a
// page without access. It is reused, so that a test maps few pages.
type memory struct {
	t          testing.TB
	last       map[string][]byte // buffers that end at such a page
	first      map[string][]byte
	w, x, y    []byte
	side, sx   []byte
	spare      []byte // of kernels of tiles
	blocks     []byte
	xs, ss, ys int // steps
	ws         int
}

func newMemory(t testing.TB) *memory {
	return &memory{t: t, last: map[string][]byte{}, first: map[string][]byte{}}
}

// take returns n bytes with a guard page behind, or before.
func (m *memory) take(what string, n int, behind bool) []byte {
	pool, get := m.first, guardpage.Begin
	if behind {
		pool, get = m.last, guardpage.End
	}
	if len(pool[what]) < n {
		pool[what] = get(m.t, 2*n)
	}
	b := pool[what]
	if behind {
		return b[len(b)-n:]
	}
	return b[:n:n]
}

// part is the rows and the columns of a problem that a kernel is given. The problem's
// kernel has as many or more, and may have codes laid otherwise.
type part struct {
	kernel
	row, tile int // the first
}

func (p *problem) whole() part { return part{kernel: p.kernel} }

// room is the rows that the buffers of a part have: those that kernels of tiles have beyond the last
// are theirs.
func (k part) room() int {
	if k.tiles == 0 {
		return k.rows
	}
	return tiledRows(k.rows)
}

// tiledRows is rows with those that fill the last tile.
func tiledRows(rows int) int { return (rows + TileRows - 1) / TileRows * TileRows }

// anyPart is a part for k.
func (p *problem) anyPart(rng *rand.Rand, k kernel) part {
	return part{k, rng.IntN(p.kernel.rows - k.rows + 1), rng.IntN((p.kernel.columns-k.columns)/16 + 1)}
}

// lay writes a part of p to memory, with random steps, and returns the call. W is
// aligned to 64 bytes, float32 and dwords to 4, x of 16 bits to 2, x of 8 bits
// to nothing.
func (m *memory) lay(rng *rand.Rand, p *problem, k part) *Call {
	laid := *p
	laid.kernel.apart, laid.kernel.less = k.apart, k.less
	p = &laid
	behind := rng.Uint32N(4) != 0
	segments, tiles := p.segments(), k.columns/16
	tile := p.tileBytes()
	m.ws = tile + 64*int(rng.Uint32N(3))
	m.w = m.take("w", (tiles-1)*m.ws+tile, behind)
	for i := range tiles {
		copy(m.w[i*m.ws:][:tile], p.packed(k.tile+i))
	}

	element, rows := k.elementBytes(), p.rowBytes()
	row := p.features() * element
	m.xs = row + element*int(rng.Uint32N(70))
	m.x = m.take("x", (k.rows-1)*m.xs+row, behind)
	for r := range k.rows {
		copy(m.x[r*m.xs:], rows[(k.row+r)*row:][:row])
	}

	m.ss = 4 * (segments + int(rng.Uint32N(3)))
	m.side, m.sx = m.take("side", (k.room()-1)*m.ss+4*segments, behind), nil
	if p.sx != nil {
		m.sx = m.take("sx", len(m.side), behind)
	}
	for r := range k.rows {
		for s := range segments {
			from := (k.row+r)*segments + s
			binary.LittleEndian.PutUint32(m.side[r*m.ss+4*s:], p.side[from])
			if p.sx != nil {
				binary.LittleEndian.PutUint32(m.sx[r*m.ss+4*s:], math.Float32bits(p.sx[from]))
			}
		}
	}

	m.blocks = m.take("blocks", 8*len(p.blocks), behind)
	for i, b := range p.blocks {
		at := m.blocks[8*i:]
		binary.LittleEndian.PutUint32(at, b.Lines)
		at[4], at[5] = b.Segments, b.Ends
	}

	m.ys = 4 * (k.columns + int(rng.Uint32N(3)))
	m.y = m.take("y", (k.room()-1)*m.ys+4*k.columns, behind)
	for i := range m.y {
		m.y[i] = 0xa5
	}
	for r := range k.rows {
		for i, v := range k.of(p.y, p, r) {
			binary.LittleEndian.PutUint32(m.y[r*m.ys+4*i:], math.Float32bits(v))
		}
	}

	c := &Call{
		W: pointer(m.w), WStep: uintptr(m.ws), X: pointer(m.x), XStep: uintptr(m.xs),
		Blocks: (*Block)(pointer(m.blocks)), Count: uintptr(len(p.blocks)),
		Side: pointer(m.side), SStep: uintptr(m.ss),
		Y: (*float32)(pointer(m.y)), YStep: uintptr(m.ys), Form: p.form, Zero: uint64(p.zero), Ahead: uintptr(rng.Uint32N(3) << 12),
		Next: uintptr(rng.Uint64N(1 << 47)),
	}
	if p.sx != nil {
		c.Scales = pointer(m.sx)
	}
	if k.wide {
		c.Side = nil
	}
	if k.tiles > 0 {
		m.spare = m.take("spare", TileSpare(tiles, segments), behind)
		c.Rows, c.Spare = uintptr(k.rows), pointer(m.spare)
		c.Soon, c.Share = uintptr(c.W), uintptr(rng.Uint32N(3))
		c.Tiles, c.TileBytes = uintptr(tiles), uintptr(k.tiles)
		m.layTiles(rng, c, rows[k.row*row:], row, behind)
		m.layPlaces(c, p.places(), behind)
	}
	return c
}

// places is where each tile of packed codes of 4 bits begins in a tile of columns, by segment.
func (p *problem) places() (all [][]uint32) {
	at, header := 0, 64*(p.form.ScaleBytes()+p.form.ZeroBytesOf())
	for _, b := range p.blocks {
		at += header
		for range b.Segments {
			var places []uint32
			for line := 0; line < int(b.Lines); line += p.kernel.tiles / p.kernel.lineFeatures() {
				places = append(places, uint32(at+64*line))
			}
			all = append(all, places)
			at += 64 * int(b.Lines)
		}
	}
	return all
}

func (m *memory) layPlaces(c *Call, places [][]uint32, behind bool) {
	all := slices.Concat(places...)
	b := m.take("places", 4*len(all), behind)
	for i, v := range all {
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
	c.Places, c.PlaceCount = (*uint32)(pointer(b)), uintptr(len(all))
}

// layTiles writes x, of so many rows one after the other, as kernels of tiles read
// it.
func (m *memory) layTiles(rng *rand.Rand, c *Call, rows []byte, row int, behind bool) {
	tile := int(c.TileBytes)
	m.xs = row + 4*int(rng.Uint32N(20))
	blocks := (int(c.Rows) + TileRows - 1) / TileRows
	m.x = m.take("x", (blocks-1)*TileRows*m.xs+TileRows*row, behind)
	for i := range m.x { // rows beyond the last
		m.x[i] = 0x5a
	}
	for r := range int(c.Rows) {
		to := m.x[r/TileRows*TileRows*m.xs+r%TileRows*tile:]
		for at := 0; at < row; at += tile {
			copy(to[at*TileRows:], rows[r*row+at:][:tile])
		}
	}
	c.X, c.XStep = pointer(m.x), uintptr(m.xs)
}

// of returns row r of the part, of y or of what the model says of it.
func (k part) of(y []float32, p *problem, r int) []float32 {
	return y[(k.row+r)*p.kernel.columns+16*k.tile:][:k.columns]
}

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// run calls the kernel and compares with the model, bit for bit. Nothing but Y
// may have changed.
func (m *memory) run(rng *rand.Rand, p *problem, k part) {
	m.t.Helper()
	c := m.lay(rng, p, k)
	given := [][]byte{m.w, m.x, m.side, m.sx, m.blocks}
	var before [][]byte
	for _, b := range given {
		before = append(before, bytes.Clone(b))
	}
	kept := *c
	want := p.model(m.t)
	k.run(c)
	m.sameCall(kept, *c)
	for i := range given {
		require.True(m.t, bytes.Equal(before[i], given[i]), "an input changed")
	}
	for i := 0; i < len(m.y); i += 4 {
		row, column := i/m.ys, i%m.ys/4
		got := binary.LittleEndian.Uint32(m.y[i:])
		if column >= k.columns {
			m.between(got)
			continue
		}
		if row >= k.rows {
			continue
		}
		w := k.of(want, p, row)[column]
		if !same(w, math.Float32frombits(got)) {
			m.t.Fatalf("%s: row %d, column %d of %s: %g (%#x), want %g (%#x)", k.name, row, column, p, math.Float32frombits(got), got, w, math.Float32bits(w))
		}
	}
}

// sameCall and between do without the reflection of require.Equal, which is slow under emulators.
func (m *memory) sameCall(kept, c Call) {
	m.t.Helper()
	if c.Next-kept.Next <= 1<<20 && c.Next%64 == kept.Next%64 {
		c.Next = kept.Next // kernels of two tiles move it on by lines
	}
	if kept != c {
		m.t.Fatalf("the call changed: %+v, was %+v", c, kept)
	}
}

func (m *memory) between(got uint32) {
	m.t.Helper()
	if got != 0xa5a5a5a5 {
		m.t.Fatalf("written between rows: %#x", got)
	}
}

// rowBytes is x as kernels read it.
func (p *problem) rowBytes() []byte {
	if p.made.rows == nil {
		for _, v := range p.x {
			if p.made.rows = append(p.made.rows, byte(v)); p.kernel.wide {
				p.made.rows = append(p.made.rows, byte(v>>8))
			}
		}
	}
	return p.made.rows
}

// packed is tile i of p as kernels read it.
func (p *problem) packed(i int) []byte {
	tiles := &p.made.tiles[0]
	switch {
	case p.kernel.less && p.kernel.apart:
		tiles = &p.made.tiles[2]
	case p.kernel.apart:
		tiles = &p.made.tiles[1]
	}
	if tiles[i] == nil {
		tiles[i] = make([]byte, p.tileBytes())
		p.pack(tiles[i], i)
	}
	return tiles[i]
}

// tileBytes is the size of one tile of p.
func (p *problem) tileBytes() (n int) {
	header := 64 * (p.form.ScaleBytes() + p.form.ZeroBytesOf())
	for _, b := range p.blocks {
		n += header + p.kernel.lineBytes()*int(b.Segments)*int(b.Lines)
	}
	return n
}

// pack writes tile i of p as kernels read it.
func (p *problem) pack(dst []byte, tile int) {
	n, s := p.kernel.columns, 0
	for _, b := range p.blocks {
		clear(dst[:64*(p.form.ScaleBytes()+p.form.ZeroBytesOf())])
		for i := range int(b.Segments) * 16 {
			at := (s+i/16)*n + tile*16 + i%16
			if p.form.ScaleBytes() == 4 {
				binary.LittleEndian.PutUint32(dst[4*i:], p.scales[at])
			} else {
				binary.LittleEndian.PutUint16(dst[2*i:], uint16(p.scales[at]))
			}
			switch zeros := dst[64*p.form.ScaleBytes():]; p.form & zeroMask {
			case ZeroBytes:
				zeros[i] = byte(p.zeros[at])
			case ZeroPairs:
				binary.LittleEndian.PutUint16(zeros[4*i:], uint16(p.zeros[at]))
				binary.LittleEndian.PutUint16(zeros[4*i+2:], uint16(p.codeSums[at]))
			}
		}
		dst = dst[64*(p.form.ScaleBytes()+p.form.ZeroBytesOf()):]
		for range int(b.Segments) {
			p.packLines(dst, s, tile)
			dst, s = dst[p.kernel.lineBytes()*int(b.Lines):], s+1
		}
	}
}

// packLines writes the lines of segment s.
func (p *problem) packLines(dst []byte, s, tile int) {
	n, line := p.kernel.columns, p.kernel.lineFeatures()
	from, to := p.starts[s], p.starts[s+1]
	for k := from; k < to; k++ {
		j, t := (k-from)/line, (k-from)%line
		for c := range 16 {
			u := p.codes[k*n+tile*16+c]
			if p.kernel.less && p.kernel.apart && p.form.Zeros() != ZeroPairs {
				u -= uint8(p.zeroOf(s, tile*16+c))
			}
			switch i := p.kernel.lineBytes()*j + 4*c + t%4; {
			case p.kernel.apart && p.kernel.wide:
				i = p.kernel.lineBytes()*j + t/2*64 + 4*c + t%2*2
				binary.LittleEndian.PutUint16(dst[i:], uint16(int16(u)-p.zeroOf(s, tile*16+c)))
			case t < 4:
				dst[i] = u
			case p.kernel.apart:
				dst[i+64] = u
			default:
				dst[i] |= u << 4
			}
		}
	}
}
