package quant

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// Apply writes P1·(X·P2) of the row x [K] into dst [K], seen as matrices
// [L, R], with tmp [K] for the product in between:
//
//	A = round_xt(X·P2)      xt is the type of x; float32 is not rounded further
//	B = round_float16(P1·A) whatever xt is
//
// Sums are float32, k ascending from 0, each step a fused multiply-add
// (dtype.FMA), so that the result is defined bit for bit. The operator, which
// has no float32 x, multiplies 16-bit values without error, but for what float32
// cannot hold, and leaves open in which order it adds. A magnitude above 65519
// becomes infinite, and a value that is not finite makes all of dst so. dst, x
// and tmp must not overlap. It allocates nothing; a Transform may be used by
// several goroutines at once.
//
// Source: the A2/A3 kernel of aclnnFlatQuant in CANN 8.5.
func (t *Transform) Apply(xt dtype.DType, dst, x, tmp []float32) {
	n := t.L * t.R
	dst, x, tmp = dst[:n], x[:n], tmp[:n]
	multiply(tmp, x, t.P2, t.L, t.R, t.R)
	if xt != dtype.F32 {
		for i, v := range tmp {
			tmp[i] = xt.Round(v)
		}
	}
	multiply(dst, t.P1, tmp, t.L, t.L, t.R)
	for i, v := range dst {
		dst[i] = dtype.F16.Round(v)
	}
}

// multiply sets c [m, n] = a [m, k] · b [k, n]. An exact product, as nearly all
// of 16-bit types are, needs no more than an addition, which is quicker.
func multiply(c, a, b []float32, m, k, n int) {
	clear(c)
	for i := range m {
		sum := c[i*n:][:n]
		for p, v := range a[i*k:][:k] {
			for j, w := range b[p*n:][:len(sum)] {
				if t := float32(v * w); float64(t) == float64(v)*float64(w) {
					sum[j] += t
				} else {
					sum[j] = dtype.FMA(v, w, sum[j])
				}
			}
		}
	}
}

// QuantizeRow quantizes b, the output of Apply, to codes of −8..7 and returns
// their scale: b[k] ≈ scale·codes[k].
//
//	scale = (max|b|·clip)/7
//	r     = (7/clip)/max|b|, 7 for a row of zeros
//	code  = half even(float16(b·r)), saturated to −8..7
//
// The product is rounded to float32, then to float16, then to an integer. A
// clip below 1 lets codes saturate, at −8 for negative values. A row of zeros
// has scale 0; one that is not finite has scale NaN and codes 0. codes and b
// have the same length. It allocates nothing.
func (t *Transform) QuantizeRow(codes []int8, b []float32) (scale float32) {
	codes = codes[:len(b)]
	top, finite := absMax(b)
	if !finite {
		return poison(codes)
	}
	r := float32(7)
	if top != 0 {
		r = float32(7/t.Clip) / top
	}
	for k, v := range b {
		codes[k] = halfEven(limit(dtype.F16.Round(float32(v*r)), -8, 7))
	}
	return float32(top*t.Clip) / 7
}

// Decompose returns the factors L·R = k that FlatQuant chooses for k features
// where a checkpoint does not show them: with the smallest a ≥ √k such that
// a²−k is a square b², L = a−b and R = a+b. That is the pair of divisors
// nearest to each other among those that are both odd or both even. There is
// none for k = 2 mod 4 (where the original search never ends): ErrUnsupported.
func Decompose(k int) (l, r int, err error) {
	if k < 1 || k > MaxDim {
		return 0, 0, Errorf(ErrShape, "transform", "K", "1..2^30", "%d", k)
	}
	for l = int(math.Sqrt(float64(k))); l > 0; l-- {
		if r = k / l; l*r == k && (l+r)%2 == 0 {
			return l, r, nil
		}
	}
	return 0, 0, Errorf(ErrUnsupported, "transform", "K", "odd or a multiple of 4, so that it is a product of two odd or two even factors", "%d", k)
}
