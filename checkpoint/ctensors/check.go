package ctensors

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// check finds the module's sizes and compares all its tensors with them. It
// reads nothing but weight_shape.
func (l *layer) check(src safetensors.Source) error {
	l.Bytes = l.weight.Bytes
	if err := l.sizes(src); err != nil {
		return err
	}
	if l.N < 1 || l.K < 1 || l.N > quant.MaxDim || l.K > quant.MaxDim {
		return quant.Errorf(quant.ErrFormat, l.weight.Name, "N x K", "1 to 2^30 each", "%d x %d", l.N, l.K)
	}
	if l.packed {
		if l.weight.Type != safetensors.I32 {
			return quant.Errorf(quant.ErrFormat, l.weight.Name, "type", "I32", "%s", l.weight.Type)
		}
		if l.weight.Shape[0] != int64(l.N) || layouts(l.K, l.Bits, l.weight.Shape[1]) == 0 {
			err := quant.Errorf(quant.ErrFormat, l.weight.Name, "shape", l.packedShape(), "%v", l.weight.Shape)
			return module.Likeness{Bits: l.likeBits()}.Explain(err)
		}
	}
	if err := l.checkScales(src); err != nil {
		return err
	}
	if err := l.checkZeros(src); err != nil {
		return err
	}
	if err := l.checkIndex(src); err != nil {
		return err
	}
	if t, ok := src.Lookup(l.Name + suffixBias); ok {
		if _, err := module.FloatTensor(t, l.N); err != nil {
			return err
		}
		l.Module.Bias = true
		l.Bytes += t.Bytes
	}
	return nil
}

// likeBits returns the only bits that weight_packed's shape would fit, or 0.
func (l *layer) likeBits() (bits int) {
	for b := 1; b <= 8 && l.weight.Shape[0] == int64(l.N); b++ {
		if layouts(l.K, b, l.weight.Shape[1]) == 0 {
			continue
		}
		if bits != 0 {
			return 0
		}
		bits = b
	}
	return bits
}

// packedShape says which shapes of weight_packed would do.
func (l *layer) packedShape() string {
	d, o := denseWords(l.K, l.Bits), spacedWords(l.K, l.Bits)
	if d == o {
		return fmt.Sprintf("[%d %d] for %d-bit codes of [%d %d], as weight_shape says (%s)", l.N, d, l.Bits, l.N, l.K, l.said())
	}
	return fmt.Sprintf("[%d %d] or [%d %d] for %d-bit codes of [%d %d], as weight_shape says (%s)", l.N, d, l.N, o, l.Bits, l.N, l.K, l.said())
}

// sizes sets N and K.
func (l *layer) sizes(src safetensors.Source) error {
	if !l.packed {
		// A dimension beyond MaxDim is refused right after.
		l.N, l.K = int(min(l.weight.Shape[0], quant.MaxDim+1)), int(min(l.weight.Shape[1], quant.MaxDim+1))
		return nil
	}
	name := l.Name + suffixShape
	t, ok := src.Lookup(name)
	if !ok {
		return quant.Errorf(quant.ErrFormat, name, "", "a tensor with N and K", "no such tensor")
	}
	if t.Type != safetensors.I64 && t.Type != safetensors.I32 {
		return quant.Errorf(quant.ErrFormat, name, "type", "I64 or I32", "%s", t.Type)
	}
	if err := module.CheckShape(t, 2); err != nil {
		return err
	}
	var b [16]byte
	if err := src.ReadAt(b[:t.Bytes], name, 0); err != nil {
		return err
	}
	var nk [2]int64
	for i := range nk {
		if t.Type == safetensors.I64 {
			nk[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
		} else {
			nk[i] = int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		}
		if nk[i] < 1 || nk[i] > quant.MaxDim {
			return quant.Errorf(quant.ErrFormat, name, fmt.Sprintf("element %d", i), "1 to 2^30", "%d", nk[i])
		}
	}
	l.N, l.K = int(nk[0]), int(nk[1])
	l.Bytes += t.Bytes
	return nil
}

// checkScales finds the number of groups, which the scales' shape must agree
// with.
func (l *layer) checkScales(src safetensors.Source) error {
	name := l.Name + suffixScale
	t, ok := src.Lookup(name)
	if !ok {
		return quant.Errorf(quant.ErrFormat, name, "", "the scales of "+l.weight.Name, "no such tensor")
	}
	d, ok := t.Type.DType()
	if !ok {
		return quant.Errorf(quant.ErrFormat, name, "type", "F32, F16 or BF16", "%s", t.Type)
	}
	w := l.scheme.weights
	n := int64(l.N)
	l.groups, l.GroupSize = 1, -1
	var shapes [][]int64
	switch {
	case w.strategy == perTensor:
		shapes = [][]int64{{1}, {}, {1, 1}}
	case w.strategy == perChannel || w.orChannel && slices.Equal(t.Shape, []int64{n, 1}):
		shapes = [][]int64{{n, 1}, {n}}
	default:
		if l.groups = (l.K-1)/w.group + 1; l.groups > 1 {
			l.GroupSize = w.group
		}
		shapes = [][]int64{{n, int64(l.groups)}}
	}
	if !slices.ContainsFunc(shapes, func(s []int64) bool { return slices.Equal(s, t.Shape) }) {
		err := quant.Errorf(quant.ErrFormat, name, "shape", l.wantShape(shapes[0]), "%v", t.Shape)
		if len(t.Shape) != 2 || t.Shape[0] != n {
			return err
		}
		return module.Likeness{GroupSize: module.GroupSizeOf(int64(l.K), t.Shape[1])}.Explain(err)
	}
	l.scale, l.Scales = t, d
	l.Bytes += t.Bytes
	return nil
}

func (l *layer) wantShape(shape []int64) string {
	w := l.scheme.weights
	of := fmt.Sprintf("%v for strategy %s", shape, w.strategy)
	if w.strategy == perGroup {
		of += fmt.Sprintf(" of %d", w.group)
	}
	return fmt.Sprintf("%s and a weight of [%d %d] (%s)", of, l.N, l.K, l.said())
}

// said is where the bits and groups are said that shapes follow from.
func (l *layer) said() string {
	return fmt.Sprintf("scheme %q of %s", l.scheme.name, module.ShortName(l.config))
}

// checkZeros accepts zero points packed along N, or stored like the scales.
func (l *layer) checkZeros(src safetensors.Source) error {
	name := l.Name + suffixZero
	t, ok := src.Lookup(name)
	if !ok {
		if !l.Symmetric {
			return quant.Errorf(quant.ErrFormat, name, "", "the zero points of an asymmetric scheme", "no such tensor")
		}
		return nil
	}
	l.zero = t
	l.Bytes += t.Bytes
	switch {
	case t.Type == safetensors.I8:
		if !slices.Equal(t.Shape, l.scale.Shape) {
			return quant.Errorf(quant.ErrFormat, name, "shape", fmt.Sprintf("%v, as the scales have", l.scale.Shape), "%v", t.Shape)
		}
	case t.Type == safetensors.I32 && l.packed && l.scheme.weights.strategy != perTensor:
		if len(t.Shape) != 2 || t.Shape[1] != int64(l.groups) || layouts(l.N, l.Bits, t.Shape[0]) == 0 {
			return quant.Errorf(quant.ErrFormat, name, "shape",
				fmt.Sprintf("[%d %d] for %d-bit zero points of [%d %d] (%s)", denseWords(l.N, l.Bits), l.groups, l.Bits, l.N, l.groups, l.said()), "%v", t.Shape)
		}
	default:
		want := "I8"
		if l.packed && l.scheme.weights.strategy != perTensor {
			want = "I32 or I8"
		}
		return quant.Errorf(quant.ErrFormat, name, "type", want, "%s", t.Type)
	}
	return nil
}

func (l *layer) checkIndex(src safetensors.Source) error {
	name := l.Name + suffixIndex
	t, ok := src.Lookup(name)
	if !ok {
		if l.scheme.weights.reordered {
			return quant.Errorf(quant.ErrFormat, name, "", "the group index of a scheme with actorder group", "no such tensor")
		}
		return nil
	}
	if t.Type != safetensors.I32 && t.Type != safetensors.I64 {
		return quant.Errorf(quant.ErrFormat, name, "type", "I32 or I64", "%s", t.Type)
	}
	l.index, l.ActOrder = t, true
	l.Bytes += t.Bytes
	return module.CheckShape(t, l.K)
}
