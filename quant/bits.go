package quant

import "encoding/binary"

// Unpack writes len(dst) codes of bits bits each, 2 to 8, from the dense
// little-endian bit string src, into dst, one byte per code. src needs
// ⌈len(dst)·bits/8⌉ bytes and no alignment; what follows them is not used.
func Unpack(dst []uint8, src []byte, bits int) {
	src = src[: (len(dst)*bits+7)/8 : len(src)] // panics where src is shorter, whatever its capacity
	i := 0
	switch bits {
	case 2:
		i = unpack2(dst, src)
	case 3:
		i = unpack3(dst, src)
	case 4:
		i = unpack4(dst, src)
	case 8:
		i = copy(dst, src)
	default:
		i = unpackAny(dst, src, bits)
	}
	var word [8]byte
	for ; i < len(dst); i += 8 {
		clear(word[copy(word[:bits], src[i/8*bits:]):])
		binary.LittleEndian.PutUint64(word[:], spreads[bits&7].spread(binary.LittleEndian.Uint64(word[:])))
		copy(dst[i:], word[:])
	}
}

// Pack writes codes as a dense little-endian bit string, 2 to 8 bits each,
// into dst, which needs ⌈len(codes)·bits/8⌉ bytes; bits of dst beyond the last
// code, up to its end, become zero. Codes are below 2^bits; bits above are
// dropped.
func Pack(dst []byte, codes []uint8, bits int) {
	used := (len(codes)*bits + 7) / 8
	clear(dst[used:])
	dst = dst[:used]
	i := 0
	switch bits {
	case 2:
		i = pack2(dst, codes)
	case 3:
		i = pack3(dst, codes)
	case 4:
		i = pack4(dst, codes)
	case 8:
		i = copy(dst, codes)
	default:
		i = packAny(dst, codes, bits)
	}
	var word [8]byte
	for ; i < len(codes); i += 8 {
		clear(word[copy(word[:], codes[i:]):])
		binary.LittleEndian.PutUint64(word[:], spreads[bits&7].gather(binary.LittleEndian.Uint64(word[:])))
		copy(dst[i/8*bits:], word[:bits])
	}
}

// The loops below return how many codes they did, a multiple of 8. Eight codes
// are bits bytes; they are read and written as words of eight bytes for as long
// as the dense side has them. When packing, the zero bytes that a word has
// above its codes are overwritten by the next.

func unpackAny(dst []uint8, src []byte, bits int) (i int) {
	s := spreads[bits&7]
	for at := 0; i+8 <= len(dst) && at+8 <= len(src); i, at = i+8, at+bits {
		binary.LittleEndian.PutUint64(dst[i:i+8], s.spread(binary.LittleEndian.Uint64(src[at:at+8])))
	}
	return i
}

func packAny(dst []byte, codes []uint8, bits int) (i int) {
	s := spreads[bits&7]
	for at := 0; i+8 <= len(codes) && at+8 <= len(dst); i, at = i+8, at+bits {
		binary.LittleEndian.PutUint64(dst[at:at+8], s.gather(binary.LittleEndian.Uint64(codes[i:i+8])))
	}
	return i
}

// spreader moves eight codes between their dense form, the low 8·bits bits of
// a word, and one byte each, in three steps that halve what moves: the upper
// four of eight codes, of every four the upper two, of every two the upper one.
type spreader struct {
	shift4, shift2, shift1 uint8  // how far the upper part moves
	low4, low2, low1       uint64 // where the lower part is
	up4, up2, up1          uint64 // where the upper part is, before it moves up
}

var spreads = func() (s [8]spreader) {
	for b := uint64(2); b < 8; b++ {
		low4, low2, low1 := uint64(1)<<(4*b)-1, uint64(1)<<(2*b)-1, uint64(1)<<b-1
		low2 *= 1<<32 | 1
		low1 *= 1<<48 | 1<<32 | 1<<16 | 1
		s[b] = spreader{
			uint8(32 - 4*b), uint8(16 - 2*b), uint8(8 - b),
			low4, low2, low1,
			low4 << (4 * b), low2 << (2 * b), low1 << b,
		}
	}
	return s
}()

func (s *spreader) spread(x uint64) uint64 {
	x = x&s.low4 | x&s.up4<<(s.shift4&63)
	x = x&s.low2 | x&s.up2<<(s.shift2&63)
	return x&s.low1 | x&s.up1<<(s.shift1&63)
}

func (s *spreader) gather(x uint64) uint64 {
	x = x&s.low1 | x>>(s.shift1&63)&s.up1
	x = x&s.low2 | x>>(s.shift2&63)&s.up2
	return x&s.low4 | x>>(s.shift4&63)&s.up4
}

// The usual widths, sixteen codes a step and with constants. Up to 4 bits the
// upper part moves clear of where it was, so that one mask after each of the
// three moves is enough.

func unpack2(dst []uint8, src []byte) (i int) {
	for at := 0; i+16 <= len(dst) && at+8 <= len(src); i, at = i+16, at+4 {
		x, d := binary.LittleEndian.Uint64(src[at:at+8]), dst[i:i+16]
		binary.LittleEndian.PutUint64(d, spread2(x))
		binary.LittleEndian.PutUint64(d[8:], spread2(x>>16))
	}
	return i
}

func pack2(dst []byte, codes []uint8) (i int) {
	for at := 0; i+16 <= len(codes) && at+8 <= len(dst); i, at = i+16, at+4 {
		c := codes[i : i+16]
		x := gather2(binary.LittleEndian.Uint64(c)) | gather2(binary.LittleEndian.Uint64(c[8:]))<<16
		binary.LittleEndian.PutUint64(dst[at:at+8], x)
	}
	return i
}

func spread2(x uint64) uint64 {
	x &= 0xffff
	x = (x | x<<24) & 0x000000ff000000ff
	x = (x | x<<12) & 0x000f000f000f000f
	return (x | x<<6) & 0x0303030303030303
}

func gather2(x uint64) uint64 {
	x &= 0x0303030303030303
	x = (x | x>>6) & 0x000f000f000f000f
	x = (x | x>>12) & 0x000000ff000000ff
	return (x | x>>24) & 0xffff
}

func unpack3(dst []uint8, src []byte) (i int) {
	for at := 0; i+16 <= len(dst) && at+8 <= len(src); i, at = i+16, at+6 {
		x, d := binary.LittleEndian.Uint64(src[at:at+8]), dst[i:i+16]
		binary.LittleEndian.PutUint64(d, spread3(x))
		binary.LittleEndian.PutUint64(d[8:], spread3(x>>24))
	}
	return i
}

func pack3(dst []byte, codes []uint8) (i int) {
	for at := 0; i+16 <= len(codes) && at+8 <= len(dst); i, at = i+16, at+6 {
		c := codes[i : i+16]
		x := gather3(binary.LittleEndian.Uint64(c)) | gather3(binary.LittleEndian.Uint64(c[8:]))<<24
		binary.LittleEndian.PutUint64(dst[at:at+8], x)
	}
	return i
}

func spread3(x uint64) uint64 {
	x &= 0xffffff
	x = (x | x<<20) & 0x00000fff00000fff
	x = (x | x<<10) & 0x003f003f003f003f
	return (x | x<<5) & 0x0707070707070707
}

func gather3(x uint64) uint64 {
	x &= 0x0707070707070707
	x = (x | x>>5) & 0x003f003f003f003f
	x = (x | x>>10) & 0x00000fff00000fff
	return (x | x>>20) & 0xffffff
}

func unpack4(dst []uint8, src []byte) (i int) {
	for at := 0; i+16 <= len(dst) && at+8 <= len(src); i, at = i+16, at+8 {
		x, d := binary.LittleEndian.Uint64(src[at:at+8]), dst[i:i+16]
		binary.LittleEndian.PutUint64(d, spread4(x))
		binary.LittleEndian.PutUint64(d[8:], spread4(x>>32))
	}
	return i
}

func pack4(dst []byte, codes []uint8) (i int) {
	for at := 0; i+16 <= len(codes) && at+8 <= len(dst); i, at = i+16, at+8 {
		c := codes[i : i+16]
		x := gather4(binary.LittleEndian.Uint64(c)) | gather4(binary.LittleEndian.Uint64(c[8:]))<<32
		binary.LittleEndian.PutUint64(dst[at:at+8], x)
	}
	return i
}

func spread4(x uint64) uint64 {
	x &= 0xffffffff
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	return (x | x<<4) & 0x0f0f0f0f0f0f0f0f
}

func gather4(x uint64) uint64 {
	x &= 0x0f0f0f0f0f0f0f0f
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return (x | x>>16) & 0xffffffff
}
