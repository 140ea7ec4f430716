package cpu

import (
	"slices"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// front prepares rows of x for the kernels: float32 values (exact), or codes
// minus zero point with their scales, in the order of the packed weights.
type front struct {
	recipe    quant.Recipe
	x         dtype.DType
	k         int
	row       int              // bytes of a prepared row
	order     []int32          // nil: as x has them
	act       quant.Groups     // the recipe's groups, features as x has them
	transform *quant.Transform // nil: none
}

// newFront keeps nothing of l: the matrices and the order are copied to mem.
func newFront(mem []byte, at *layout, l *quant.Linear, s *backend.Spec) *front {
	f := &front{recipe: s.Recipe, x: s.X, k: s.K, row: int(rowBytes(s)), act: s.Recipe.ActGroups(l.Weight.Groups())}
	if s.Groups.Kind == quant.ActOrder {
		f.order = view[int32](mem[at.order:], s.K)
		copy(f.order, l.Weight.Groups().Order())
	}
	if t := l.Transform; t != nil {
		own := *t
		own.P1 = view[float32](mem[at.p1:], len(t.P1))
		own.P2 = view[float32](mem[at.p2:], len(t.P2))
		copy(own.P1, t.P1)
		copy(own.P2, t.P2)
		f.transform = &own
	}
	return f
}

// same reports whether both fronts prepare the same rows.
func (f *front) same(g *front) bool {
	return f.recipe == g.recipe && f.x == g.x && f.k == g.k && f.row == g.row &&
		slices.Equal(f.order, g.order) && f.act.Count() == g.act.Count() &&
		slices.Equal(f.act.Index(nil), g.act.Index(nil)) && sameTransform(f.transform, g.transform)
}

func sameTransform(a, b *quant.Transform) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.L == b.L && a.R == b.R && a.Type == b.Type && a.Clip == b.Clip &&
		slices.Equal(a.P1, b.P1) && slices.Equal(a.P2, b.P2)
}

// values returns a prepared row as the exact kernels read it.
func (f *front) values(row []byte) []float32 { return view[float32](row, padded(f.k)) }

// codes returns a prepared row as the other kernels read it.
func (f *front) codes(row []byte) (codes []int16, scales []float32) {
	at := int(align(int64(padded(f.k)) * 2))
	return view[int16](row, f.k), view[float32](row[at:], f.act.Count())
}

// prepare writes one row of x, of the front's type, to dst. scratch is
// frontBytes.
func (f *front) prepare(dst, x, scratch []byte) {
	if f.recipe.Kind == quant.Exact {
		f.widen(f.values(dst), x, scratch)
		return
	}
	out, scales := f.codes(dst)
	codes := view[int8](scratch[align(int64(padded(f.k))*4):], f.k)
	zero := int16(f.quantize(codes, scales, x, scratch))
	if f.order == nil {
		for i, c := range codes {
			out[i] = int16(c) - zero
		}
		return
	}
	for i, k := range f.order {
		out[i] = int16(codes[k]) - zero
	}
}

func (f *front) widen(dst []float32, x, scratch []byte) {
	clear(dst[f.k:])
	if f.order == nil {
		dtype.Decode(f.x, dst[:f.k], x)
		return
	}
	wide := view[float32](scratch, f.k)
	dtype.Decode(f.x, wide, x)
	for i, k := range f.order {
		dst[i] = wide[k]
	}
}

// quantize writes the codes of a row of x in the order of x, and its scales.
// scratch is frontBytes, of which codes may be the part that prepare uses.
func (f *front) quantize(codes []int8, scales []float32, x, scratch []byte) (zero int32) {
	wide := view[float32](scratch, f.k)
	dtype.Decode(f.x, wide, x)
	if f.transform == nil {
		return f.recipe.QuantizeRow(f.x, &f.act, codes, scales, wide)
	}
	k := int64(padded(f.k))
	scratch = scratch[align(k*4)+align(k):]
	out, between := view[float32](scratch, f.k), view[float32](scratch[align(k*4):], f.k)
	f.transform.Apply(f.x, out, wide, between)
	scales[0] = f.transform.QuantizeRow(codes, out)
	return 0
}
