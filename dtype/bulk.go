package dtype

import (
	"encoding/binary"
	"math"
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
	for i := range dst {
		dst[i] = d.At(src, i)
	}
}

// Encode rounds len(src) values to d and stores them little-endian in dst,
// which needs len(src)*d.Size() bytes and no alignment.
func Encode(d DType, dst []byte, src []float32) {
	for i, v := range src {
		d.Put(dst, i, v)
	}
}
