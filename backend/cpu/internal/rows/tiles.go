package rows

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
)

// Halves is where the upper halves of a tile's float32 come from, among the 64 halves
// of asm.TilePairs of them: what kernels of AMX multiply in order.
type Halves [asm.TilePairs]uint16

// HalvesOf is the order of pairs that lines of codes of so many bits have, 0 for plain
// weights (asm.PairsOfLine).
func HalvesOf(bits int) (h Halves) {
	order := asm.PairsOfLine(bits)
	for i := range h {
		h[i] = uint16(2*(i/len(order)*len(order)+order[i%len(order)]) + 1)
	}
	return h
}

// mostParts is the most bfloat16 that a value is the sum of.
const mostParts = 3

// PartsOf is how many bfloat16 a value of a type is the sum of: their 8 bits are a third of
// float32's 24, and more than half of float16's 11. The parts of a value have its sign, and
// so the sum of their magnitudes is its magnitude.
func PartsOf(t dtype.DType) int {
	return [...]int{dtype.F32: mostParts, dtype.F16: 2, dtype.BF16: 1}[t]
}

// Parted is where the parts of a row stand in tiles: of each tile asm.TileBytes, that many
// times asm.TileRows behind those of the one before.
type Parted [mostParts][]byte

// Tiles writes the row x of an Exact form of Float32, of whole tiles, to those of its parts.
// Values, and what is left of them behind a part, count as 0 below least. It returns the bits
// of the largest magnitude, as float32. scratch is as for Row.
func (p *Plan) Tiles(dst *Parted, x, scratch []byte, order *Halves, least float32) (top uint32) {
	f := &p.form
	if p.wide && hasAVX512() {
		return p.fastTiles(dst, x, scratch, order, least)
	}
	b, scratch := cut(scratch, f.Width*4)
	p.Row(Dst{Values: b}, x, scratch)
	return goTiles(dst, view[float32](b, f.Width), PartsOf(f.X), order, least)
}

// TilesOfRow is Tiles for a prepared row, such as one that was scaled since. It has no kernel
// for float16, whose values are never so large that they must be.
func (p *Plan) TilesOfRow(dst *Parted, x []float32, order *Halves, least float32) (top uint32) {
	parts := PartsOf(p.form.X)
	if p.wide && p.form.X != dtype.F16 && hasAVX512() {
		return tilesAVX512(dst, unsafe.Pointer(&x[0]), dtype.F32, parts, len(x)/asm.TilePairs, order, least)
	}
	return goTiles(dst, x, parts, order, least)
}

// Parts makes the first part of a prepared row of Float32, of whole tiles, of it, and writes
// the others behind, stride values from one to the next. Values are as for Tiles.
func (p *Plan) Parts(x []float32, stride int, least float32) (top uint32) {
	parts, width := PartsOf(p.form.X), p.form.Width
	if p.wide && hasAVX512() {
		return partsAVX512(x[:(parts-1)*stride+width], width, parts, stride, least)
	}
	for i, v := range x[:width] {
		bits := math.Float32bits(v) & magnitude
		top = max(top, bits)
		for part := range parts {
			x[part*stride+i], v = firstPart(v, parts-part, least)
		}
	}
	return top
}

const (
	magnitude = 1<<31 - 1 // bits of a float32
	infinite  = 0xff << 23
	quietBit  = 1 << 22
)

// firstPart returns the first of so many parts of v, or v if it is the last, and what is left.
func firstPart(v float32, parts int, least float32) (first, rest float32) {
	bits := math.Float32bits(v)
	if bits&magnitude > infinite {
		return math.Float32frombits(bits | quietBit), 0
	}
	switch {
	case bits&magnitude < math.Float32bits(least):
		return 0, 0
	case parts == 1 || bits&magnitude == infinite:
		return v, 0
	}
	first = math.Float32frombits(bits &^ 0xffff)
	return first, v - first
}

// goTiles is Tiles in plain Go, for a prepared row.
func goTiles(dst *Parted, x []float32, parts int, order *Halves, least float32) (top uint32) {
	for at := 0; at < len(x); at += len(order) {
		var halves [mostParts][asm.TilePairs]uint16
		for i, v := range x[at:][:len(order)] {
			top = max(top, math.Float32bits(v)&magnitude)
			for part := range parts {
				var first float32
				first, v = firstPart(v, parts-part, least)
				halves[part][i] = uint16(math.Float32bits(first) >> 16)
			}
		}
		for part := range parts {
			for i, from := range order {
				binary.LittleEndian.PutUint16(dst[part][at/len(order)*asm.TileBytes*asm.TileRows+2*i:], halves[part][from/2])
			}
		}
	}
	return top
}
