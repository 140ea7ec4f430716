package quant

import (
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/dtype"
)

// Transform is FlatQuant's Kronecker transform of a row x of K = L·R features,
// seen as a matrix X[L,R] in row-major order:
//
//	X'' = P1[L,L] · (X · P2[R,R])
//
// The product P1⊗P2 is never formed. Checkpoints store left_trans, with
// P1 = left_transᵀ: the loader transposes it. A Transform is immutable once it
// is part of a layer, since the parts that Select makes share it.
//
// Source: FlatQuant (arXiv:2410.09426); aclnnFlatQuant of CANN for the
// arithmetic.
type Transform struct {
	L, R int
	P1   []float32   // [L, L] row-major, each value exact in Type
	P2   []float32   // [R, R] row-major, each value exact in Type
	Type dtype.DType // the type that P1 and P2 are stored in
	Clip float32     // clip ratio, MinClip to 1
}

// MinClip is the smallest clip ratio. Below it, a scale may underflow and its
// inverse overflow; ratios in use are above 0.5.
const MinClip = 0x1p-24

// Check reports a transform that does not fit K features, or whose numbers are
// not finite or not exact in its type.
func (t *Transform) Check(name string, k int) error {
	switch {
	case t.L < 1 || t.R < 1 || t.L > k || t.R > k || t.L*t.R != k:
		return Errorf(ErrShape, name, "transform", "L·R = K = "+itoa(k), "%d x %d", t.L, t.R)
	case len(t.P1) != t.L*t.L:
		return Errorf(ErrShape, name, "left transform", itoa(t.L*t.L)+" elements", "%d elements", len(t.P1))
	case len(t.P2) != t.R*t.R:
		return Errorf(ErrShape, name, "right transform", itoa(t.R*t.R)+" elements", "%d elements", len(t.P2))
	case !t.Type.Valid():
		return Errorf(ErrDType, name, "type of the transform", "float32, float16 or bfloat16", "%v", t.Type)
	case !(t.Clip >= MinClip && t.Clip <= 1):
		return Errorf(ErrRange, name, "clip ratio", "2^-24 to 1", "%v", t.Clip)
	}
	if err := t.checkFactor(name, "left transform", t.P1); err != nil {
		return err
	}
	return t.checkFactor(name, "right transform", t.P2)
}

func (t *Transform) checkFactor(name, factor string, p []float32) error {
	for i, v := range p {
		if v-v != 0 {
			return Errorf(ErrRange, name, factor+"["+itoa(i)+"]", "a finite number", "%v", v)
		}
		if t.Type.Round(v) != v {
			return Errorf(ErrDType, name, factor+"["+itoa(i)+"]", "exact in "+t.Type.String(), "%v", v)
		}
	}
	return nil
}

// String returns the sizes, type and clip ratio, "none" for nil.
func (t *Transform) String() string {
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("%d x %d %v, clip %v", t.L, t.R, t.Type, t.Clip)
}

// Equal reports whether both transforms, which may be nil, are the same.
func (t *Transform) Equal(u *Transform) bool {
	if t == nil || u == nil || t == u {
		return t == u
	}
	return t.L == u.L && t.R == u.R && t.Type == u.Type && t.Clip == u.Clip &&
		slices.Equal(t.P1, u.P1) && slices.Equal(t.P2, u.P2)
}
