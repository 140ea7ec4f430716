package ptx

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// A rounding is one of PTX's modes for results that do not fit.
type rounding uint8

const (
	nearest rounding = iota // to nearest, ties to even
	zero                    // toward zero
	down                    // toward −∞
	up                      // toward +∞
)

var roundings = map[string]rounding{"": nearest, "rn": nearest, "rz": zero, "rm": down, "rp": up}

// The canonical NaNs.
const (
	nan16  = 0x7fff
	nan32  = 0x7fffffff
	nan64  = 0x7fffffffffffffff
	nanB16 = 0x7fff
)

// fmaOdd gives a·b+c rounded to odd, for a and b whose product is exact in
// float64, as those of all smaller types are. Of the mode it needs the sign of a
// zero that terms of opposite signs make.
func fmaOdd(a, b, c float64, r rounding) float64 {
	p := float64(a * b)
	s := dtype.AddToOdd(p, c)
	if s == 0 && r == down && math.Signbit(p) != math.Signbit(c) {
		s = math.Copysign(0, -1)
	}
	return s
}

// narrow32 rounds to float32, once, and makes NaN canonical.
func narrow32(v float64, r rounding) uint64 {
	f := float32(v)
	if f != f {
		return nan32
	}
	if r != nearest && !math.IsInf(v, 0) {
		f = direct32(f, v, r)
	}
	return uint64(math.Float32bits(f))
}

// direct32 corrects f, v rounded to nearest, for a directed mode.
func direct32(f float32, v float64, r rounding) float32 {
	g := float64(f)
	switch {
	case r == zero && math.Abs(g) > math.Abs(v):
		return math.Nextafter32(f, 0)
	case r == down && g > v:
		return math.Nextafter32(f, float32(math.Inf(-1)))
	case r == up && g < v:
		return math.Nextafter32(f, float32(math.Inf(1)))
	}
	return f
}

// A format is a 16-bit float: its widening, and its narrowing to nearest.
type format struct {
	wide   func(uint64) float64
	narrow func(float64) uint64
	nan    uint64
}

var formats = map[Type]format{
	F16: {
		func(h uint64) float64 { return float64(dtype.F16ToF32(uint16(h))) },
		func(v float64) uint64 { return canonical16(uint64(dtype.F16FromF64(v)), 0x7c00) }, nan16,
	},
	BF16: {
		func(h uint64) float64 { return float64(dtype.BF16ToF32(uint16(h))) },
		func(v float64) uint64 { return canonical16(uint64(dtype.BF16FromF64(v)), 0x7f80) }, nanB16,
	},
}

func canonical16(h, inf uint64) uint64 {
	if h&0x7fff > inf {
		return nan16
	}
	return h
}

// round16 rounds to the format in any mode.
func (f format) round(v float64, r rounding) uint64 {
	h := f.narrow(v)
	if r == nearest || h&0x7fff == f.nan || math.IsInf(v, 0) {
		return h
	}
	// Neighbours of a float are neighbours of its bits, apart from the sign.
	g, sign := f.wide(h), h&0x8000
	switch {
	case (r == zero || r == down && sign == 0 || r == up && sign != 0) && math.Abs(g) > math.Abs(v):
		return h - 1
	case (r == down && sign != 0 || r == up && sign == 0) && math.Abs(g) < math.Abs(v):
		return h + 1
	}
	return h
}

func f32(v uint64) float32 { return math.Float32frombits(uint32(v)) }
func f64(v uint64) float64 { return math.Float64frombits(v) }

func bits32(f float32) uint64 {
	if f != f {
		return nan32
	}
	return uint64(math.Float32bits(f))
}

func bits64(f float64) uint64 {
	if f != f {
		return nan64
	}
	return math.Float64bits(f)
}

// flush32 replaces a subnormal by a zero of its sign.
func flush32(v uint64) uint64 {
	if v&0x7f800000 == 0 {
		return v & 0x80000000
	}
	return v
}
