package module

import (
	"encoding/binary"

	"github.com/bitlane/bitlane/quant"
)

// SignedRow makes a canonical row of codes of so many bits, 2 to 8, from
// values that are stored as one int8 each, −2^(bits−1) to 2^(bits−1)−1. dst has
// the length of a row of a quant.Weight of len(src) features. It may overwrite
// src, but not a value that is out of range: of the first such value it returns
// the index, or −1 where there is none.
func SignedRow(dst, src []byte, bits int) int {
	k := 0
	switch bits {
	case 8:
		for ; k+8 <= len(src); k += 8 {
			binary.LittleEndian.PutUint64(dst[k:], binary.LittleEndian.Uint64(src[k:])^0x8080808080808080)
		}
		for ; k < len(src); k++ {
			dst[k] = src[k] ^ 0x80
		}
		return -1
	case 4:
		for ; k+16 <= len(src); k += 16 {
			s := src[k : k+16]
			lo, hi := unsigned4(binary.LittleEndian.Uint64(s)), unsigned4(binary.LittleEndian.Uint64(s[8:]))
			if (lo|hi)&0xf0f0f0f0f0f0f0f0 != 0 {
				break // the loop below finds which
			}
			binary.LittleEndian.PutUint64(dst[k/2:k/2+8], closeUp4(lo)|closeUp4(hi)<<32)
		}
		dst = dst[k/2:]
	}
	rest := src[k:]
	for i, v := range rest {
		u := v + 1<<(bits-1)
		if u>>bits != 0 {
			return k + i
		}
		rest[i] = u
	}
	quant.Pack(dst, rest, bits)
	return -1
}

// unsigned4 adds 8 to each of eight bytes, without carries between them.
func unsigned4(v uint64) uint64 {
	return (v&0x7f7f7f7f7f7f7f7f + 0x0808080808080808) ^ v&0x8080808080808080
}

// closeUp4 moves eight codes of 4 bits, one in each byte, to the low half.
func closeUp4(v uint64) uint64 {
	v = (v | v>>4) & 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return (v | v>>16) & 0x00000000ffffffff
}
