package cpu

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/quant"
)

// layout places the parts of a layer's packed weights in one buffer: offsets
// in bytes, each a multiple of 64. The codes come first: only they are at 0.
type layout struct {
	rows     int // the panel; or [N] rows of codes or plain elements, canonical
	scales   int // [N, groups] of the scale type; not with a panel
	zeros    int // [N, groups] int16; absent when implied, and with a panel
	bias     int // [N] float32, with a panel for whole tiles; absent without
	order    int // [K] int32: which feature of x stands at k; act-order only
	segments int // not with a panel
	p1, p2   int // the transform's matrices, float32
	total    int
}

func layoutOf(s *backend.Spec, p *panel) (l layout) {
	place := func(bytes int) int {
		at := l.total
		l.total += align(bytes)
		return at
	}
	n, coded := s.N, !s.Plain.Valid()
	switch {
	case p != nil:
		l.rows = place(p.tiles()*p.tileBytes() + asm.Beyond)
		n = p.tiles() * tileColumns
	case coded:
		l.rows = place(s.N * rowBytes(s))
		l.scales = place(s.N * s.Groups.Count * s.Scales.Size())
		if !s.Symmetric {
			l.zeros = place(s.N * s.Groups.Count * 2)
		}
		l.segments = place(sizesOf(s).segments * int(unsafe.Sizeof(goSegment{})))
	default:
		l.rows = place(s.N * rowBytes(s))
	}
	if coded && s.Groups.Kind == quant.ActOrder {
		l.order = place(s.K * 4)
	}
	if s.Bias {
		l.bias = place(n * 4)
	}
	if t := s.Transform; t != nil {
		l.p1 = place(t.L * t.L * 4)
		l.p2 = place(t.R * t.R * 4)
	}
	return l
}

// rowBytes is the bytes of a canonical row of codes or plain elements.
func rowBytes(s *backend.Spec) int {
	if s.Plain.Valid() {
		return s.K * s.Plain.Size()
	}
	return (s.K*s.Bits + 63) / 64 * 8
}

// fill copies to mem, which is zero, what is neither rows nor a panel.
func (l *layout) fill(mem []byte, from *quant.Linear, s *backend.Spec) {
	if l.order > 0 {
		copy(view[int32](mem[l.order:], s.K), from.Weight.Groups().Order())
	}
	if s.Bias {
		copy(view[float32](mem[l.bias:], s.N), from.Bias)
	}
	if s.Transform != nil {
		t := l.transform(mem, s)
		copy(t.P1, from.Transform.P1)
		copy(t.P2, from.Transform.P2)
	}
	if l.scales == 0 {
		return
	}
	row := s.Groups.Count * s.Scales.Size()
	for n := range s.N {
		copy(mem[l.scales+n*row:], from.Weight.ScaleRow(n))
		if !s.Symmetric {
			copy(view[int16](mem[l.zeros+2*n*s.Groups.Count:], s.Groups.Count), from.Weight.ZeroRow(n))
		}
	}
}

// transform is the one that is in mem, of a Spec that has one.
func (l *layout) transform(mem []byte, s *backend.Spec) *quant.Transform {
	t := s.Transform
	return &quant.Transform{
		L: t.L, R: t.R, Type: t.Type, Clip: t.Clip,
		P1: view[float32](mem[l.p1:], t.L*t.L), P2: view[float32](mem[l.p2:], t.R*t.R),
	}
}

func align(bytes int) int { return (bytes + 63) &^ 63 }

// inLanes reports whether sums over segments use eight lanes, which keeps the
// depth of sums near that of the exact kernel when groups are tiny.
func inLanes(s *backend.Spec, segments int) bool { return segments > s.K/8+16 }

// padded is K rounded up to whole rounds of eight lanes.
func padded(k int) int { return (k + 7) &^ 7 }

// tileRows is the number of rows of W that are unpacked at a time: so many
// that a tile stays in a core's second cache.
func tileRows(k int) int { return max(1, min(8, (1<<15)/padded(k))) }

// tileScratch is one worker's scratch for a tile: for each row padded(K) float32
// weights, or int32 codes minus zero points and the row's scales; then the
// codes of a row, one byte each.
func tileScratch(s *backend.Spec) int {
	row := align(padded(s.K) * 4)
	if s.Recipe.Kind != quant.Exact {
		row += align(s.Groups.Count * 4)
	}
	return tileRows(s.K)*row + align(padded(s.K))
}

// rowStride is the distance of prepared rows whose parts take so many bytes:
// an odd multiple of 64, so that rows spread over the sets of a cache.
func rowStride(bytes int) int { return align(bytes) | 64 }

// needs is what a layer takes besides its packed weights: for prepared rows, and for a
// worker in bytes.
type needs struct {
	rowShape
	scratch int
}

func needsOf(s *backend.Spec, p *panel, u *unit) needs {
	n := needs{rowShape: shapeOfRow(s, p)}
	own := 0
	if p == nil {
		own = tileScratch(s)
	} else {
		own = productScratch(p, u.kernels())
	}
	n.scratch = align(max(own, frontScratch(s, &n.rowShape, p != nil)))
	return n
}

// workspace is what the rows need, then each worker's scratch.
func (n *needs) workspace(s *backend.Spec, threads, rows int) int {
	if rows <= 0 {
		return 0
	}
	return n.bytes(min(rows, s.MaxRows)) + max(threads, 1)*n.scratch
}

// staging bounds what Prepare allocates on the way: group maps, and what each
// worker that packs needs besides.
func staging(s *backend.Spec, p *panel, threads int) int64 {
	b := 32 * int64(sizesOf(s).segments+s.Groups.Count+2)
	order := s.Groups.Kind == quant.ActOrder
	if order {
		b += 24*int64(s.K) + 4*int64(align(shapeOfRow(s, p).width)) // places of features, too
	}
	if p == nil {
		return b + 2*int64(max(threads, 1))*int64(padded(s.K))
	}
	b += 64 * int64(len(p.pieces))
	return b + int64(min(max(threads, 1), p.tiles()))*int64(p.packSpare(order))
}
