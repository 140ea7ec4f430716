package rows

import (
	"encoding/binary"
	"math"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
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

const magnitude = 1<<31 - 1 // bits of a float32

// DropSmall makes what is smaller than least 0 in a prepared row of Float32, of whole
// tiles, and returns the bits of the largest magnitude that was there.
func (p *Plan) DropSmall(x []float32, least float32) (top uint32) {
	if p.form.ISA == AVX512 && hasAVX512() {
		return dropSmallAVX512(x, least)
	}
	for i, v := range x {
		bits := math.Float32bits(v) & magnitude
		top = max(top, bits)
		if bits < math.Float32bits(least) {
			x[i] = 0
		}
	}
	return top
}

// Tiles writes a prepared row of Float32, each of which is a bfloat16, of whole tiles,
// as pairs: of each tile asm.TileBytes to dst, that many times asm.TileRows behind those
// of the one before.
func (p *Plan) Tiles(dst []byte, x []float32, order *Halves) {
	if p.form.ISA == AVX512 && hasAVX512() {
		tilesAVX512(dst, x, order)
		return
	}
	for len(x) > 0 {
		for i, from := range order {
			binary.LittleEndian.PutUint16(dst[2*i:], uint16(math.Float32bits(x[from/2])>>16))
		}
		if x = x[len(order):]; len(x) > 0 {
			dst = dst[asm.TileBytes*asm.TileRows:]
		}
	}
}
