package quant

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// extremes returns the least and greatest of w and 0, and NaN where w has one.
func extremes(w []float32) (lo, hi float32) {
	for _, v := range w {
		if v != v {
			return v, v
		}
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}

// asymmetricScale returns the scale and zero point of parity mode, each step
// rounded to t.
func asymmetricScale(t dtype.DType, w []float32, bits int) (scale float32, zero int) {
	lo, hi := extremes(w)
	half := float32(int(1) << (bits - 1))
	scale = t.Round(t.Round(hi-lo) / (2*half - 1))
	zp := t.Round(-half - t.Round(lo/scale))
	if zp != zp {
		zp = 0
	}
	zp = min(max(zp, -half), half-1)
	if scale == 0 {
		scale = float32(t.Epsilon())
	}
	return scale, int(math.RoundToEven(float64(zp))) + int(half)
}

// asymmetricGroup writes the codes of parity mode, each step rounded to t.
func asymmetricGroup(t dtype.DType, codes []uint8, w []float32, scale float32, zero, bits int) {
	half := float32(int(1) << (bits - 1))
	zp := float32(zero) - half
	for i, v := range w {
		q := t.Round(t.Round(v/scale) + zp)
		q = min(max(q, -half), half-1)
		codes[i] = uint8(math.Float32bits(q+toInt)) + uint8(half)
	}
}
