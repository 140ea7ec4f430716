package linear

import (
	"sync"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/kernels/cuda"
)

// layer is packed weights on a device. It is immutable and safe for use by
// several goroutines.
type layer struct {
	*device.Layer
	plan  *plan
	ways  *ways
	fixed cuda.LayerArgs // with what no Apply changes
	calls sync.Pool      // of *call

	roundedScales, roundedGroups uint64
}

var _ backend.Layer = (*layer)(nil)

// call is what one Apply fills in. It is kept for the next ones.
type call struct {
	args   cuda.LayerArgs
	launch driver.Launch

	roundedScales, roundedGroups uint64 // tables for weights that are rounded
	slots                        [driver.MaxArgs]uint64
}

func newLayer(base *device.Layer, p *plan, w *ways, at driver.Ptr) *layer {
	l := &layer{Layer: base, plan: p, ways: w, calls: sync.Pool{New: func() any { return new(call) }}}
	s := base.Spec()
	part := func(offset int64) uint64 { return uint64(at) + uint64(offset) }
	l.fixed = cuda.LayerArgs{
		K: p.k, N: p.n, Np: p.np, Units: p.units,
		Weights: part(p.at.bricks), Scales: part(p.at.scales), ScaleKind: kinds[p.scales], UnitGroup: part(p.at.groups),
		YKind: kinds[s.Y], Fine: p.fine,
	}
	if p.zeroMoves {
		l.fixed.Zeros = part(p.at.zeros)
	} else {
		l.fixed.Zero = p.zero
	}
	if p.gather {
		l.fixed.Map = part(p.at.features)
	}
	if s.Bias {
		l.fixed.Bias = part(p.at.bias)
	}
	if p.rounded {
		l.roundedScales, l.roundedGroups = part(p.at.roundedScales), part(p.at.roundedGroups)
	}
	return l
}

// kinds is the number types as kernels are told them.
var kinds = [...]int{dtype.F16: cuda.KindF16, dtype.BF16: cuda.KindBF16, dtype.F32: cuda.KindF32}

// Workspace implements backend.Layer: partial sums, or rows of x that are
// gathered, and weights that are expanded.
func (l *layer) Workspace(rows int) int {
	if rows <= 0 {
		return 0
	}
	s := l.Spec()
	return l.ways.workspace(min(rows, s.MaxRows))
}

// Apply implements backend.Layer: it enqueues one launch, two where K is cut
// into slices or x gathered before; more for so many rows that they do not go
// through the workspace at once, and two for each part of the weights that is expanded.
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
	c.args, c.roundedScales, c.roundedGroups = l.fixed, l.roundedScales, l.roundedGroups
	c.args.X, c.args.XStride, c.args.M = uint64(x.Addr()), x.Stride, x.Rows
	c.args.Y, c.args.YStride = uint64(dst.Addr()), dst.Stride
	workspace := uint64(0)
	if ws.Buffer != nil {
		workspace = uint64(ws.Addr())
	}
	return l.ways.apply(st, c, workspace)
}
