package reference

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// Bound is a kernel's statement of its error; the fields of backend.Numerics
// of the same names.
type Bound struct {
	Depth       int     // float32 roundings on the longest path from an input to the output
	WeightRound float64 // relative error of scaled weights that are rounded to 16 bits
	FlushBelow  float64 // magnitude under which the unit flushes to zero
	CodeSlack   int     // how far an activation code may be from the recipe's
}

// Bound returns B, how far y[row][col] may be from Y before both are rounded
// to the output type:
//
//	B = Depth·2⁻²⁴·(Σ|a|·s·(u+|z|) + |bias|) + WeightRound·Σ|a||w|
//	  + CodeSlack·Σ(hi−lo)·sx·|w|
//	  + FlushBelow·(K + Σ|a| + Σs·(u+|z|)) + (K+8)·2⁻¹⁴⁹
//
// [lo, hi] is the Interval of each code for a slack of one. The last line is
// underflow: a flushed product loses FlushBelow, a flushed factor as much
// times the other one, and gradual underflow half of 2⁻¹⁴⁹ an operation.
func (r *Result) Bound(row, col int, b Bound) float64 {
	at := row*r.N + col
	k := float64(r.K)
	e := float64(b.Depth)*0x1p-24*r.mag[at] + b.WeightRound*r.abs[at] + (k+8)*0x1p-149
	if b.CodeSlack > 0 && r.slack != nil {
		e += float64(b.CodeSlack) * r.slack[at]
	}
	if b.FlushBelow > 0 {
		e += b.FlushBelow * (k + r.rows[row] + r.cols[col])
	}
	return e
}

// Accept reports whether y, a value of yt, is right for output [row, col]:
//
//	round_yt(Y − B) ≤ y ≤ round_yt(Y + B)
//
// An infinite y is right where the interval reaches infinity. A row whose
// input is not finite, or an output whose weights or bias are not, must give
// NaN or an infinity. Where Σ|a|·s·(u+|z|) + |bias| is beyond float32 a
// partial sum may overflow, and NaN or an infinity is right as well. So it is
// where Σs·(u+|z|), times the largest code where x is quantized, is beyond it:
// a kernel may multiply with the weight's scale before it does with that of x.
func (r *Result) Accept(row, col int, y float32, yt dtype.DType, b Bound) bool {
	finite := y-y == 0
	at := row*r.N + col
	if r.NonFinite[row] || !isFinite(r.mag[at]) {
		return !finite
	}
	if !finite && max(r.mag[at], r.codeReach()*r.cols[col]) > math.MaxFloat32 {
		return true
	}
	v, e := float64(y), r.Bound(row, col, b)
	return yt.RoundF64(r.Y[at]-e) <= v && v <= yt.RoundF64(r.Y[at]+e) && yt.RoundF64(v) == v
}

// codeReach is the largest magnitude of a code minus its zero point, 1 where
// there are no codes.
func (r *Result) codeReach() float64 {
	if r.Codes == nil {
		return 1
	}
	return 255
}

// Ratio returns |y − Y|/B: at most 1 for a y that was not rounded to a narrower
// output type. It is 0 where both are equal or both are not finite.
func (r *Result) Ratio(row, col int, y float32, b Bound) float64 {
	at := row*r.N + col
	if r.NonFinite[row] || !isFinite(r.mag[at]) {
		if y-y != 0 {
			return 0
		}
		return math.Inf(1)
	}
	if float64(y) == r.Y[at] {
		return 0
	}
	d := math.Abs(float64(y)-r.Y[at]) / r.Bound(row, col, b)
	if d != d {
		return math.Inf(1)
	}
	return d
}

func isFinite(v float64) bool { return v-v == 0 }
