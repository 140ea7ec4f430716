package ctensors

import "encoding/binary"

// layout says how codes lie in 32-bit words. Several may be possible.
type layout uint8

// Writers since compressed-tensors #715 let a code straddle two words; before,
// a word held as many whole codes as fit and its upper bits were unused. Both
// are the same for 2, 4 and 8 bits and inside a single word.
const (
	dense  layout = 1 << iota
	spaced        // 32/bits whole codes per word
)

func denseWords(count, bits int) int64 { return (int64(count)*int64(bits) + 31) / 32 }

func spacedWords(count, bits int) int64 {
	per := int64(32 / bits)
	return (int64(count) + per - 1) / per
}

// layouts returns the layouts in which so many words hold count codes.
func layouts(count, bits int, words int64) layout {
	var l layout
	if words == denseWords(count, bits) {
		l |= dense
	}
	if words == spacedWords(count, bits) {
		l |= spaced
	}
	return l
}

// same reports whether count codes read the same in both layouts.
func same(count, bits int) bool { return 32%bits == 0 || count <= 32/bits }

// usedBits returns, for each of the words that hold count codes in layout l,
// the bits that belong to a code. A writer leaves the others zero.
func usedBits(count, bits int, l layout) []uint32 {
	if l == dense {
		used := make([]uint32, denseWords(count, bits))
		for i := range used {
			used[i] = 1<<min(32, int64(count)*int64(bits)-32*int64(i)) - 1
		}
		return used
	}
	used := make([]uint32, spacedWords(count, bits))
	per := 32 / bits
	for i := range used {
		used[i] = 1<<(bits*min(per, count-per*i)) - 1
	}
	return used
}

// denseRow makes a canonical row of a dense one; bits beyond the last code
// become zero.
func denseRow(dst, src []byte, count, bits int) {
	copy(dst, src)
	end := count * bits
	if at := end / 8; at < len(dst) {
		dst[at] &= 1<<(end%8) - 1
		clear(dst[at+1:])
	}
}

// spacedRow makes a canonical row, which is dense, of a spaced one.
func spacedRow(dst, src []byte, count, bits int) {
	per := 32 / bits
	var acc uint64
	have, at := 0, 0
	for ; count > 0; count -= per {
		take := bits * min(per, count)
		acc |= uint64(binary.LittleEndian.Uint32(src)&(1<<take-1)) << have
		src = src[4:]
		if have += take; have >= 32 {
			binary.LittleEndian.PutUint32(dst[at:], uint32(acc))
			acc >>= 32
			at, have = at+4, have-32
		}
	}
	for ; have > 0; have -= 8 {
		dst[at] = uint8(acc)
		acc >>= 8
		at++
	}
}

// column reads code i of columns of words: src[w] is a row of little-endian
// words, one for each element of dst, and the codes run down the columns.
func column(dst []int16, src []byte, i, bits int, l layout) {
	stride := 4 * len(dst)
	word, shift := i/(32/bits), i%(32/bits)*bits
	if l == dense {
		word, shift = i*bits/32, i*bits%32
	}
	row := src[word*stride:][:stride]
	mask := uint32(1)<<bits - 1
	if shift+bits <= 32 {
		for g := range dst {
			dst[g] = int16(binary.LittleEndian.Uint32(row[4*g:]) >> shift & mask)
		}
		return
	}
	next := src[(word+1)*stride:][:stride]
	for g := range dst {
		lo, hi := binary.LittleEndian.Uint32(row[4*g:]), binary.LittleEndian.Uint32(next[4*g:])
		dst[g] = int16((lo>>shift | hi<<(32-shift)) & mask)
	}
}
