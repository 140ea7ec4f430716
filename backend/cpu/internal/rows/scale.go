package rows

import (
	"math"

	"github.com/bitlane/bitlane/quant"
)

// ends is the smallest and largest value of a row and 0, and their magnitude.
type ends struct{ low, high, top float32 }

// rowScale is what a row is quantized with.
type rowScale struct {
	scale  float32 // to store
	zero   int32
	factor float32 // that values are divided by, or multiplied with
	empty  bool    // all codes are 0
}

// scaleOf follows quant.Recipe.QuantizeRow and quant.Transform.QuantizeRow for
// recipes with one scale.
func (f *Form) scaleOf(e *ends) rowScale {
	if !(e.top <= math.MaxFloat32) {
		return rowScale{scale: float32(math.NaN()), empty: true}
	}
	var s float32
	switch f.Recipe.Kind {
	case quant.Int8TokenAsym:
		return asymScale(e)
	case quant.Int4FlatQuant:
		r := float32(7)
		if e.top != 0 {
			r = float32(7/f.Transform.Clip) / e.top
		}
		return rowScale{scale: float32(e.top*f.Transform.Clip) / 7, factor: r}
	case quant.Int8Token:
		if s = f.X.Round(e.top / 127.5); s == 0 {
			s = float32(f.X.Epsilon())
		}
	case quant.Int8TokenXPU:
		s = f.X.Round(max(e.top/127, 1e-5))
	case quant.Int8TokenAscend:
		s = e.top / 127
	case quant.Int4TokenAscend:
		s = e.top / 7
	}
	return rowScale{scale: s, factor: s, empty: s == 0}
}

func asymScale(e *ends) (s rowScale) {
	s.factor = 1
	if e.low != e.high {
		s.factor = 255 / (e.high - e.low)
	}
	if s.factor > math.MaxFloat32 {
		return rowScale{empty: true}
	}
	if s.factor != 0 {
		s.scale = 1 / s.factor
	}
	low, high := float32(e.low*s.factor), float32(e.high*s.factor)
	z := 127 - high
	if float32(-128+low)+float32(127+high) > 0 {
		z = -128 - low
	}
	s.zero = int32(math.RoundToEven(float64(max(-128, min(z, 127)))))
	return s
}
