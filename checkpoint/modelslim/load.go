package modelslim

import (
	"context"
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// The buffers of a module.Scratch.
const (
	bufWeight = iota
	bufScale
	bufOffset
	bufFactor
	bufBias
)

// piece is how many bytes of a weight are read at once: few enough to stay in
// the cache until they are packed.
const piece = 1 << 18

// Load reads a module; see module.Format.
func (r *reader) Load(ctx context.Context, dst *quant.Linear, name string, s *module.Scratch) ([]module.Finding, error) {
	l, ok := r.layers[name]
	if !ok {
		return nil, module.Unknown(name)
	}
	if s == nil {
		s = new(module.Scratch)
	}
	groups := quant.OneGroup(l.K)
	if l.groups > 1 {
		var err error
		if groups, err = quant.UniformGroups(l.K, l.GroupSize); err != nil {
			return nil, err
		}
	}
	dst.Reset(name)
	w := &dst.Weight
	if err := w.Reset(quant.Form{N: l.N, K: l.K, Bits: l.bits, Scales: l.Scales, Groups: groups}); err != nil {
		return nil, err
	}
	if err := r.readScales(w, l, s); err != nil {
		return nil, err
	}
	if err := r.checkOffset(l, s); err != nil {
		return nil, err
	}
	if err := r.readCodes(ctx, w, l, s); err != nil {
		return nil, err
	}
	if err := module.ReadBias(dst, r.src, name+suffixBias, l.N, s, bufBias); err != nil {
		return nil, err
	}
	dst.Recipe = l.Recipe
	if !l.transform {
		return nil, nil
	}
	var findings []module.Finding
	if left, right, err := quant.Decompose(l.K); err != nil || left != int(l.left.Shape[0]) {
		text := fmt.Sprintf("%d x %d features; FlatQuant makes %d of %d x %d", l.left.Shape[0], l.right.Shape[0], l.K, left, right)
		if err != nil {
			text = fmt.Sprintf("%d x %d features; FlatQuant has no factors of %d", l.left.Shape[0], l.right.Shape[0], l.K)
		}
		findings = append(findings, module.Finding{Module: name, Tensor: l.left.Name, Text: text})
	}
	var err error
	dst.Transform, err = r.readTransform(l, s)
	return findings, err
}

func (r *reader) readScales(w *quant.Weight, l *layer, s *module.Scratch) error {
	b, err := s.Read(bufScale, r.src, l.scale.Name)
	if err != nil {
		return err
	}
	row := l.groups * l.Scales.Size()
	for n := range l.N {
		copy(w.ScaleRow(n), b[n*row:][:row])
	}
	if n, g, bad := w.NonFiniteScale(); bad {
		return quant.Errorf(quant.ErrFormat, l.scale.Name, fmt.Sprintf("scale of row %d, group %d", n, g), "a finite number", "%v", w.Scale(n, g))
	}
	return nil
}

// checkOffset refuses an offset that is not zero.
func (r *reader) checkOffset(l *layer, s *module.Scratch) error {
	if l.offset.Name == "" {
		return nil
	}
	b, err := s.Read(bufOffset, r.src, l.offset.Name)
	if err != nil {
		return err
	}
	t, _ := l.offset.Type.DType()
	for i := range len(b) / t.Size() {
		if v := t.At(b, i); v != 0 {
			return quant.Errorf(quant.ErrUnsupported, l.offset.Name, fmt.Sprintf("offset of row %d, group %d", i/l.groups, i%l.groups),
				"0: weights with an offset are not read, for the writer subtracts it and the device adds it", "%v", v)
		}
	}
	return nil
}

// readCodes packs the weight, a piece of whole rows at a time.
func (r *reader) readCodes(ctx context.Context, w *quant.Weight, l *layer, s *module.Scratch) error {
	step := min(l.N, max(1, piece/l.K))
	buf := s.Bytes(bufWeight, step*l.K)
	for n := 0; n < l.N; n += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := buf[:min(step, l.N-n)*l.K]
		if err := r.src.ReadAt(rows, l.weight.Name, int64(n)*int64(l.K)); err != nil {
			return err
		}
		for i := n; len(rows) > 0; rows, i = rows[l.K:], i+1 {
			if k := module.SignedRow(w.Row(i), rows[:l.K], l.bits); k >= 0 {
				half := 1 << (l.bits - 1)
				return quant.Errorf(quant.ErrFormat, l.weight.Name, fmt.Sprintf("code of row %d, column %d", i, k),
					fmt.Sprintf("%d to %d, as %s has", -half, half-1, l.Detail), "%d", int8(rows[k]))
			}
		}
	}
	return nil
}
