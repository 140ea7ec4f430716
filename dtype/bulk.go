package dtype

import (
	"encoding/binary"
	"math"
	"sync"
)

// At returns element i of the little-endian tensor bytes b, widened exactly.
func (d DType) At(b []byte, i int) float32 {
	switch d {
	case F16:
		return F16ToF32(binary.LittleEndian.Uint16(b[2*i:]))
	case BF16:
		return BF16ToF32(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
}

// Put rounds v to d and stores it as element i of the tensor bytes b.
func (d DType) Put(b []byte, i int, v float32) {
	switch d {
	case F16:
		binary.LittleEndian.PutUint16(b[2*i:], F16FromF32(v))
	case BF16:
		binary.LittleEndian.PutUint16(b[2*i:], BF16FromF32(v))
	default:
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
	}
}

// Decode widens len(dst) elements of the little-endian bytes src into dst;
// exact. src needs len(dst)*d.Size() bytes and no alignment.
func Decode(d DType, dst []float32, src []byte) {
	switch d {
	case F16:
		decodeF16(dst, src[:2*len(dst):len(src)])
	case BF16:
		decodeBF16(dst, src[:2*len(dst):len(src)])
	default:
		decodeF32(dst, src[:4*len(dst):len(src)])
	}
}

// Encode rounds len(src) values to d and stores them little-endian in dst,
// which needs len(src)*d.Size() bytes and no alignment.
func Encode(d DType, dst []byte, src []float32) {
	switch d {
	case F16:
		encodeF16(dst[:2*len(src):len(dst)], src)
	case BF16:
		encodeBF16(dst[:2*len(src):len(dst)], src)
	default:
		encodeF32(dst[:4*len(src):len(dst)], src)
	}
}

func decodeF32(dst []float32, src []byte) {
	i := 0
	for ; i+4 <= len(dst); i += 4 {
		s, d := (*[16]byte)(src[4*i:]), (*[4]float32)(dst[i:])
		a, b := binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:])
		d[0] = math.Float32frombits(uint32(a))
		d[1] = math.Float32frombits(uint32(a >> 32))
		d[2] = math.Float32frombits(uint32(b))
		d[3] = math.Float32frombits(uint32(b >> 32))
	}
	for ; i < len(dst); i++ {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func encodeF32(dst []byte, src []float32) {
	i := 0
	for ; i+4 <= len(src); i += 4 {
		s, d := (*[4]float32)(src[i:]), (*[16]byte)(dst[4*i:])
		binary.LittleEndian.PutUint64(d[:8], pair(s[0], s[1]))
		binary.LittleEndian.PutUint64(d[8:], pair(s[2], s[3]))
	}
	for ; i < len(src); i++ {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(src[i]))
	}
}

func pair(a, b float32) uint64 {
	return uint64(math.Float32bits(a)) | uint64(math.Float32bits(b))<<32
}

// f16Table holds every binary16 widened, 256 KiB. It is built when a tensor
// is first decoded; looking elements up takes half the time of computing them.
var (
	f16Table     [1 << 16]float32
	f16TableOnce sync.Once
)

func decodeF16(dst []float32, src []byte) {
	if len(dst) < 32 {
		for i := range dst {
			dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
		return
	}
	f16TableOnce.Do(func() {
		for h := range f16Table {
			f16Table[h] = F16ToF32(uint16(h))
		}
	})
	i := 0
	for ; i+4 <= len(dst); i += 4 {
		s, d := (*[8]byte)(src[2*i:]), (*[4]float32)(dst[i:])
		x := binary.LittleEndian.Uint64(s[:])
		d[0] = f16Table[uint16(x)]
		d[1] = f16Table[uint16(x>>16)]
		d[2] = f16Table[uint16(x>>32)]
		d[3] = f16Table[uint16(x>>48)]
	}
	for ; i < len(dst); i++ {
		dst[i] = f16Table[binary.LittleEndian.Uint16(src[2*i:])]
	}
}

func decodeBF16(dst []float32, src []byte) {
	i := 0
	for ; i+4 <= len(dst); i += 4 {
		s, d := (*[8]byte)(src[2*i:]), (*[4]float32)(dst[i:])
		x := binary.LittleEndian.Uint64(s[:])
		d[0] = math.Float32frombits(uint32(x) << 16)
		d[1] = math.Float32frombits(uint32(x) &^ 0xffff)
		d[2] = math.Float32frombits(uint32(x>>32) << 16)
		d[3] = math.Float32frombits(uint32(x>>32) &^ 0xffff)
	}
	for ; i < len(dst); i++ {
		dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func encodeF16(dst []byte, src []float32) {
	i := 0
	for ; i+4 <= len(src); i += 4 {
		s, out := (*[4]float32)(src[i:]), (*[8]byte)(dst[2*i:])
		a, b, c, d := math.Float32bits(s[0]), math.Float32bits(s[1]), math.Float32bits(s[2]), math.Float32bits(s[3])
		if max(fromFirst(a), fromFirst(b), fromFirst(c), fromFirst(d)) < f16Normals {
			binary.LittleEndian.PutUint64(out[:], quad(f16Normal(a), f16Normal(b), f16Normal(c), f16Normal(d)))
		} else {
			binary.LittleEndian.PutUint64(out[:], quad(F16FromF32(s[0]), F16FromF32(s[1]), F16FromF32(s[2]), F16FromF32(s[3])))
		}
	}
	for ; i < len(src); i++ {
		binary.LittleEndian.PutUint16(dst[2*i:], F16FromF32(src[i]))
	}
}

func encodeBF16(dst []byte, src []float32) {
	i := 0
	for ; i+4 <= len(src); i += 4 {
		s, out := (*[4]float32)(src[i:]), (*[8]byte)(dst[2*i:])
		binary.LittleEndian.PutUint64(out[:], quad(BF16FromF32(s[0]), BF16FromF32(s[1]), BF16FromF32(s[2]), BF16FromF32(s[3])))
	}
	for ; i < len(src); i++ {
		binary.LittleEndian.PutUint16(dst[2*i:], BF16FromF32(src[i]))
	}
}

func quad(a, b, c, d uint16) uint64 {
	return uint64(a) | uint64(b)<<16 | uint64(c)<<32 | uint64(d)<<48
}
