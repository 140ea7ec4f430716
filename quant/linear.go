package quant

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// Linear is one linear layer in canonical form: y = x·Wᵀ + bias, with the
// recipe that its checkpoint asks for the activations.
//
// Its buffers are reusable: a loader that is given a Linear fills it anew and
// keeps its memory. A Linear may be read by several goroutines at once.
type Linear struct {
	Name      string
	Weight    Weight
	Bias      []float32   // [N], widened exactly from the file's type; nil when there is none
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

// Reset empties l but keeps its memory.
func (l *Linear) Reset(name string) {
	*l = Linear{Name: name, Weight: l.Weight, Bias: l.Bias[:0]}
}

// ResizeBias gives Bias n elements, reusing its memory.
func (l *Linear) ResizeBias(n int) {
	if cap(l.Bias) < n {
		l.Bias = make([]float32, n)
	}
	l.Bias = l.Bias[:n]
}

// HasBias reports whether a bias is added.
func (l *Linear) HasBias() bool { return len(l.Bias) > 0 }

// Check reports parts of l that do not fit together, or numbers that are not
// finite: bias length, transform sizes, recipe without its transform.
func (l *Linear) Check() error {
	n, k := l.Weight.N(), l.Weight.K()
	if n == 0 || k == 0 {
		return Errorf(ErrShape, l.Name, "weight", "a form", "empty")
	}
	if l.HasBias() && len(l.Bias) != n {
		return Errorf(ErrShape, l.Name, "bias", itoa(n)+" elements", "%d elements", len(l.Bias))
	}
	for i, b := range l.Bias {
		if math.IsNaN(float64(b)) || math.IsInf(float64(b), 0) {
			return Errorf(ErrRange, l.Name, "bias["+itoa(i)+"]", "a finite number", "%v", b)
		}
	}
	if row, g, bad := l.Weight.NonFiniteScale(); bad {
		return Errorf(ErrRange, l.Name, "scale of row "+itoa(row)+", group "+itoa(g), "a finite number", "%v", l.Weight.Scale(row, g))
	}
	if _, plain := l.Weight.Plain(); plain && l.Recipe.Kind != Exact {
		return Errorf(ErrUnsupported, l.Name, "recipe of a plain weight", Exact.String(), "%v", l.Recipe)
	}
	if (l.Recipe.Kind == Int4FlatQuant) != (l.Transform != nil) {
		return Errorf(ErrUnsupported, l.Name, "recipe", "a transform with "+Int4FlatQuant.String()+" and only there", "%v", l.Recipe)
	}
	if l.Transform != nil {
		return l.Transform.Check(l.Name, k)
	}
	return nil
}
