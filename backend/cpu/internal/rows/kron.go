package rows

import "github.com/bitlane/bitlane/quant"

// kron is a transform ready for products in panels.
type kron struct {
	*quant.Transform
	p2   []float32 // P2 in panels
	wide bool      // two panels at a time
}

func newKron(isa ISA, t *quant.Transform) *kron {
	k := &kron{Transform: t, wide: isa == AVX512 && hasAVX512(), p2: make([]float32, panels(t.R)*t.R*panelColumns)}
	for i := range t.R {
		for j, v := range t.P2[i*t.R:][:t.R] {
			k.p2[(j/panelColumns*t.R+i)*panelColumns+j%panelColumns] = v
		}
	}
	return k
}
