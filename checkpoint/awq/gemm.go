package awq

import (
	"encoding/binary"

	"github.com/bitlane/bitlane/quant"
)

// The outputs in a word of gemm's layout, from its lowest nibble on.
const order0, order1, order2, order3, order4, order5, order6, order7 = 0, 2, 4, 6, 1, 3, 5, 7

var order = [8]int{order0, order1, order2, order3, order4, order5, order6, order7}

// A tile is one cache line of canonical rows by one of the source.
const (
	tileWords    = 16
	tileFeatures = 8 * tileWords
	tileOutputs  = 8 * tileWords
)

// line is a part of a canonical row: 128 features of an output.
type line [tileWords]uint32

// lines are those of two words of gemm's layout.
type lines [16]line

// tile has the lines of 128 outputs. Codes go through it, so that each cache
// line of source and destination is touched in one go: rows a power of two
// apart share few sets of a cache.
type tile [tileOutputs]line

// gemmRows decodes rows of gemm's layout, each of which is a feature of all
// outputs, from feature at on, a multiple of tileFeatures.
func gemmRows(w *quant.Weight, b []byte, at, rows int) {
	pitch := len(b) / rows
	var t tile
	for c := 0; c < pitch; c += 4 * tileWords {
		wide := min(4*tileWords, pitch-c)
		for k := 0; k < rows; k += tileFeatures {
			high := min(tileFeatures, rows-k)
			t.fill(b[k*pitch+c:], pitch, high, wide)
			for n := range 2 * wide {
				t[n].store(w.Row(2*c + n)[(at+k)/2:], (high+7)/8)
			}
		}
	}
}

// fill transposes high rows of wide bytes each, pitch bytes apart.
func (t *tile) fill(src []byte, pitch, high, wide int) {
	for k := 0; k < high; k += 8 {
		c := 0
		if k+8 <= high {
			var row [8][]byte
			for i := range row {
				row[i] = src[(k+i)*pitch:][:wide]
			}
			for ; c+8 <= wide; c += 8 {
				(*lines)(t[2*c:]).put(k/8,
					binary.LittleEndian.Uint64(row[0][c:]), binary.LittleEndian.Uint64(row[1][c:]),
					binary.LittleEndian.Uint64(row[2][c:]), binary.LittleEndian.Uint64(row[3][c:]),
					binary.LittleEndian.Uint64(row[4][c:]), binary.LittleEndian.Uint64(row[5][c:]),
					binary.LittleEndian.Uint64(row[6][c:]), binary.LittleEndian.Uint64(row[7][c:]))
			}
		}
		for ; c < wide; c += 8 { // fewer rows than eight, or one word of each
			var w [8]uint64
			for i := range min(8, high-k) {
				var word [8]byte
				copy(word[:min(8, wide-c)], src[(k+i)*pitch+c:])
				w[i] = binary.LittleEndian.Uint64(word[:])
			}
			(*lines)(t[2*c:]).put(k/8, w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7])
		}
	}
}

// put makes word i of 16 lines of eight features of them: feature k is in wk,
// of which each half is a word of gemm's layout. The transposition, nibble i of
// word k to nibble k of word i, exchanges quarters, of them quarters, and of
// these again.
func (t *lines) put(i int, w0, w1, w2, w3, w4, w5, w6, w7 uint64) {
	const halves, bytes, nibbles = 0x0000ffff0000ffff, 0x00ff00ff00ff00ff, 0x0f0f0f0f0f0f0f0f
	w0, w4 = exchange(w0, w4, 16, halves)
	w1, w5 = exchange(w1, w5, 16, halves)
	w2, w6 = exchange(w2, w6, 16, halves)
	w3, w7 = exchange(w3, w7, 16, halves)
	w0, w2 = exchange(w0, w2, 8, bytes)
	w1, w3 = exchange(w1, w3, 8, bytes)
	w4, w6 = exchange(w4, w6, 8, bytes)
	w5, w7 = exchange(w5, w7, 8, bytes)
	w0, w1 = exchange(w0, w1, 4, nibbles)
	w2, w3 = exchange(w2, w3, 4, nibbles)
	w4, w5 = exchange(w4, w5, 4, nibbles)
	w6, w7 = exchange(w6, w7, 4, nibbles)
	i &= tileWords - 1 // it is below; the compiler sees it so
	t[order0][i], t[8+order0][i] = uint32(w0), uint32(w0>>32)
	t[order1][i], t[8+order1][i] = uint32(w1), uint32(w1>>32)
	t[order2][i], t[8+order2][i] = uint32(w2), uint32(w2>>32)
	t[order3][i], t[8+order3][i] = uint32(w3), uint32(w3>>32)
	t[order4][i], t[8+order4][i] = uint32(w4), uint32(w4>>32)
	t[order5][i], t[8+order5][i] = uint32(w5), uint32(w5>>32)
	t[order6][i], t[8+order6][i] = uint32(w6), uint32(w6>>32)
	t[order7][i], t[8+order7][i] = uint32(w7), uint32(w7>>32)
}

// exchange swaps the upper fields of a with the lower fields of b; mask has
// the lower ones, which are shift bits wide.
func exchange(a, b uint64, shift int, mask uint64) (uint64, uint64) {
	t := (a>>shift ^ b) & mask
	return a ^ t<<shift, b ^ t
}

// store writes the first words of l.
func (l *line) store(dst []byte, words int) {
	if words == tileWords {
		dst = dst[:4*tileWords]
		for i := 0; i < tileWords; i += 2 {
			binary.LittleEndian.PutUint64(dst[4*i:], uint64(l[i])|uint64(l[i+1])<<32)
		}
		return
	}
	for i, word := range l[:words] {
		binary.LittleEndian.PutUint32(dst[4*i:], word)
	}
}
