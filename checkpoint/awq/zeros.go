package awq

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// middle is the zero point of a module that has none.
const middle = 1 << (Bits - 1)

// readZeros decodes the zero points, [N, groups]. It returns nil where every
// one is the middle, which is implied.
func (l *load) readZeros() ([]uint8, error) {
	if l.zero == "" {
		return nil, nil
	}
	fields := l.s.Bytes(bufFields, l.n*l.groups)
	var err error
	if l.Version == GEMVFast {
		err = l.scaledZeros(fields)
	} else {
		var b []byte
		if b, err = l.s.Read(bufZeros, l.src, l.zero); err == nil {
			l.packedZeros(fields, b)
		}
	}
	if err != nil {
		return nil, err
	}
	for i, z := range fields {
		if z != middle {
			if !l.ZeroPoints {
				l.find(l.zero, "the configuration says that there are no zero points, but that of output %d, group %d is %d and not %d; read as stored", i/l.groups, i%l.groups, z, middle)
			}
			return fields, nil
		}
	}
	return nil, nil
}

// packedZeros unpacks zero points in words.
func (l *load) packedZeros(fields []uint8, b []byte) {
	if l.Version == GEMV {
		pitch := len(b) / l.n
		for n := range l.n {
			quant.Unpack(fields[n*l.groups:][:l.groups], b[n*pitch:][:pitch], Bits)
		}
		return
	}
	words := l.n / 8
	for c := range words {
		for g := range l.groups {
			word := binary.LittleEndian.Uint32(b[4*(g*words+c):])
			for _, output := range order {
				fields[(8*c+output)*l.groups+g] = uint8(word & 15)
				word >>= 4
			}
		}
	}
}

// scaledZeros finds the zero points of −scale·zero. The quantizer rounds that
// product once; what is further from a multiple of the scale than any float
// type explains is refused, and what is not the rounded product is reported.
func (l *load) scaledZeros(fields []uint8) error {
	zeros, err := module.ReadFinite(l.src, l.zero, l.zeros, l.groups, l.n, l.s, bufZeros)
	if err != nil {
		return err
	}
	scales, err := module.ReadFinite(l.src, l.scale, l.scales, l.groups, l.n, l.s, bufScales)
	if err != nil {
		return err
	}
	inexact, first := 0, 0
	for g := range l.groups {
		for n := range l.n {
			at := g*l.n + n
			scale, zero := l.scales.At(scales, at), l.zeros.At(zeros, at)
			z := float64(middle) // where all weights are 0 any zero point is right
			if scale != 0 || zero != 0 {
				ratio := -float64(zero) / float64(scale)
				z = math.RoundToEven(ratio)
				if !(z >= 0 && z < 1<<Bits && math.Abs(ratio-z) <= 0.25) {
					return quant.Errorf(quant.ErrFormat, l.zero, fmt.Sprintf("element [%d, %d]", g, n), fmt.Sprintf("-z times the scale %v for a z of 0 to 15", scale), "%v", zero)
				}
				if l.zeros.Round(float32(-z*float64(scale))) != zero {
					if inexact++; inexact == 1 {
						first = at
					}
				}
			}
			fields[n*l.groups+g] = uint8(z)
		}
	}
	if inexact > 0 {
		l.find(l.zero, "products of zero point and scale that are not the rounded ones: %d, the first is element [%d, %d]; the nearest zero points are read", inexact, first/l.n, first%l.n)
	}
	return nil
}
