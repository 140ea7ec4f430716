package modelslim

import (
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// readTransform reads FlatQuant's factors. What is stored as left_trans is
// multiplied from the left as its transpose.
func (r *reader) readTransform(l *layer, s *module.Scratch) (*quant.Transform, error) {
	stored, _ := l.left.Type.DType()
	t := &quant.Transform{L: int(l.left.Shape[0]), R: int(l.right.Shape[0]), Type: stored}
	if stored == dtype.F32 && r.model.Valid() {
		t.Type = r.model
	}
	left, err := r.readFactor(l.left, t.L, t.Type, s)
	if err != nil {
		return nil, err
	}
	t.P1 = make([]float32, len(left))
	for i := range t.L {
		for j := range t.L {
			t.P1[j*t.L+i] = left[i*t.L+j]
		}
	}
	if t.P2, err = r.readFactor(l.right, t.R, t.Type, s); err != nil {
		return nil, err
	}
	b, err := s.Read(bufFactor, r.src, l.clip.Name)
	if err != nil {
		return nil, err
	}
	clip, _ := l.clip.Type.DType()
	if t.Clip = clip.At(b, 0); !(t.Clip >= quant.MinClip && t.Clip <= 1) {
		return nil, quant.Errorf(quant.ErrFormat, l.clip.Name, "clip ratio", "2^-24 to 1", "%v", t.Clip)
	}
	return t, nil
}

// readFactor reads a square matrix of n rows, rounded to the type to.
func (r *reader) readFactor(t safetensors.Tensor, n int, to dtype.DType, s *module.Scratch) ([]float32, error) {
	b, err := s.Read(bufFactor, r.src, t.Name)
	if err != nil {
		return nil, err
	}
	stored, _ := t.Type.DType()
	p := make([]float32, n*n)
	dtype.Decode(stored, p, b)
	for i, v := range p {
		if p[i] = to.Round(v); p[i]-p[i] != 0 {
			return nil, quant.Errorf(quant.ErrFormat, t.Name, fmt.Sprintf("element [%d %d]", i/n, i%n), "a finite "+to.String(), "%v", v)
		}
	}
	return p, nil
}
