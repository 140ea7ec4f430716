package quant

import "github.com/bitlane/bitlane/dtype"

// Linear is one linear layer in canonical form: y = x·Wᵀ + bias, with the
// recipe that its checkpoint asks for the activations.
//
// Its buffers are reusable: a loader that is given a Linear fills it anew and
// keeps its memory. A Linear may be read by several goroutines at once.
type Linear struct {
	Name      string
	Weight    Weight
	Bias      []float32   // [N], widened exactly from the file's type; empty when there is none
	Recipe    Recipe      // what the checkpoint was made for
	Transform *Transform  // applied to x before its quantization (Int4FlatQuant); nil otherwise
	DType     dtype.DType // the model's activation type as the checkpoint states it; Invalid when it does not

	// The whole layer that this is a part of. Select fills these; for a whole
	// layer the sizes are 0 and the ranges nil.
	FullN, FullK int
	NRanges      []Range // the rows of the whole layer that this part owns, in order
	KRanges      []Range // the features of the whole layer that this part reads, in order
}

// Full returns the N and K of the whole layer.
func (l *Linear) Full() (n, k int) {
	n, k = l.FullN, l.FullK
	if n == 0 {
		n = l.Weight.N()
	}
	if k == 0 {
		k = l.Weight.K()
	}
	return n, k
}

// Reset empties l, so that Check refuses it until it is filled again, but keeps
// its memory.
func (l *Linear) Reset(name string) {
	w := &l.Weight
	*l = Linear{
		Name:   name,
		Weight: Weight{data: w.data[:0], scales: w.scales[:0], zeros: w.zeros[:0]},
		Bias:   l.Bias[:0],
	}
}

// ResizeBias gives Bias n elements, reusing its memory; the caller sets them
// all.
func (l *Linear) ResizeBias(n int) {
	if cap(l.Bias) < n {
		l.Bias = make([]float32, n)
	}
	l.Bias = l.Bias[:n]
}

// HasBias reports whether a bias is added.
func (l *Linear) HasBias() bool { return len(l.Bias) > 0 }

// Check reports parts of l that do not fit together, or numbers that are not
// finite: the length of the bias, the sizes of the transform, a recipe without
// its transform, ranges that are not those of a part of this size. A nil l is ErrShape.
func (l *Linear) Check() error {
	if l == nil {
		return missing("layer")
	}
	n, k := l.Weight.N(), l.Weight.K()
	if n == 0 || k == 0 {
		return Errorf(ErrShape, l.Name, "weight", "a form", "empty")
	}
	if err := l.checkPart(); err != nil {
		return err
	}
	if l.HasBias() && len(l.Bias) != n {
		return Errorf(ErrShape, l.Name, "bias", itoa(n)+" elements", "%d elements", len(l.Bias))
	}
	for i, b := range l.Bias {
		if b-b != 0 {
			return Errorf(ErrRange, l.Name, "bias["+itoa(i)+"]", "a finite number", "%v", b)
		}
	}
	if row, g, bad := l.Weight.NonFiniteScale(); bad {
		return Errorf(ErrRange, l.Name, "scale of row "+itoa(row)+", group "+itoa(g), "a finite number", "%v", l.Weight.Scale(row, g))
	}
	if err := l.CheckRecipe(l.Recipe); err != nil {
		return err
	}
	if l.Transform != nil {
		return l.Transform.Check(l.Name, k)
	}
	return nil
}

// missing is the error of an argument that is nil.
func missing(what string) error { return Errorf(ErrShape, what, "", "one", "none") }

// CheckRecipe reports a recipe, l's own or another, that the layer cannot have:
// one that is wrong in itself, one that quantizes the input of a plain weight,
// Int4FlatQuant without a transform or a transform with any other.
func (l *Linear) CheckRecipe(r Recipe) error {
	_, plain := l.Weight.Plain()
	return r.CheckFor(l.Name, plain, l.Transform != nil)
}

// checkPart reports sizes and ranges that contradict each other.
func (l *Linear) checkPart() error {
	fullN, fullK := l.Full()
	for _, a := range []struct {
		name       string
		part, full int
		ranges     []Range
	}{
		{"N", l.Weight.N(), fullN, l.NRanges},
		{"K", l.Weight.K(), fullK, l.KRanges},
	} {
		if a.ranges == nil {
			if a.part != a.full {
				return Errorf(ErrShape, l.Name, a.name+" of the whole layer", itoa(a.part)+", there being no ranges", "%d", a.full)
			}
			continue
		}
		if err := CheckRanges(a.ranges, a.full); err != nil {
			return named(err, l.Name)
		}
		if TotalLen(a.ranges) != a.part {
			return Errorf(ErrShape, l.Name, "ranges of "+a.name, itoa(a.part)+" in all", "%d", TotalLen(a.ranges))
		}
	}
	return nil
}
