package quant

import (
	"strconv"

	"github.com/bitlane/bitlane/dtype"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Transform is FlatQuant's Kronecker transform of a row x of K = L·R features,
// seen as a matrix X[L,R] in row-major order:
//
//	X'' = P1[L,L] · (X · P2[R,R])
//
// Checkpoints store left_trans with P1 = left_transᵀ; the loader transposes
// it. The product P1⊗P2 is never formed. Source: FlatQuant (arXiv:2410.09426);
// aclnnFlatQuant of CANN for the arithmetic.
type Transform struct {
	L, R int
	P1   []float32   // [L, L] row-major, each value exact in DType
	P2   []float32   // [R, R] row-major, each value exact in DType
	Type dtype.DType // the type that P1 and P2 are stored in
	Clip float32     // clip ratio in (0, 1]
}

// Check reports a transform that does not fit K features or is not finite.
func (t *Transform) Check(name string, k int) error {
	switch {
	case t.L < 1 || t.R < 1 || t.L > k || t.R > k || t.L*t.R != k:
		return Errorf(ErrShape, name, "transform", "L·R = K = "+itoa(k), "%d x %d", t.L, t.R)
	case len(t.P1) != t.L*t.L:
		return Errorf(ErrShape, name, "left transform", itoa(t.L*t.L)+" elements", "%d elements", len(t.P1))
	case len(t.P2) != t.R*t.R:
		return Errorf(ErrShape, name, "right transform", itoa(t.R*t.R)+" elements", "%d elements", len(t.P2))
	case !(t.Clip > 0 && t.Clip <= 1):
		return Errorf(ErrRange, name, "clip ratio", "in (0, 1]", "%v", t.Clip)
	}
	for _, p := range [][]float32{t.P1, t.P2} {
		for _, v := range p {
			if v-v != 0 {
				return Errorf(ErrRange, name, "transform", "finite numbers", "%v", v)
			}
		}
	}
	return nil
}
