package awq

import (
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// find looks up the tensors of l and finds the layout that their types and
// shapes have, the one that the configuration says first.
func (l *layer) find(src safetensors.Source) error {
	w, ok := src.Lookup(l.name + ".qweight")
	if !ok {
		return module.Missing(l.name + ".qweight")
	}
	var layouts []Version
	switch {
	case w.Type == safetensors.I16:
		layouts = []Version{GEMVFast}
	case w.Type == safetensors.I32 && l.said == GEMV:
		layouts = []Version{GEMV, GEMM}
	case w.Type == safetensors.I32:
		layouts = []Version{GEMM, GEMV}
	default:
		return quant.Errorf(quant.ErrFormat, w.Name, "type", "I32, or I16 for gemv_fast", "%s", w.Type)
	}
	if len(w.Shape) != 2 || min(w.Shape[0], w.Shape[1]) < 1 || max(w.Shape[0], w.Shape[1]) > quant.MaxDim/8 {
		return quant.Errorf(quant.ErrFormat, w.Name, "shape", "a matrix of 1 to 2^27 rows and columns", "%v", w.Shape)
	}
	var first error
	for _, v := range layouts {
		try := *l
		try.Version, try.weight = v, w
		err := try.fit(src)
		if err == nil {
			*l = try
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// fit checks the tensors against the layout l.Version.
func (l *layer) fit(src safetensors.Source) error {
	rows, cols := int(l.weight.Shape[0]), int(l.weight.Shape[1])
	switch l.Version {
	case GEMM:
		l.k, l.n = rows, 8*cols
	case GEMV:
		l.n, l.k = rows, 8*cols
	case GEMVFast:
		if cols%fastBlock != 0 {
			return quant.Errorf(quant.ErrFormat, l.weight.Name, "columns", fmt.Sprintf("a multiple of %d, as gemv_fast has", fastBlock), "%d", cols)
		}
		l.n, l.k = 4*rows, cols
	}
	l.groups = 1
	if l.GroupSize > 0 {
		l.groups = (l.k-1)/l.GroupSize + 1
	}
	l.scale = l.name + ".scales"
	s, ok := src.Lookup(l.scale)
	if !ok {
		return module.Missing(l.scale)
	}
	var err error
	if l.scales, err = module.FloatTensor(s); l.scales == dtype.Invalid {
		return err
	}
	padded := l.padded(s)
	if err := l.fits(s, l.shape(padded)); err != nil {
		return err
	}
	return l.findZeros(src, padded)
}

// padded returns how many groups the scales have room for. Where a row is
// padded it has whole words of 8 groups, as many as a multiple of 1, 2 or 4,
// by the size of a group.
func (l *layer) padded(scales safetensors.Tensor) int {
	if l.Version == GEMM {
		return l.groups
	}
	words := (l.groups + 7) / 8
	for _, multiple := range []int{1, 2, 4} {
		p := (words + multiple - 1) / multiple * multiple * 8
		if slices.Equal(scales.Shape, l.shape(p)) {
			return p
		}
	}
	return 8 * words
}

// shape returns the shape of a tensor with one element for each group, of
// which there is room for so many, and output.
func (l *layer) shape(groups int) []int64 {
	if l.Version == GEMV {
		return []int64{int64(l.n), int64(groups)}
	}
	return []int64{int64(groups), int64(l.n)}
}

// findZeros looks up the zero points.
func (l *layer) findZeros(src safetensors.Source, padded int) error {
	l.zero = l.name + ".qzeros"
	z, ok := src.Lookup(l.zero)
	if !ok && l.Version == GEMVFast {
		z, ok = src.Lookup(l.name + ".scaled_zeros")
		if ok {
			l.zero = z.Name
		}
	}
	if !ok && l.ZeroPoints {
		return module.Missing(l.zero)
	}
	if !ok {
		l.zero = ""
		return nil
	}
	want := l.shape(padded)
	if l.Version == GEMVFast {
		var err error
		if l.zeros, err = module.FloatTensor(z); l.zeros == dtype.Invalid {
			return err
		}
		return l.fits(z, want)
	}
	if z.Type != safetensors.I32 {
		return quant.Errorf(quant.ErrFormat, z.Name, "type", "I32", "%s", z.Type)
	}
	want[1] /= 8
	return l.fits(z, want)
}

// fits checks a shape and says what it follows from.
func (l *layer) fits(t safetensors.Tensor, shape []int64) error {
	if slices.Equal(t.Shape, shape) {
		return nil
	}
	from := fmt.Sprintf("K=%d, N=%d from qweight as %s; group_size %d of %s", l.k, l.n, l.Version, l.GroupSize, module.ShortName(l.GroupSizeFrom))
	err := quant.Errorf(quant.ErrFormat, t.Name, "shape", fmt.Sprintf("%v (%s)", shape, from), "%v", t.Shape)
	if t.Name != l.scale || len(t.Shape) != 2 {
		return err
	}
	like := module.Likeness{}
	switch {
	case t.Shape[1] == l.weight.Shape[1]:
		like.Format = "gptq"
	case l.Version == GEMM && t.Shape[1] == int64(l.n):
		like.GroupSize = module.GroupSizeOf(int64(l.k), t.Shape[0])
	}
	return like.Explain(err)
}
