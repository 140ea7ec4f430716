package exllama

import (
	"encoding/binary"
	"fmt"

	"github.com/bitlane/bitlane/quant"
)

// A unit is the rows of a column that whole words hold: 32/b rows in one word,
// of 3 bits 32 rows in three words.

// unitWords returns the words of a unit, unitRows its rows.
func unitWords(bits int) int {
	if bits == 3 {
		return 3
	}
	return 1
}

func unitRows(bits int) int { return 32 * unitWords(bits) / bits }

// place is where bit i of a row's code is in a unit: word and bit.
type place struct{ word, bit uint8 }

// plainPlaces are those of GPTQ's packing: one stream of bits, row after row.
func plainPlaces(bits int) (p [32][8]place) {
	for row := range unitRows(bits) {
		for i := range bits {
			at := row*bits + i
			p[row][i] = place{uint8(at / 32), uint8(at % 32)}
		}
	}
	return p
}

// shuffledPlaces are those that gptq_shuffle makes, so that rows 2j and 2j+1 come
// out of one shift and mask in the two halves of a register:
//
//	4 bits  nibbles from the lowest:  rows 0 2 4 6 1 3 5 7
//	2 bits  fields from the lowest:   rows 0 2 4 … 14 1 3 5 … 15
//	8 bits  as they were
//	3 bits  words A, B, C of rows 0–9, 10–19, 20–29: row b+2j at bit 3j, row
//	        b+2j+1 at bit 16+3j; bits 0, 1, 2 of row 30 are bit 15 of A, B, C,
//	        those of row 31 bit 31
func shuffledPlaces(bits int) (p [32][8]place) {
	rows := unitRows(bits)
	for row := range rows {
		for i := range bits {
			switch {
			case bits == 8:
				p[row][i] = place{0, uint8(8*row + i)}
			case bits != 3:
				p[row][i] = place{0, uint8(row%2*16 + row/2*bits + i)}
			case row >= 30:
				p[row][i] = place{uint8(i), uint8(15 + (row-30)*16)}
			default:
				p[row][i] = place{uint8(row / 10), uint8(row%2*16 + row%10/2*3 + i)}
			}
		}
	}
	return p
}

// move writes the codes of a unit's rows, taken from one set of places, to
// another.
func move(dst, src *[3]uint32, bits int, to, from *[32][8]place) {
	*dst = [3]uint32{}
	for row := range unitRows(bits) {
		for i := range bits {
			f, t := from[row][i], to[row][i]
			dst[t.word] |= src[f.word] >> f.bit & 1 << t.bit
		}
	}
}

// Shuffle does what gptq_shuffle does, in place: where perm is not empty row i
// becomes what row perm[i] was, and then the rows within each unit are put in
// the order of the operator's registers. qweight is int32 [K·bits/32, N], little
// endian. bits are 2, 3, 4 or 8, and K is whole units.
func Shuffle(qweight []byte, k, n, bits int, perm []int32) error {
	if err := checkWeights(qweight, k, n, bits); err != nil {
		return err
	}
	if err := checkPerm(perm, k); err != nil {
		return err
	}
	if len(perm) > 0 {
		gathered := make([]byte, len(qweight))
		for i, from := range perm {
			for b := range bits {
				to, at := i*bits+b, int(from)*bits+b
				for c := range n {
					bit := binary.LittleEndian.Uint32(qweight[4*(at/32*n+c):]) >> (at % 32) & 1
					w := gathered[4*(to/32*n+c):]
					binary.LittleEndian.PutUint32(w, binary.LittleEndian.Uint32(w)|bit<<(to%32))
				}
			}
		}
		copy(qweight, gathered)
	}
	from, to := plainPlaces(bits), shuffledPlaces(bits)
	words := unitWords(bits)
	var a, b [3]uint32
	for u := range k / unitRows(bits) {
		for c := range n {
			for w := range words {
				a[w] = binary.LittleEndian.Uint32(qweight[4*((u*words+w)*n+c):])
			}
			move(&b, &a, bits, &to, &from)
			for w := range words {
				binary.LittleEndian.PutUint32(qweight[4*((u*words+w)*n+c):], b[w])
			}
		}
	}
	return nil
}

func checkWeights(qweight []byte, k, n, bits int) error {
	switch {
	case bits != 2 && bits != 3 && bits != 4 && bits != 8:
		return quant.Errorf(quant.ErrUnsupported, "qweight", "bits", "2, 3, 4 or 8", "%d", bits)
	case n < 1 || n > quant.MaxDim:
		return quant.Errorf(quant.ErrShape, "qweight", "N", "1..2^30", "%d", n)
	case k < 1 || k > quant.MaxDim || k%unitRows(bits) != 0:
		return quant.Errorf(quant.ErrShape, "qweight", "K", fmt.Sprintf("a multiple of %d", unitRows(bits)), "%d", k)
	case len(qweight)/4/n != k/32*bits+k%32*bits/32 || len(qweight)%(4*n) != 0:
		return quant.Errorf(quant.ErrShape, "qweight", "size", fmt.Sprintf("int32 [%d,%d]", k*bits/32, n), "%d bytes", len(qweight))
	}
	return nil
}

// checkPerm reports a permutation that is none; an empty one is right.
func checkPerm(perm []int32, k int) error {
	if len(perm) == 0 {
		return nil
	}
	if len(perm) != k {
		return quant.Errorf(quant.ErrShape, "g_idx", "length", fmt.Sprintf("%d or 0", k), "%d", len(perm))
	}
	seen := make([]bool, k)
	for i, at := range perm {
		if at < 0 || int(at) >= k || seen[at] {
			return quant.Errorf(quant.ErrFormat, "g_idx", fmt.Sprintf("entry %d", i), fmt.Sprintf("a permutation of 0..%d: argsort of the groups", k-1), "%d", at)
		}
		seen[at] = true
	}
	return nil
}
