package cpu

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/quant"
)

// layer is one or, for a group, several packed weights behind one Apply.
type layer struct {
	*hostmem.Layer
	dev    *Device
	fronts []*front
	parts  []part
	n, k   int

	maxRows int
	scratch int // bytes of one worker's scratch

	mem []byte // the packed weights; a group has none of its own

	held    []*hostmem.Layer // a group's members
	release sync.Once
}

// part is packed weights and where they stand in the layer.
type part struct {
	matrix
	front  int // which front prepares x for it
	column int // first output
}

// newLayer completes the parts, which name their weights and fronts. A layer
// that quantizes x, in one way, shows its codes, and one that has memory its
// packed weights.
func newLayer(base *hostmem.Layer, dev *Device, mem []byte, fronts []*front, parts []part, scratch int, held []*hostmem.Layer) backend.Layer {
	s := base.Spec()
	l := &layer{Layer: base, dev: dev, mem: mem, fronts: fronts, parts: parts, n: s.N, k: s.K, maxRows: s.MaxRows, scratch: scratch, held: held}
	column := 0
	for i := range parts {
		parts[i].column = column
		column += parts[i].outputs()
	}
	shows := s.Recipe.Kind != quant.Exact && len(fronts) == 1
	switch {
	case mem != nil && shows:
		return keptCoded{kept{l}}
	case mem != nil:
		return kept{l}
	case shows:
		return coded{l}
	}
	return l
}

// Workspace implements backend.Layer: what each front prepares, then each worker's scratch.
func (l *layer) Workspace(rows int) int {
	if rows <= 0 {
		return 0
	}
	n := l.dev.pool.Threads() * l.scratch
	for _, f := range l.fronts {
		n += f.bytes(min(rows, l.maxRows))
	}
	return n
}

// Apply implements backend.Layer. It is complete on return.
func (l *layer) Apply(s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	if err := l.Enter(s, dst, x, ws, l.Workspace(x.Rows)); err != nil {
		return err
	}
	defer l.Leave()
	if x.Rows == 0 {
		return nil
	}
	c := l.dev.borrow()
	defer l.dev.giveBack(c)
	c.l, c.rows = l, x.Rows
	c.x, c.xStep = x.Host(), x.Stride*x.DType.Size()
	c.y, c.yStep, c.yType = dst.Host(), dst.Stride*dst.DType.Size(), dst.DType
	work := ws.Host()
	if c.x == nil || c.y == nil || work == nil { // closed since Enter looked
		return quant.Errorf(backend.ErrClosed, "x, dst or workspace", "", "open buffers", "closed")
	}
	c.divide(work)
	c.do()
	return nil
}

// Close implements backend.Layer.
func (l *layer) Close() error {
	err := l.Layer.Close()
	if errors.Is(err, backend.ErrBusy) {
		return err
	}
	l.release.Do(func() {
		for _, h := range l.held {
			h.Release()
		}
	})
	return err
}

func (l *layer) whole() *layer { return l }

// coded is a layer whose kernel quantizes x, keptCoded one of one part.
type (
	coded     struct{ *layer }
	keptCoded struct{ kept }
)

var (
	_ backend.Coder = coded{}
	_ backend.Coder = keptCoded{}
)

// Codes implements backend.Coder.
func (l coded) Codes(s backend.Stream, x backend.Tensor, codes []int8, scales []float32, zeros []int32) error {
	return l.codes(s, x, codes, scales, zeros)
}

// Codes implements backend.Coder.
func (l keptCoded) Codes(s backend.Stream, x backend.Tensor, codes []int8, scales []float32, zeros []int32) error {
	return l.codes(s, x, codes, scales, zeros)
}

func (l *layer) codes(s backend.Stream, x backend.Tensor, codes []int8, scales []float32, zeros []int32) error {
	if err := l.EnterUse(); err != nil {
		return err
	}
	defer l.Leave()
	spec := l.Spec()
	if err := backend.CheckInput(l.Device(), &spec, s, x); err != nil {
		return err
	}
	f := l.fronts[0]
	groups := f.act
	if len(codes) != x.Rows*spec.K || len(scales) != x.Rows*groups || len(zeros) != x.Rows {
		return quant.Errorf(backend.ErrShape, "codes", "lengths", fmt.Sprintf("%d codes, %d scales and %d zero points", x.Rows*spec.K, x.Rows*groups, x.Rows),
			"%d, %d and %d", len(codes), len(scales), len(zeros))
	}
	scratch := make([]byte, f.plan.CodesScratch()+lineBytes)
	scratch = scratch[-uintptr(unsafe.Pointer(unsafe.SliceData(scratch)))%lineBytes:]
	host := x.Host()
	if host == nil && x.Rows > 0 { // closed since CheckInput looked
		return quant.Errorf(backend.ErrClosed, "x", "", "an open buffer", "closed")
	}
	for m := range x.Rows {
		row := host[m*x.Stride*spec.X.Size():]
		zeros[m] = f.plan.Codes(codes[m*spec.K:][:spec.K], scales[m*groups:][:groups], row, scratch)
	}
	return nil
}
