package quant

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// QuantizeRow quantizes one row x [K] as the recipe says, so that
//
//	x[k] ≈ scales[g]·(codes[k] − zero)
//
// where g is the group of k in act, the recipe's ActGroups of the weight's
// groups. codes is [K], scales [act.Count()]; zero is 0 for every recipe but
// Int8TokenAsym. The values of x must be exact in t, the type of the tensor
// that x was widened from. Codes and scales are defined bit for bit:
//
//	recipe            scale                                    code
//	Int8TokenAsym     255/(max−min) in float32, inverted       round half away(x·255/(max−min)) + zero, clamped to −128..127
//	Int8Token         amax/127.5 rounded to t; 0 → eps(t)      half even(limit(x/scale rounded to t)) in −128..127
//	Int8TokenXPU      max(amax/127, 1e-5) rounded to t         half even(x/scale), clamped to −128..127
//	Int8TokenAscend   amax/127 in float32                      half even(x/scale), clamped to −128..127; scale 0 → 0
//	Int8Group         amax/127 in float32, for each group      half even(x/scale), clamped to −127..127; scale 0 → 0
//	Int4TokenAscend   amax/7 in float32                        half even(x/scale), clamped to −8..7; scale 0 → 0
//
// A row (for Int8Group: a group) that holds a NaN or an infinity gets the
// scale NaN and codes 0, so that what is computed from it is NaN. Exact and
// Int4FlatQuant have no such row (see Transform.QuantizeRow): nothing is
// written. It allocates nothing and keeps no state.
//
// Sources: PyTorch's _dyn_quant_matmul_4bit, compressed-tensors'
// calculate_qparams, vLLM's dynamic_per_token_int8_quant_ref, CANN's
// aclnnDynamicQuant.
func (r Recipe) QuantizeRow(t dtype.DType, act *Groups, codes []int8, scales []float32, x []float32) (zero int32) {
	codes = codes[:len(x)]
	switch r.Kind {
	case Int8TokenAsym:
		scales[0], zero = asymRow(codes, x)
	case Int8Token:
		scales[0] = tokenRow(t, codes, x)
	case Int8TokenXPU:
		amax, finite := absMax(x)
		if !finite {
			scales[0] = poison(codes)
			return 0
		}
		scales[0] = t.Round(max(amax/127, 1e-5))
		divideRow(codes, x, scales[0], -128, 127)
	case Int8TokenAscend:
		scales[0] = symmetricRow(codes, x, -128, 127)
	case Int4TokenAscend:
		scales[0] = symmetricRow(codes, x, -8, 7)
	case Int8Group:
		if act.kind == ActOrder {
			scatteredGroups(act, codes, scales, x)
			return 0
		}
		for g := range act.count {
			lo, hi := act.span(g)
			scales[g] = symmetricRow(codes[lo:hi], x[lo:hi], -127, 127)
		}
	}
	return zero
}

// span returns the features of group g of a map whose groups are contiguous.
func (g *Groups) span(i int) (lo, hi int) {
	switch g.kind {
	case Uniform:
		return i * g.size, min((i+1)*g.size, g.k)
	case Ragged:
		return int(g.bounds[i]), int(g.bounds[i+1])
	}
	return 0, g.k
}

// asymRow follows the order of the float32 operations of PyTorch's operator.
// Where 255/(max−min) overflows, which the operator leaves undefined, every
// |x| is below 2⁻¹²⁰: the row counts as zero.
func asymRow(codes []int8, x []float32) (recip float32, zero int32) {
	var lo, hi float32
	var top uint32
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^signBit)
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
	}
	if top >= infBits {
		return poison(codes), 0
	}
	scale := float32(1)
	if lo != hi {
		scale = 255 / (hi - lo)
	}
	if scale > math.MaxFloat32 {
		clear(codes)
		return 0, 0
	}
	if scale != 0 {
		recip = 1 / scale
	}
	dlo, dhi := float32(lo*scale), float32(hi*scale)
	z := 127 - dhi
	if float32(-128+dlo)+float32(127+dhi) > 0 {
		z = -128 - dlo
	}
	zero = int32(halfEven(limit(z, -128, 127)))
	for k, v := range x {
		q := halfAway(float32(v*scale)) + zero
		codes[k] = int8(max(-128, min(q, 127)))
	}
	return recip, zero
}

func tokenRow(t dtype.DType, codes []int8, x []float32) float32 {
	amax, finite := absMax(x)
	if !finite {
		return poison(codes)
	}
	scale := t.Round(amax / 127.5)
	if scale == 0 {
		scale = float32(t.Epsilon())
	}
	if t == dtype.F32 {
		divideRow(codes, x, scale, -128, 127)
		return scale
	}
	for k, v := range x {
		codes[k] = halfEven(limit(t.Round(v/scale), -128, 127))
	}
	return scale
}

func symmetricRow(codes []int8, x []float32, lo, hi float32) float32 {
	amax, finite := absMax(x)
	if !finite {
		return poison(codes)
	}
	scale := amax / hi
	if scale == 0 {
		clear(codes)
		return 0
	}
	divideRow(codes, x, scale, lo, hi)
	return scale
}

// scatteredGroups is Int8Group where the features of a group are not
// neighbours: the first pass collects the magnitudes in scales.
func scatteredGroups(act *Groups, codes []int8, scales []float32, x []float32) {
	scales = scales[:act.count]
	clear(scales)
	index := act.index[:len(x)]
	for k, v := range x {
		m := math.Float32bits(v) &^ signBit
		if g := index[k]; m > math.Float32bits(scales[g]) {
			scales[g] = math.Float32frombits(m)
		}
	}
	for g, amax := range scales {
		scales[g] = amax / 127
		if math.Float32bits(amax) >= infBits {
			scales[g] = float32(math.NaN())
		}
	}
	for k, v := range x {
		codes[k] = 0
		if s := scales[index[k]]; s > 0 {
			codes[k] = halfEven(limit(v/s, -127, 127))
		}
	}
}

const (
	signBit = 1 << 31
	infBits = 0x7f800000 // and above it, without the sign: infinity and NaN
)

// absMax returns the largest magnitude in x and whether all of x is finite.
// As bits, magnitudes order like integers, infinity and NaN last.
func absMax(x []float32) (amax float32, finite bool) {
	var top uint32
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^signBit)
	}
	return math.Float32frombits(top), top < infBits
}

func poison(codes []int8) float32 {
	clear(codes)
	return float32(math.NaN())
}

// divideRow divides truly, as every recipe does: a product with 1/scale has
// another rounding. Clamping before rounding to an integer is the same as
// after it, the ends being integers.
func divideRow(codes []int8, x []float32, scale, lo, hi float32) {
	codes = codes[:len(x)]
	for k, v := range x {
		codes[k] = halfEven(limit(v/scale, lo, hi))
	}
}

func limit(v, lo, hi float32) float32 {
	if v < lo {
		v = lo
	}
	if v > hi {
		v = hi
	}
	return v
}

// halfEven rounds to the nearest integer, ties to even, for |v| ≤ 128. The
// float32s from 2²³ to 2²⁴ are the integers, so the addition rounds; the low
// byte of the sum's bits is then the integer in two's complement.
func halfEven(v float32) int8 { return int8(math.Float32bits(v + 3<<22)) }

// halfAway rounds to the nearest integer, ties away from zero, for |v| < 2³⁰.
// The float64 sum is exact for every float32 that is near a half.
func halfAway(v float32) int32 {
	return int32(float64(v) + math.Copysign(0.5, float64(v)))
}
