package quant

import (
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/dtype"
)

// Concat joins layers that read the same input into one, their rows one after
// another: q/k/v, gate/up. Selecting the rows of a part gives it back bit for
// bit, but for zero points that are explicit then: where any part has explicit
// ones, those of the others are written out. Where any part has a bias, that of
// the others is 0.
//
// The parts must agree in K, in the group of every feature, bits or plain
// type, scale type, recipe, transform and in the features that a cut along K
// left them; otherwise the error names the two layers and what differs, of
// class ErrShape, ErrDType or, for recipe and transform, ErrUnsupported. DType
// is what they agree on, else Invalid. The whole layer, of which the result is
// a part if any of parts is one, is the concatenation of the whole layers.
func Concat(name string, parts ...*Linear) (*Linear, error) {
	if len(parts) == 0 {
		return nil, Errorf(ErrShape, name, "parts", "at least one", "none")
	}
	if i := slices.Index(parts, nil); i >= 0 {
		return nil, Errorf(ErrShape, name, "part "+itoa(i), "a layer", "nil")
	}
	first := parts[0]
	f := first.Weight.Form()
	c := &Linear{Name: name, Recipe: first.Recipe, Transform: first.Transform, DType: first.DType, KRanges: first.KRanges}
	_, c.FullK = first.Full()
	f.N = 0
	bias := false
	for _, p := range parts {
		if err := joinable(name, first, p); err != nil {
			return nil, err
		}
		f.N += p.Weight.N()
		f.Zeros = f.Zeros || p.Weight.form.Zeros
		bias = bias || p.HasBias()
		if p.DType != c.DType {
			c.DType = dtype.Invalid
		}
	}
	if err := c.Weight.Reset(f); err != nil {
		return nil, named(err, name)
	}
	if bias {
		c.Bias = make([]float32, f.N)
	}
	at, whole := 0, true
	for _, p := range parts {
		c.put(p, at)
		fullN, _ := p.Full()
		whole = whole && p.NRanges == nil
		c.NRanges = append(c.NRanges, shifted(p.NRanges, p.Weight.N(), c.FullN)...)
		c.FullN += fullN
		at += p.Weight.N()
	}
	if whole {
		c.NRanges = nil
	}
	return c, nil
}

// put copies the rows of p, which fit, to the rows of l from at on.
func (l *Linear) put(p *Linear, at int) {
	dst, src := &l.Weight, &p.Weight
	copy(dst.data[at*dst.stride:], src.data)
	groups := src.form.Groups.Count()
	copy(dst.scales[at*groups*src.form.Scales.Size():], src.scales)
	if dst.form.Zeros {
		zeros := dst.zeros[at*groups:][:src.form.N*groups]
		if copy(zeros, src.zeros) == 0 {
			for i := range zeros {
				zeros[i] = int16(src.Zero(0, 0))
			}
		}
	}
	if l.HasBias() {
		copy(l.Bias[at:], p.Bias)
	}
}

// shifted returns ranges, nil for [0, n), offset by base.
func shifted(ranges []Range, n, base int) []Range {
	if ranges == nil {
		return []Range{{base, base + n}}
	}
	out := make([]Range, len(ranges))
	for i, r := range ranges {
		out[i] = Range{base + r.Start, base + r.End}
	}
	return out
}

// joinable reports the first thing in which p differs from first.
func joinable(name string, first, p *Linear) error {
	a, b := first.Weight.Form(), p.Weight.Form()
	_, wholeA := first.Full()
	_, wholeB := p.Full()
	differ := func(class error, field string, has, want any) error {
		return Errorf(class, name, field+" of "+p.Name, fmt.Sprintf("%v as in %s", want, first.Name), "%v", has)
	}
	switch {
	case a.N == 0 || b.N == 0:
		return differ(ErrShape, "rows", b.N, "at least 1, as many")
	case a.K != b.K:
		return differ(ErrShape, "K", b.K, a.K)
	case wholeA != wholeB:
		return differ(ErrShape, "K of the whole", wholeB, wholeA)
	case !slices.Equal(first.KRanges, p.KRanges):
		return differ(ErrShape, "features", p.KRanges, first.KRanges)
	case a.Plain != b.Plain:
		return differ(ErrDType, "elements", elements(b), elements(a))
	case a.Bits != b.Bits:
		return differ(ErrShape, "bits", b.Bits, a.Bits)
	case a.Scales != b.Scales:
		return differ(ErrDType, "scale type", b.Scales, a.Scales)
	case !a.Groups.Equal(&b.Groups):
		field, ga, gb := firstDifference(&a.Groups, &b.Groups)
		return differ(ErrShape, field, gb, ga)
	case first.Recipe.Kind != p.Recipe.Kind || first.Recipe.ActGroup() != p.Recipe.ActGroup():
		return differ(ErrUnsupported, "recipe", p.Recipe, first.Recipe)
	case !first.Transform.Equal(p.Transform):
		return differ(ErrUnsupported, "transform", p.Transform, fmt.Sprintf("%v with the same numbers", first.Transform))
	case p.HasBias() && len(p.Bias) != b.N:
		return Errorf(ErrShape, name, "bias of "+p.Name, itoa(b.N)+" elements", "%d elements", len(p.Bias))
	}
	return nil
}

func elements(f Form) string {
	if f.Plain.Valid() {
		return f.Plain.String()
	}
	return itoa(f.Bits) + "-bit codes"
}

// firstDifference names the first feature that two maps of the same K give
// different groups, or what else they differ in.
func firstDifference(a, b *Groups) (field string, ga, gb int) {
	ia, ib := a.Index(nil), b.Index(nil)
	for k := range ia {
		if ia[k] != ib[k] {
			return "group of feature " + itoa(k), int(ia[k]), int(ib[k])
		}
	}
	return "number of groups", a.Count(), b.Count()
}
