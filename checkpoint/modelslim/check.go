package modelslim

import (
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// check finds the module's sizes and compares all its tensors with them. It
// reads nothing.
func (r *reader) check(d *description, l *layer) error {
	var ok bool
	if l.weight, ok = r.src.Lookup(l.Name + suffixWeight); !ok {
		return module.Missing(l.Name + suffixWeight)
	}
	w := l.weight
	if w.Type != safetensors.I8 {
		return quant.Errorf(quant.ErrFormat, w.Name, "type", "I8, as "+l.Detail+" has", "%s", w.Type)
	}
	if len(w.Shape) != 2 || min(w.Shape[0], w.Shape[1]) < 1 || max(w.Shape[0], w.Shape[1]) > quant.MaxDim {
		return quant.Errorf(quant.ErrFormat, w.Name, "shape", "a matrix of 1 to 2^30 rows and columns", "%v", w.Shape)
	}
	l.N, l.K = int(w.Shape[0]), int(w.Shape[1])
	l.Bytes = w.Bytes
	for _, suffix := range []string{suffixScale, suffixOffset, suffixLeft, suffixRight} {
		if t := r.typeOf(d, l.Name+suffix); t != "" && t != l.Detail {
			return quant.Errorf(quant.ErrFormat, d.name, l.Name+suffix, fmt.Sprintf("%s, as %s is", l.Detail, w.Name), "%s", t)
		}
	}
	if err := r.checkScales(d, l); err != nil {
		return err
	}
	if l.transform {
		if err := r.checkTransform(l); err != nil {
			return err
		}
	}
	if t, ok := r.src.Lookup(l.Name + suffixBias); ok {
		if _, err := module.FloatTensor(t, l.N); err != nil {
			return err
		}
		l.Module.Bias = true
		l.Bytes += t.Bytes
	}
	return nil
}

// checkScales finds the number of groups. The description has one group size
// for all modules; that of a module is told by the shape of its scales, and
// the two must agree.
func (r *reader) checkScales(d *description, l *layer) error {
	t, ok := r.src.Lookup(l.Name + suffixScale)
	if !ok {
		return module.Missing(l.Name + suffixScale)
	}
	if l.Scales, ok = t.Type.DType(); !ok {
		return quant.Errorf(quant.ErrFormat, t.Name, "type", "F32, F16 or BF16", "%s", t.Type)
	}
	n := int64(l.N)
	l.groups, l.GroupSize = 1, -1
	shapes := [][]int64{{n, 1}, {n}}
	want := fmt.Sprintf("[%d 1]", n)
	if l.scheme.groups && d.groupSize > 0 {
		groups := (int64(l.K)-1)/int64(d.groupSize) + 1
		if slices.Equal(t.Shape, []int64{n, groups}) && groups > 1 {
			l.groups, l.GroupSize = int(groups), d.groupSize
		}
		shapes = append(shapes, []int64{n, groups})
		want += fmt.Sprintf(" or [%d %d]", n, groups)
	}
	if !slices.ContainsFunc(shapes, func(s []int64) bool { return slices.Equal(s, t.Shape) }) {
		size := fmt.Sprintf("group_size %d of", d.groupSize)
		if d.groupSize == 0 {
			size = "no group_size in"
		}
		err := quant.Errorf(quant.ErrFormat, t.Name, "shape",
			fmt.Sprintf("%s for %s, a weight of [%d %d] and %s %s", want, l.Detail, l.N, l.K, size, module.ShortName(d.name)), "%v", t.Shape)
		if !l.scheme.groups || len(t.Shape) != 2 || t.Shape[0] != n {
			return err
		}
		return module.Likeness{GroupSize: module.GroupSizeOf(int64(l.K), t.Shape[1])}.Explain(err)
	}
	l.scale = t
	l.Bytes += t.Bytes
	if t, ok = r.src.Lookup(l.Name + suffixOffset); !ok {
		return nil
	}
	if _, ok := t.Type.DType(); !ok {
		return quant.Errorf(quant.ErrFormat, t.Name, "type", "F32, F16 or BF16", "%s", t.Type)
	}
	if !slices.Equal(t.Shape, l.scale.Shape) {
		return quant.Errorf(quant.ErrFormat, t.Name, "shape", fmt.Sprintf("%v, as the scales have", l.scale.Shape), "%v", t.Shape)
	}
	l.offset = t
	l.Bytes += t.Bytes
	return nil
}

// checkTransform compares the factors with K. L and R are what the tensors
// say; that FlatQuant would have chosen others is found when they are read.
func (r *reader) checkTransform(l *layer) error {
	for _, f := range []struct {
		suffix string
		tensor *safetensors.Tensor
	}{{suffixLeft, &l.left}, {suffixRight, &l.right}} {
		t, ok := r.src.Lookup(l.Name + f.suffix)
		if !ok {
			return module.Missing(l.Name + f.suffix)
		}
		if _, ok := t.Type.DType(); !ok {
			return quant.Errorf(quant.ErrFormat, t.Name, "type", "F32, F16 or BF16", "%s", t.Type)
		}
		if len(t.Shape) != 2 || t.Shape[0] != t.Shape[1] || t.Shape[0] < 1 || t.Shape[0] > int64(l.K) {
			return quant.Errorf(quant.ErrFormat, t.Name, "shape", fmt.Sprintf("a square matrix of at most %d rows", l.K), "%v", t.Shape)
		}
		*f.tensor = t
		l.Bytes += t.Bytes
	}
	if l.left.Type != l.right.Type {
		return quant.Errorf(quant.ErrFormat, l.right.Name, "type", fmt.Sprintf("%s, as %s has", l.left.Type, l.left.Name), "%s", l.right.Type)
	}
	if l.left.Shape[0]*l.right.Shape[0] != int64(l.K) {
		return quant.Errorf(quant.ErrFormat, l.right.Name, "shape",
			fmt.Sprintf("factors of %d features, beside %s of %v", l.K, l.left.Name, l.left.Shape), "%v", l.right.Shape)
	}
	t, ok := r.src.Lookup(l.Name + suffixClip)
	if !ok {
		return module.Missing(l.Name + suffixClip)
	}
	if _, ok := t.Type.DType(); !ok {
		return quant.Errorf(quant.ErrFormat, t.Name, "type", "F32, F16 or BF16", "%s", t.Type)
	}
	if len(t.Shape) > 1 || len(t.Shape) == 1 && t.Shape[0] != 1 {
		return quant.Errorf(quant.ErrFormat, t.Name, "shape", "[1]", "%v", t.Shape)
	}
	l.clip = t
	l.Bytes += t.Bytes
	return nil
}
