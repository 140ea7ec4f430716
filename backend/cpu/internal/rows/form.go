package rows

import (
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// ISA is the instruction set that a Plan may use.
type ISA uint8

const (
	Go     ISA = iota // plain Go
	AVX2              // amd64: AVX2, FMA and F16C
	AVX512            // AVX2, and AVX-512 F, BW, DQ and VL
	NEON              // every arm64
)

// Values is what a prepared row is made of.
type Values uint8

const (
	Float32  Values = iota // x itself: the recipe Exact
	Int8                   // codes; Side is written
	Int16                  // codes minus the row's zero point
	BFloat16               // x itself, where it is of that type: the recipe Exact
)

// exact says that rows are x itself.
func (v Values) exact() bool { return v == Float32 || v == BFloat16 }

// Size returns the bytes of a value.
func (v Values) Size() int { return [...]int{4, 1, 2, 2}[v] }

// Segment is a run of features of a prepared row.
type Segment struct {
	Lo, Hi int32 // features in packed order
	At     int32 // where it begins in the row, in values; a multiple of 8
}

// Form says how the rows of a layer are prepared.
type Form struct {
	ISA    ISA // the most that may be used: a Plan uses what the processor has of it
	Recipe quant.Recipe
	X      dtype.DType
	K      int
	Act    quant.Groups // the recipe's ActGroups of the weight's groups; of no use to Exact

	// Transform is Int4FlatQuant's, nil for the other recipes. It is kept, not
	// copied, and has passed its Check.
	Transform *quant.Transform

	// Order gives each feature of the packed order its feature of x; nil where
	// they are the same. It is kept, not copied.
	Order []int32

	// Gathers says that the processor loads 16 values from anywhere in less time than one
	// after another. AVX512 then does so, and quantizes tokens through the order.
	Gathers bool

	// Segments cover the features of the packed order, ascending and without
	// gaps. One that does not begin with an activation group of Int8Group goes
	// on with it, and none is in two groups.
	Segments []Segment
	Width    int // values of a prepared row with all padding; a multiple of 8

	Values Values

	// Swapped rows of BFloat16 have the second and third of every four values in
	// each other's place: the order of asm.PairsOfLine for codes of 4 bits.
	Swapped bool

	// Zeros is the kind of zero points (ZeroConstant, ZeroBytes or ZeroPairs)
	// that Side is for, Zero the one of ZeroConstant. For Int8 only.
	// Int8TokenAsym needs ZeroPairs.
	Zeros asm.Form
	Zero  int32
}

// Dst is where a row is prepared to. No part may overlap another, x or
// scratch.
type Dst struct {
	Values []byte    // Form.Width values, aligned to 4 bytes
	Side   []int32   // Int8: for each segment the correction that asm.Form asks for
	Scales []float32 // Int8Group: for each segment; Exact: none; else one, the row's
}

// check reports a form that no row can have.
func (f *Form) check() error {
	bad := func(field, want string, format string, args ...any) error {
		return quant.Errorf(quant.ErrShape, "rows", field, want, format, args...)
	}
	exact := f.Recipe.Kind == quant.Exact
	switch {
	case f.Recipe.Check("rows") != nil:
		return f.Recipe.Check("rows")
	case !f.X.Valid():
		return quant.Errorf(quant.ErrDType, "rows", "type of x", "float32, float16 or bfloat16", "%v", f.X)
	case f.K < 1 || f.K > quant.MaxDim:
		return bad("K", "1..2^30", "%d", f.K)
	case f.Values > BFloat16 || exact != f.Values.exact():
		return bad("values", "float32 or bfloat16 for exact, else int8 or int16", "%d for %v", f.Values, f.Recipe)
	case f.Values == BFloat16 && f.X != dtype.BF16:
		return bad("values", "bfloat16 for x of that type", "those of %v", f.X)
	case f.Swapped && f.Values != BFloat16:
		return bad("order of pairs", "that of bfloat16", "values %d", f.Values)
	case !exact && f.Act.K() != f.K:
		return bad("features of the activation groups", "K", "%d for %d", f.Act.K(), f.K)
	case (f.Recipe.Kind == quant.Int4FlatQuant) != (f.Transform != nil):
		return bad("transform", "one for int4-flatquant and no other", "%v for %v", f.Transform, f.Recipe)
	case f.Transform != nil && f.Transform.L*f.Transform.R != f.K:
		return bad("transform", "L·R = K", "%v for %d", f.Transform, f.K)
	case f.Order != nil && len(f.Order) != f.K:
		return bad("order", "K features", "%d for %d", len(f.Order), f.K)
	}
	for i, k := range f.Order {
		if k < 0 || int(k) >= f.K {
			return bad("order", "features of x", "%d at %d", k, i)
		}
	}
	if err := f.checkSegments(); err != nil {
		return err
	}
	if f.Recipe.Kind == quant.Int8Group {
		order := f.Act.Order()
		for i := range f.K {
			if in(f.Order, i) != in(order, i) {
				return bad("order", "that of the activation groups", "another at %d", i)
			}
		}
	}
	return nil
}

// in returns order[i], i where there is no order.
func in(order []int32, i int) int {
	if order == nil {
		return i
	}
	return int(order[i])
}

// Magnitudes of a code minus zero point, and of the largest negative code.
const (
	reachAsym = 255
	reach     = 128
)

func (f *Form) checkSegments() error {
	bad := func(field, want string, format string, args ...any) error {
		return quant.Errorf(quant.ErrShape, "rows", field, want, format, args...)
	}
	asym := f.Recipe.Kind == quant.Int8TokenAsym
	longest := f.K
	if f.Values == Int8 {
		switch {
		case f.Zeros != asm.ZeroConstant && f.Zeros != asm.ZeroBytes && f.Zeros != asm.ZeroPairs:
			return bad("zeros", "a kind of zero points", "%d", f.Zeros)
		case asym && f.Zeros != asm.ZeroPairs:
			return bad("zeros", "pairs for "+f.Recipe.String(), "%d", f.Zeros)
		case f.Zero < -1<<15 || f.Zero >= 1<<15:
			return bad("zero point", "an int16", "%d", f.Zero)
		case f.Zeros == asm.ZeroConstant:
			longest = (1<<31 - 1) / reach / max(1, abs(f.Zero))
		case asym:
			longest = (1<<15 - 1) / reachAsym
		default:
			longest = (1<<15 - 1) / reach
		}
	}
	next, end := int32(0), int32(0)
	for i, s := range f.Segments {
		switch {
		case s.Lo != next || s.Hi <= s.Lo:
			return bad("segment", "the features after those before it", "%d, of %d to %d", i, s.Lo, s.Hi)
		case int(s.Hi-s.Lo) > longest:
			return bad("segment", "features whose correction fits", "%d, of %d features", i, s.Hi-s.Lo)
		case s.At < end || s.At%step != 0 || i == 0 && s.At != 0:
			return bad("segment", "at a multiple of 8 after those before it, from 0", "%d at %d", i, s.At)
		}
		next, end = s.Hi, s.At+s.Hi-s.Lo
	}
	if int(next) != f.K {
		return bad("segments", "K features", "%d of %d", next, f.K)
	}
	if f.Width < int(end) || f.Width%step != 0 || f.Width > 2*quant.MaxDim {
		return bad("width", "a multiple of 8 with room for all segments", "%d", f.Width)
	}
	if f.Recipe.Kind != quant.Int8Group {
		return nil
	}
	bounds := f.Act.Bounds(nil)
	for g, i := 0, 0; g+1 < len(bounds); g++ {
		for ; i < len(f.Segments) && f.Segments[i].Lo < bounds[g+1]; i++ {
			if f.Segments[i].Hi > bounds[g+1] {
				return bad("segment", "in one activation group", "%d in two", i)
			}
		}
	}
	return nil
}

func abs(v int32) int { return max(int(v), -int(v)) }
