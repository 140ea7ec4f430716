package linear

import (
	"sync"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/dtype"
)

// layer is packed weights on a device. It is immutable and safe for use by
// several goroutines.
type layer struct {
	*device.Layer
	ways  *ways
	fixed values // arguments that no Apply changes
	calls sync.Pool
}

var _ backend.Layer = (*layer)(nil)

// call is what one Apply fills in, kept for the next ones.
type call struct {
	values
	launch driver.Launch
	slots  [arguments]uint64
}

func newLayer(base *device.Layer, k *kernel, p *plan, w *ways, at driver.Ptr) *layer {
	l := &layer{Layer: base, ways: w, calls: sync.Pool{New: func() any { return new(call) }}}
	s := base.Spec()
	v := &l.fixed
	part := func(offset int64) uint64 { return uint64(at) + uint64(offset) }
	v[argK], v[argN], v[argNp], v[argUnits] = uint64(p.k), uint64(p.n), uint64(p.np), uint64(p.units)
	v[argWeights], v[argScales], v[argGroups] = part(p.at.bricks), part(p.at.scales), part(p.at.groups)
	v[argScaleKind] = kindOf(p.scales)
	if p.zeroMoves {
		v[argZeros] = part(p.at.zeros)
	} else {
		v[argZero] = uint64(uint32(int32(p.zero)))
	}
	if p.gather {
		v[argFeatures] = part(p.at.features)
	}
	if s.Bias {
		v[argBias] = part(p.at.bias)
	}
	if p.fine {
		v[argFine] = 1
	}
	v[argYKind] = kindOf(s.Y)
	v[argPer], v[argSlices] = uint64(w.per), uint64(w.count)
	return l
}

// kindOf is a number type as kernels are told it.
func kindOf(t dtype.DType) uint64 {
	return [...]uint64{dtype.F16: 0, dtype.BF16: 1, dtype.F32: 2}[t]
}

// Workspace implements backend.Layer: partial sums, and rows of x that are
// gathered.
func (l *layer) Workspace(rows int) int {
	if rows <= 0 {
		return 0
	}
	return l.ways.workspace(min(rows, l.Spec().MaxRows))
}

// Apply implements backend.Layer: it enqueues one launch, two where K is cut
// into slices or x gathered before.
func (l *layer) Apply(s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	st, err := l.Enter(s, dst, x, ws, l.Workspace(x.Rows))
	if err != nil {
		return err
	}
	defer l.Leave()
	if x.Rows == 0 {
		return nil
	}
	c := l.calls.Get().(*call)
	defer l.calls.Put(c)
	c.values = l.fixed
	c.values[argX], c.values[argXStride] = uint64(x.Addr()), uint64(x.Stride)
	c.values[argY], c.values[argYStride] = uint64(dst.Addr()), uint64(dst.Stride)
	c.values[argM] = uint64(x.Rows)
	workspace := uint64(0)
	if ws.Buffer != nil {
		workspace = uint64(ws.Addr())
	}
	return l.ways.run(st, c, x.Rows, workspace)
}
