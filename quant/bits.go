package quant

import "encoding/binary"

// Unpack writes len(dst) codes of bits bits each, from the dense little-endian
// bit string src, into dst, one byte per code.
func Unpack(dst []uint8, src []byte, bits int) {
	if bits == 8 {
		copy(dst, src)
		return
	}
	mask := uint64(1)<<bits - 1
	var acc uint64
	have, at := 0, 0
	for i := range dst {
		if have < bits {
			if at+4 <= len(src) {
				acc |= uint64(binary.LittleEndian.Uint32(src[at:])) << have
				at, have = at+4, have+32
			} else {
				acc |= uint64(src[at]) << have
				at, have = at+1, have+8
			}
		}
		dst[i] = uint8(acc & mask)
		acc >>= bits
		have -= bits
	}
}

// Pack writes codes, each below 2^bits, as a dense little-endian bit string
// into dst; bits of dst beyond the last code, up to its end, become zero.
func Pack(dst []byte, codes []uint8, bits int) {
	var acc uint64
	have, at := 0, 0
	for _, c := range codes {
		acc |= uint64(c) << have
		have += bits
		if have >= 32 {
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
	clear(dst[at:])
}
