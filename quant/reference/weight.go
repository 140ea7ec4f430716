package reference

import (
	"encoding/binary"
	"math"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// column is one row of W, the weights of one output column, in float64.
type column struct {
	w     []float64 // [K] w[k] = s·(u − z), or the element of a plain weight
	mag   []float64 // [K] s·(u + |z|), or |w|
	sum   float64   // Σ mag
	scale []float64 // s of every group
}

// decode fills c with row n of w. group is the group of every feature.
func (c *column) decode(w *quant.Weight, n int, group []int32) {
	row := w.Row(n)
	c.sum = 0
	if t, plain := w.Plain(); plain {
		for k := range c.w {
			c.w[k] = widen(t, row, k)
			c.mag[k] = math.Abs(c.w[k])
			c.sum += c.mag[k]
		}
		return
	}
	bits := w.Bits()
	zeros := w.ZeroRow(n)
	c.scale = c.scale[:0]
	for g := range w.Groups().Count() {
		c.scale = append(c.scale, widen(w.ScaleType(), w.ScaleRow(n), g))
	}
	for k := range c.w {
		g := int(group[k])
		s, z := c.scale[g], 1<<(bits-1)
		if zeros != nil {
			z = int(zeros[g])
		}
		u := code(row, k, bits)
		c.w[k] = s * float64(u-z)
		c.mag[k] = math.Abs(s) * (float64(u) + math.Abs(float64(z)))
		c.sum += c.mag[k]
	}
}

// code reads code k of a dense little-endian bit string, bit by bit.
func code(row []byte, k, bits int) int {
	u := 0
	for j := range bits {
		at := k*bits + j
		u |= int(row[at/8]>>(at%8)&1) << j
	}
	return u
}

// widen returns element i of little-endian floats, by the definition of the
// formats: (−1)^sign · 2^(exponent − bias) · 1.fraction.
func widen(t dtype.DType, b []byte, i int) float64 {
	switch t {
	case dtype.F16:
		return value(uint32(binary.LittleEndian.Uint16(b[2*i:])), 5, 10)
	case dtype.BF16:
		return value(uint32(binary.LittleEndian.Uint16(b[2*i:])), 8, 7)
	}
	return value(binary.LittleEndian.Uint32(b[4*i:]), 8, 23)
}

func value(bits uint32, expBits, fracBits int) float64 {
	frac := bits & (1<<fracBits - 1)
	exp := int(bits >> fracBits & (1<<expBits - 1))
	sign := 1.0
	if bits>>(expBits+fracBits) != 0 {
		sign = -1
	}
	bias := 1<<(expBits-1) - 1
	switch {
	case exp == 1<<expBits-1 && frac != 0:
		return math.NaN()
	case exp == 1<<expBits-1:
		return sign * math.Inf(1)
	case exp == 0: // subnormal: no implied one, the exponent of the smallest normal
		return sign * math.Ldexp(float64(frac), 1-bias-fracBits)
	}
	return sign * math.Ldexp(float64(frac|1<<fracBits), exp-bias-fracBits)
}
