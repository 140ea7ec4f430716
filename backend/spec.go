package backend

import (
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Spec is everything that a kernel needs to know to say yes or no, and no
// data. It is derived from a layer and a request by NewSpec, never typed by
// hand; it carries the facts about the data that decide, too (the range of the
// zero points and of scales), so that Supports and Prepare can agree.
// A Spec is a value; its slices are not to be written to.
type Spec struct {
	N       int           `json:"n"`                  // this part's output features
	K       int           `json:"k"`                  // this part's input features
	FullN   int           `json:"full_n"`             // the whole layer's output features
	FullK   int           `json:"full_k"`             // the whole layer's input features
	NRanges []quant.Range `json:"n_ranges,omitempty"` // rows of the whole layer in this part; nil: all
	KRanges []quant.Range `json:"k_ranges,omitempty"` // features of the whole layer in this part; nil: all

	Plain        dtype.DType `json:"plain,omitempty"`  // element type of a plain weight; Invalid for integer codes
	Bits         int         `json:"bits"`             // of a code
	Symmetric    bool        `json:"symmetric"`        // zero points are implied, 2^(Bits−1)
	ZeroMin      int         `json:"zero_min"`         // smallest zero point
	ZeroMax      int         `json:"zero_max"`         // largest zero point
	Scales       dtype.DType `json:"scales,omitempty"` // type of the scales
	ScalesFinite bool        `json:"scales_finite"`    // no scale is NaN or infinite
	ScaleMin     float32     `json:"scale_min"`        // smallest magnitude of a scale that is not 0; 0: none, or not finite
	ScaleMax     float32     `json:"scale_max"`        // largest magnitude of a scale; 0: none that is not 0, or not finite
	Groups       GroupSpec   `json:"groups"`

	Recipe    quant.Recipe   `json:"recipe"`              // how activations enter
	Transform *TransformSpec `json:"transform,omitempty"` // nil: none
	Bias      bool           `json:"bias"`
	X         dtype.DType    `json:"x"`        // type of the input
	Y         dtype.DType    `json:"y"`        // type of the output
	MaxRows   int            `json:"max_rows"` // bound on M
}

// GroupSpec says how K is divided, but not which feature is in which group.
type GroupSpec struct {
	Kind     quant.GroupKind `json:"kind"`
	Size     int             `json:"size"` // K for PerChannel, the size for Uniform, 0 otherwise
	Count    int             `json:"count"`
	Shortest int             `json:"shortest"`         // length of the shortest group
	Longest  int             `json:"longest"`          // length of the longest group
	Bounds   []int32         `json:"bounds,omitempty"` // Count+1 boundaries of the groups, as quant.Groups.Bounds; nil: each is Longest long, the last one what is left
}

// Bound returns the boundary before group i of K features: group i is
// [Bound(i), Bound(i+1)) of the features in the order of the groups.
func (g *GroupSpec) Bound(i, k int) int {
	if len(g.Bounds) > 0 {
		return int(g.Bounds[i])
	}
	return min(i*g.Longest, k)
}

// equal reports whether both say the same.
func (g *GroupSpec) equal(h *GroupSpec) bool {
	return g.Kind == h.Kind && g.Size == h.Size && g.Count == h.Count && g.Shortest == h.Shortest &&
		g.Longest == h.Longest && slices.Equal(g.Bounds, h.Bounds)
}

// TransformSpec is the shape of a Kronecker transform.
type TransformSpec struct {
	L    int         `json:"l"`
	R    int         `json:"r"`
	Type dtype.DType `json:"type"`
	Clip float32     `json:"clip"`
}

// Request is what a caller wants of a layer, beyond what its checkpoint says.
type Request struct {
	Recipe *quant.Recipe // nil: the layer's own. A plain weight knows only Exact
	X, Y   dtype.DType   // types of input and output; Y Invalid: as X
	// MaxRows bounds M; 0: 1. Which kernel is best can depend on it, and with the kernel the bits of
	// y: in one layer those of a row do not depend on M, in two of the same weights they can differ.
	MaxRows int
}

// NewSpec derives the Spec of a layer for a request. Its errors are those of
// Linear.Check, ErrDType for a type of x or y that is none, ErrShape for a
// MaxRows that is out of range, and ErrUnsupported for a recipe that the layer cannot have:
// quantized activations on a plain weight, FlatQuant without a transform or
// another recipe with one, and those of Recipe.Check.
func NewSpec(l *quant.Linear, r Request) (Spec, error) {
	if err := l.Check(); err != nil {
		return Spec{}, err
	}
	w := &l.Weight
	f := w.Form()
	s := Spec{
		N: f.N, K: f.K, NRanges: slices.Clone(l.NRanges), KRanges: slices.Clone(l.KRanges),
		Plain: f.Plain, Bits: f.Bits, Scales: f.Scales, Recipe: l.Recipe, Bias: l.HasBias(),
	}
	s.FullN, s.FullK = l.Full()
	if t := l.Transform; t != nil {
		s.Transform = &TransformSpec{L: t.L, R: t.R, Type: t.Type, Clip: t.Clip}
	}
	if err := s.ask(l.Name, r); err != nil {
		return Spec{}, err
	}
	if !f.Plain.Valid() {
		s.Symmetric = w.Symmetric()
		s.ZeroMin, s.ZeroMax = w.ZeroRange()
		s.ScaleMin, s.ScaleMax, s.ScalesFinite = w.ScaleRange()
		s.Groups = groupSpec(w.Groups())
	}
	return s, nil
}

// For returns the Spec of the same layer for another request, as NewSpec would with the same
// errors; a nil Recipe keeps that of s. name is the layer's.
func (s Spec) For(name string, r Request) (Spec, error) {
	err := s.ask(name, r)
	return s, err
}

// ask sets what a request decides.
func (s *Spec) ask(name string, r Request) error {
	if !r.X.Valid() {
		return quant.Errorf(ErrDType, name, "x type", "float32, float16 or bfloat16, in Request.X", "%v", r.X)
	}
	if r.Y == dtype.Invalid {
		r.Y = r.X
	}
	if !r.Y.Valid() {
		return quant.Errorf(ErrDType, name, "y type", "float32, float16 or bfloat16", "%v", r.Y)
	}
	if r.MaxRows < 0 || r.MaxRows > quant.MaxDim {
		return quant.Errorf(ErrShape, name, "MaxRows", fmt.Sprintf("0..%d", quant.MaxDim), "%d", r.MaxRows)
	}
	s.X, s.Y, s.MaxRows = r.X, r.Y, max(r.MaxRows, 1)
	if r.Recipe != nil {
		s.Recipe = *r.Recipe
	}
	if err := s.Recipe.CheckFor(name, s.Plain.Valid(), s.Transform != nil); err != nil {
		return err
	}
	if s.Recipe.Kind == quant.Int8Group { // one way to say the default, so that equal Specs compare equal
		s.Recipe.Group = s.Recipe.ActGroup()
	}
	return nil
}

// Check reports, as ErrShape, that s is not a Spec of l, and what NewSpec would refuse of l for
// s's request. Every Kernel's Prepare begins with it: what Supports said of s then holds for l.
func (s *Spec) Check(l *quant.Linear) error {
	own, err := NewSpec(l, Request{Recipe: &s.Recipe, X: s.X, Y: s.Y, MaxRows: s.MaxRows})
	if err != nil {
		return err
	}
	if !own.Equal(s) {
		return quant.Errorf(ErrShape, l.Name, "spec", fmt.Sprintf("one of this layer: [%d,%d] %s", own.N, own.K, own.Scheme()), "[%d,%d] %s", s.N, s.K, s.Scheme())
	}
	return nil
}

func groupSpec(g *quant.Groups) GroupSpec {
	s := GroupSpec{Kind: g.Kind(), Size: g.Size(), Count: g.Count(), Shortest: g.K()}
	b := g.Bounds(nil)
	for i := 1; i < len(b); i++ {
		n := int(b[i] - b[i-1])
		s.Shortest, s.Longest = min(s.Shortest, n), max(s.Longest, n)
	}
	for i, at := range b {
		if int(at) != min(i*s.Longest, g.K()) {
			s.Bounds = b
			break
		}
	}
	return s
}

// KCut reports whether the part reads only some of the whole layer's features.
func (s *Spec) KCut() bool { return s.K != s.FullK || s.KRanges != nil }

// Equal reports whether both Specs say the same.
func (s *Spec) Equal(t *Spec) bool {
	a, b := *s, *t
	a.NRanges, a.KRanges, a.Transform = nil, nil, nil
	b.NRanges, b.KRanges, b.Transform = nil, nil, nil
	sameTransform := (s.Transform == nil) == (t.Transform == nil) && (s.Transform == nil || *s.Transform == *t.Transform)
	return sameTransform && slices.Equal(s.NRanges, t.NRanges) && slices.Equal(s.KRanges, t.KRanges) && equalScalar(&a, &b)
}

func equalScalar(a, b *Spec) bool {
	return a.N == b.N && a.K == b.K && a.FullN == b.FullN && a.FullK == b.FullK &&
		a.Plain == b.Plain && a.Bits == b.Bits && a.Symmetric == b.Symmetric &&
		a.ZeroMin == b.ZeroMin && a.ZeroMax == b.ZeroMax && a.Scales == b.Scales &&
		a.ScalesFinite == b.ScalesFinite && a.ScaleMin == b.ScaleMin && a.ScaleMax == b.ScaleMax && a.Groups.equal(&b.Groups) && a.Recipe == b.Recipe &&
		a.Bias == b.Bias && a.X == b.X && a.Y == b.Y && a.MaxRows == b.MaxRows
}

// Scheme returns the weights and activations in short: "w4 g128 sym, exact".
func (s *Spec) Scheme() string {
	if s.Plain.Valid() {
		return s.Plain.String() + ", " + s.Recipe.String()
	}
	out := fmt.Sprintf("w%d ", s.Bits)
	switch s.Groups.Kind {
	case quant.PerChannel:
		out += "channel"
	case quant.Uniform:
		out += fmt.Sprintf("g%d", s.Groups.Size)
	default:
		out += s.Groups.Kind.String()
	}
	if s.Symmetric {
		out += " sym"
	} else {
		out += " asym"
	}
	return out + ", " + s.Recipe.String()
}
