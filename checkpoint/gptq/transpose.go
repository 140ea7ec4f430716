package gptq

import (
	"encoding/binary"

	"github.com/bitlane/bitlane/quant"
)

// tile is the side of the square of 32-bit words that is transposed at once:
// one cache line of the source by one of the destination.
const tile = 16

// transposeWords writes word r of column c of src, a [rows, cols] matrix of
// 32-bit words, to word at+r of row c of w.
func transposeWords(w *quant.Weight, src []byte, rows, cols, at int) {
	var line [tile][]byte
	for c := 0; c < cols; c += tile {
		width := min(tile, cols-c)
		for i := range width {
			line[i] = w.Row(c + i)[4*at : 4*(at+rows)]
		}
		r := 0
		if width == tile {
			for ; r+tile <= rows; r += tile {
				transposeTile(&line, 4*r, src[4*(r*cols+c):], 4*cols)
			}
		}
		for ; r < rows; r++ {
			from := src[4*(r*cols+c):]
			for i := range width {
				copy(line[i][4*r:4*r+4], from[4*i:])
			}
		}
	}
}

// transposeTile moves one square tile; dst rows are written at byte off, src
// rows are pitch bytes apart. It goes through a small array so that every
// cache line is touched once: power-of-two pitches put all lines of a tile in
// one set of the cache.
func transposeTile(dst *[tile][]byte, off int, src []byte, pitch int) {
	var t [tile][tile / 2]uint64
	for r := 0; r < tile; r += 2 {
		a := src[r*pitch:][:4*tile]
		b := src[(r+1)*pitch:][:4*tile]
		for c := 0; c < tile; c += 2 {
			x := binary.LittleEndian.Uint64(a[4*c:])
			y := binary.LittleEndian.Uint64(b[4*c:])
			t[c][r/2] = x&0xffffffff | y<<32
			t[c+1][r/2] = x>>32 | y>>32<<32
		}
	}
	for c := range t {
		d := dst[c][off:][:4*tile]
		for i, v := range t[c] {
			binary.LittleEndian.PutUint64(d[8*i:], v)
		}
	}
}
