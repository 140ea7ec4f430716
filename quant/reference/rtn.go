package reference

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// RTN quantizes the weights w [n, k], each exact in t, to nearest, as vLLM's
// on-the-fly quantization does it, every operation rounded to t:
//
//	m     = max |w| of the group
//	scale = round(round(m·2) / (2^bits − 1))
//	q     = rint(clamp(round(w/scale), −2^(bits−1), 2^(bits−1) − 1))
//
// size is the features of one group, −1 for all k; the last group of a row may
// be shorter. It returns the unsigned codes q + 2^(bits−1) [n, k] and the
// scales [n, ceil(k/size)]. NaN, the 0/0 of an all-zero group, gives q = 0. A
// scale that is not finite is returned as it is.
//
// Each operation is done in float64 and rounded once to t, which equals
// upstream's float32 operation rounded to t: both are wide enough that the
// second rounding of a product or quotient never shows.
func RTN(t dtype.DType, bits, size, n, k int, w []float32) (codes []uint8, scales []float32) {
	if size == -1 {
		size = k
	}
	groups := (k + size - 1) / size
	codes = make([]uint8, n*k)
	scales = make([]float32, n*groups)
	half := float64(int(1) << (bits - 1))
	for i := range n {
		for g := range groups {
			lo, hi := i*k+g*size, i*k+min((g+1)*size, k)
			scale := rtnScale(t, bits, w[lo:hi])
			scales[i*groups+g] = float32(scale)
			for j := lo; j < hi; j++ {
				q := t.RoundF64(float64(w[j]) / scale)
				codes[j] = uint8(math.RoundToEven(clamp(q, -half, half-1)) + half)
			}
		}
	}
	return codes, scales
}

func rtnScale(t dtype.DType, bits int, w []float32) float64 {
	m := float64(absMax(w))
	return t.RoundF64(t.RoundF64(m*2) / float64(int(1)<<bits-1))
}

// RTNAsymmetric quantizes w as RTN does, with explicit zero points, as
// compressed-tensors does it, every operation rounded to t:
//
//	lo, hi = min(0, min w), max(0, max w)
//	scale  = round(round(hi − lo) / (2^bits − 1))
//	zp     = rint(clamp(round(−2^(bits−1) − round(lo/scale)), −2^(bits−1), 2^(bits−1) − 1))
//	q      = rint(clamp(round(round(w/scale) + zp), −2^(bits−1), 2^(bits−1) − 1))
//
// A scale of 0 becomes the machine epsilon of t after zp is computed; NaN, the 0/0
// of an all-zero group, gives zp = 0. The zero points returned are zp + 2^(bits−1).
func RTNAsymmetric(t dtype.DType, bits, size, n, k int, w []float32) (codes []uint8, scales []float32, zeros []int) {
	if size == -1 {
		size = k
	}
	groups := (k + size - 1) / size
	codes = make([]uint8, n*k)
	half := float64(int(1) << (bits - 1))
	eps := map[dtype.DType]float64{dtype.F32: math.Pow(2, -23), dtype.F16: math.Pow(2, -10), dtype.BF16: math.Pow(2, -7)}[t]
	for i := range n {
		for g := range groups {
			from, to := i*k+g*size, i*k+min((g+1)*size, k)
			lo, hi := 0.0, 0.0
			for _, v := range w[from:to] {
				lo, hi = math.Min(lo, float64(v)), math.Max(hi, float64(v))
			}
			scale := t.RoundF64(t.RoundF64(hi-lo) / (2*half - 1))
			zp := t.RoundF64(-half - t.RoundF64(lo/scale))
			zp = math.RoundToEven(clamp(zp, -half, half-1))
			if scale == 0 {
				scale = eps
			}
			scales, zeros = append(scales, float32(scale)), append(zeros, int(zp+half))
			for j := from; j < to; j++ {
				q := t.RoundF64(t.RoundF64(float64(w[j])/scale) + zp)
				codes[j] = uint8(math.RoundToEven(clamp(q, -half, half-1)) + half)
			}
		}
	}
	return codes, scales, zeros
}
