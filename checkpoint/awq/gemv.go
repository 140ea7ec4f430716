package awq

import (
	"encoding/binary"

	"github.com/bitlane/bitlane/quant"
)

// gemvRows decodes rows of gemv's layout, which are canonical as they are,
// from output at on.
func gemvRows(w *quant.Weight, b []byte, at, rows int) {
	pitch := len(b) / rows
	for n := range rows {
		copy(w.Row(at+n), b[n*pitch:][:pitch])
	}
}

// fastBlock is the number of features in which four outputs of gemv_fast
// alternate.
const fastBlock = 64

// fastRows decodes rows of gemv_fast's layout, each of which has four outputs,
// from row at on.
func fastRows(w *quant.Weight, b []byte, at, rows int) {
	pitch := len(b) / rows
	for r := range rows {
		row := b[r*pitch:][:pitch]
		for i := range 4 {
			dst := w.Row(4*(at+r) + i)
			for from, to := 32*i, 0; from < len(row); from, to = from+128, to+32 {
				fastFeatures(dst[to:][:16], row[from:])
				fastFeatures(dst[to+16:][:16], row[from+16:])
			}
		}
	}
}

// fastFeatures decodes 32 features of one output, two words at once. Nibble
// 4·odd + a of word c is feature 8a + 2c + odd: pairs of nibbles become bytes,
// four bytes of four words become a word of each.
func fastFeatures(dst, src []byte) {
	x := fastPair(binary.LittleEndian.Uint64(src))     // words 0 and 1
	y := fastPair(binary.LittleEndian.Uint64(src[8:])) // words 2 and 3
	binary.LittleEndian.PutUint64(dst, spread(uint32(x))|spread(uint32(y))<<16)
	binary.LittleEndian.PutUint64(dst[8:], spread(uint32(x>>32))|spread(uint32(y>>32))<<16)
}

// fastPair puts nibbles 0 4 1 5 2 6 3 7 of each half in order and then takes
// bytes from both in turn.
func fastPair(x uint64) uint64 {
	x = swap(x, 8, 0x0000ff000000ff00)
	x = swap(x, 4, 0x00f000f000f000f0)
	x = swap(x, 16, 0x00000000ffff0000)
	return swap(x, 8, 0x0000ff000000ff00)
}

// swap exchanges the fields of x in mask with those shift bits above.
func swap(x uint64, shift int, mask uint64) uint64 {
	t := (x ^ x>>shift) & mask
	return x ^ t ^ t<<shift
}

// spread puts 16 zero bits above each half of x.
func spread(x uint32) uint64 { return (uint64(x) | uint64(x)<<16) & 0x0000ffff0000ffff }
