package dtype

import "math"

// F16ToF32 widens a binary16 bit pattern; exact.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	man := uint32(h & 0x3ff)
	switch exp {
	case 0: // zero or subnormal: man * 2^-24
		f := float32(man) * 0x1p-24
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | man<<13 | nanQuietBit(man))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// nanQuietBit keeps a signalling NaN a NaN, made quiet as hardware does.
func nanQuietBit(man uint32) uint32 {
	if man != 0 {
		return 0x00400000
	}
	return 0
}

// F16FromF32 rounds to the nearest binary16, ties to even. Values of
// magnitude 65520 and above become infinite.
func F16FromF32(f float32) uint16 {
	u := math.Float32bits(f)
	if fromFirst(u) < f16Normals {
		return f16Normal(u)
	}
	return f16Special(u)
}

// The float32 patterns that become normal binary16, sign apart: f16First is
// 2^-14, f16Limit is 65520.
const (
	f16First   = 0x38800000
	f16Limit   = 0x477ff000
	f16Normals = f16Limit - f16First
)

// fromFirst counts patterns from f16First up, sign apart; below it the count
// wraps round to more than f16Normals.
func fromFirst(u uint32) uint32 { return u&0x7fffffff - f16First }

// f16Normal rounds the float32 u, whose count is below f16Normals.
func f16Normal(u uint32) uint16 {
	a := u & 0x7fffffff
	return uint16(u>>16&0x8000 | ((a+0xfff+a>>13&1)>>13 - 112<<10))
}

// f16Special is F16FromF32 for results that are not normal.
func f16Special(u uint32) uint16 {
	sign, a := uint16(u>>16)&0x8000, u&0x7fffffff
	switch {
	case a > 0x7f800000:
		return sign | 0x7e00 | uint16(a>>13)&0x3ff
	case a >= f16Limit:
		return sign | 0x7c00
	}
	// One ulp of a float32 in [1/2, 1) is 2^-24, the step of the subnormals:
	// the addition does the rounding.
	return sign | uint16(math.Float32bits(math.Float32frombits(a)+0.5))
}

// BF16ToF32 widens a bfloat16 bit pattern; exact.
func BF16ToF32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// BF16FromF32 rounds to the nearest bfloat16, ties to even.
func BF16FromF32(f float32) uint16 {
	u := math.Float32bits(f)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + (u>>16)&1) >> 16)
}

// F16FromF64 rounds a float64 once to the nearest binary16, ties to even.
func F16FromF64(f float64) uint16 { return uint16(narrow(f, 5, 10)) }

// BF16FromF64 rounds a float64 once to the nearest bfloat16, ties to even.
func BF16FromF64(f float64) uint16 { return uint16(narrow(f, 8, 7)) }

// narrow rounds f to a format of expBits exponent and manBits mantissa bits.
func narrow(f float64, expBits, manBits uint) uint64 {
	u := math.Float64bits(f)
	sign := u >> 63 << (expBits + manBits)
	exp := int(u>>52) & 0x7ff
	man := u & (1<<52 - 1)
	inf := uint64(1<<expBits-1) << manBits
	if exp == 0x7ff {
		if man == 0 {
			return sign | inf
		}
		return sign | inf | 1<<(manBits-1) | man>>(52-manBits)
	}
	bias := 1<<(expBits-1) - 1
	e := exp - 1023 + bias
	shift := 52 - manBits
	if e > 0 {
		man |= uint64(e) << 52 // the carry of rounding may run into the exponent
	} else {
		if exp != 0 {
			man |= 1 << 52
		}
		shift += uint(1 - e)
		if shift > 63 {
			return sign
		}
	}
	half := uint64(1)<<(shift-1) - 1 + man>>shift&1
	r := (man + half) >> shift
	if r > inf {
		r = inf
	}
	return sign | r
}

// Round rounds f to the nearest value of d, ties to even.
func (d DType) Round(f float32) float32 {
	switch d {
	case F16:
		return F16ToF32(F16FromF32(f))
	case BF16:
		return BF16ToF32(BF16FromF32(f))
	}
	return f
}

// RoundF64 rounds f once to the nearest value of d, ties to even.
func (d DType) RoundF64(f float64) float64 {
	switch d {
	case F16:
		return float64(F16ToF32(F16FromF64(f)))
	case BF16:
		return float64(BF16ToF32(BF16FromF64(f)))
	}
	return float64(float32(f))
}
