package cpu

import (
	"math"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/peak"
	"github.com/bitlane/bitlane/quant"
)

// front prepares rows of x for the matrices that share it. A prepared row is
// its values, then, for codes, a correction for each segment (int8 only) and
// the scales, each 64-byte aligned. Rows for tiles of pairs have their scales elsewhere.
type front struct {
	rowShape
	plan   *rows.Plan
	k      int
	cost   float64 // see costOfRow
	act    int     // activation groups, 0 without codes
	values rows.Values

	order     []int32      // of the features; nil: as x has them
	placer    *rows.Placer // for several rows in that order; nil: there is none, or no order
	transform *quant.Transform
}

// rowShape is the size of a prepared row and of its parts, in bytes but for
// the counts.
type rowShape struct {
	width        int // values
	segments     int
	sideAt       int // to the corrections; 0: none
	scalesAt     int
	scales       int  // how many: none, one, or one for each segment
	perRow       bool // there is one, which the sums of the row are multiplied with
	row          int  // of all
	parts        int  // rows of kernels that a row of x is
	leastTiled   int  // rows of kernels from which the values stand in tiles, of so many features
	tileFeatures int  // 0: never
	tiles        int  // of the row's values in tiles
	pairs        bool // in tiles they are bfloat16, those of a tile in the order of halves, and few other rows are kept
	halves       rows.Halves
}

// shapeOfRow is the rowShape for a Spec and a panel, or nil for the kernels in
// plain Go.
func shapeOfRow(s *backend.Spec, p *panel) (r rowShape) {
	r.parts = 1
	if p != nil {
		r.parts = p.parts
		r.width, r.segments = p.padded, len(p.pieces)
	} else {
		r.width, r.segments = padded(s.K), 1
		if s.Recipe.Kind == quant.Int8Group {
			z := sizesOf(s)
			r.width, r.segments = z.width, z.segments
		}
	}
	r.row = align(r.width * valuesOf(s, p).Size())
	if p != nil && p.tileFeatures > 0 {
		r.leastTiled, r.tileFeatures, r.tiles = p.leastTiled(), p.tileFeatures, r.width*p.tileValue()
	}
	if p != nil && p.kind == tilePanel {
		r.pairs, r.halves = true, rows.HalvesOf(p.bits)
	}
	if s.Recipe.Kind == quant.Exact {
		if tamed(s, p) {
			r.scales, r.perRow = 1, true
			if !r.pairs {
				r.scalesAt = r.row
				r.row += align(4)
			}
		}
		return r
	}
	if p != nil && p.kind == bytePanel {
		r.sideAt = r.row
		r.row += align(r.segments * 4)
	}
	r.scales, r.perRow = 1, true
	if s.Recipe.Kind == quant.Int8Group {
		r.scales, r.perRow = r.segments, false
	}
	r.scalesAt = r.row
	r.row += align(r.scales * 4)
	return r
}

// stride is the bytes from a prepared row to the next.
func (r *rowShape) stride() int { return rowStride(r.row) }

func valuesOf(s *backend.Spec, p *panel) rows.Values {
	switch {
	case p != nil && p.kind == pairPanel:
		return rows.BFloat16
	case s.Recipe.Kind == quant.Exact:
		return rows.Float32
	case p == nil || p.kind == wordPanel:
		return rows.Int16
	}
	return rows.Int8
}

// frontScratch is one worker's scratch for preparing rows, fast ones by a unit.
func frontScratch(s *backend.Spec, r *rowShape, fast bool) int {
	groups, left, right := 0, 0, 0
	if s.Recipe.Kind != quant.Exact {
		groups = r.segments // at most
	}
	if t := s.Transform; t != nil {
		left, right = t.L, t.R
	}
	n := rows.Scratch(s.K, r.width, r.segments, groups, left, right)
	if r.pairs { // and for a row that is scaled before it goes to tiles
		n += r.row
	}
	if fast && s.Groups.Kind == quant.ActOrder && rows.Placeable(s.Recipe.Kind) {
		n = rows.PlaceScratch(s.K, r.width, s.X.Size(), n)
	}
	return n
}

// newFront reads the order and the transform from mem. The order must be that
// of a map of groups.
func newFront(mem []byte, at *layout, s *backend.Spec, p *panel, isa rows.ISA) (*front, error) {
	f := &front{rowShape: shapeOfRow(s, p), k: s.K, cost: costOfRow(s, isa), values: valuesOf(s, p)}
	form := rows.Form{ISA: isa, Gathers: tuningOf(peak.ThisCore()).gathers, Recipe: s.Recipe, X: s.X, K: s.K, Width: f.width, Values: f.values}
	if at.order > 0 {
		form.Order = view[int32](mem[at.order:], s.K)
	}
	groups, err := s.GroupMap(form.Order)
	if err != nil {
		return nil, err
	}
	form.Act = s.Recipe.ActGroups(&groups)
	f.act = form.Act.Count()
	if s.Transform != nil {
		form.Transform = at.transform(mem, s)
		f.transform = form.Transform
	}
	if p == nil {
		form.Segments = goRowSegments(s)
	} else {
		form.Zeros, form.Zero = p.form.Zeros(), int32(p.zero)
		form.Swapped = p.kind == pairPanel && p.bits == 4
		for _, e := range p.pieces {
			form.Segments = append(form.Segments, rows.Segment{Lo: e.lo, Hi: e.hi, At: e.at})
		}
	}
	f.order = form.Order
	if f.plan, err = rows.New(form); err != nil {
		return nil, err
	}
	f.placer = f.plan.Placer()
	return f, nil
}

// same reports whether both fronts prepare the same rows.
func (f *front) same(g *front) bool { return f.rowShape == g.rowShape && f.plan.Same(g.plan) }

// floats returns a prepared row as the exact kernels in plain Go read it.
func (f *front) floats(row []byte) []float32 { return view[float32](row, f.width) }

// words returns a prepared row as the integer kernels in plain Go read it.
func (f *front) words(row []byte) (codes []int16, scales []float32) {
	return view[int16](row, f.width), f.rowScales(row)
}

func (f *front) rowScales(row []byte) []float32 { return view[float32](row[f.scalesAt:], f.scales) }

// prepare writes one row of x, of the front's type, or as its plan reads them, to dst.
func (f *front) prepare(plan *rows.Plan, dst, x, scratch []byte) {
	to := rows.Dst{Values: dst[:f.width*f.values.Size()]}
	if f.sideAt > 0 {
		to.Side = view[int32](dst[f.sideAt:], f.segments)
	}
	switch f.values {
	case rows.Float32:
		plan.Row(to, x, scratch)
		if f.scales > 0 {
			f.rowScales(dst)[0] = tame(f.floats(dst))
		}
		return
	case rows.BFloat16:
		plan.Row(to, x, scratch)
		if f.scales > 0 {
			f.rowScales(dst)[0] = tamePairs(to.Values)
		}
		return
	}
	to.Scales = f.rowScales(dst)
	plan.Row(to, x, scratch)
}

// Exact sums over a panel of codes are of x·(u−z), up to 2¹⁵ times as large as x:
// for x near the largest values of its type they leave float32 although y does
// not. Rows with such x are computed 2⁻¹⁶ times as large, which is exact but for
// elements below 2⁻¹¹⁰: those lose up to 2⁻¹³⁴ each, which Numerics states.
const (
	hugeBits   = (127 + 112) << 23 // 2¹¹²
	infBits    = 0xff << 23
	shrink     = 1.0 / (1 << 16)
	flushBelow = 0x1p-110 // 2⁻¹³⁴·(u−z)·s for scales up to 2¹⁶
)

// tamed reports whether rows may be computed smaller than they are. Values of
// float16 are never that large, and plain weights are not larger than they are.
func tamed(s *backend.Spec, p *panel) bool {
	return p != nil && p.kind.exact() && p.bits > 0 && s.X != dtype.F16
}

// tame returns what the sums of a row are to be multiplied with, a power of
// two, after it has divided the row by that.
func tame(x []float32) (scale float32) {
	top := uint32(0)
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^(1<<31))
	}
	if !tooLarge(top) {
		return 1
	}
	shrinkRow(x)
	return 1 / shrink
}

// tooLarge says that a row whose largest magnitude has these bits is to be made smaller.
func tooLarge(top uint32) bool { return hugeBits <= top && top < infBits }

func shrinkRow(x []float32) {
	for i := range x {
		x[i] *= shrink
	}
}
