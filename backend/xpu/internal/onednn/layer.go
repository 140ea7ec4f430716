//go:build xpu && linux

package onednn

import (
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/internal/cabi"
	"github.com/bitlane/bitlane/internal/cabi/xpu"
)

// layer is the primitives of a plan.
type layer struct {
	shim    *xpu.Shim
	handle  uintptr
	buckets []driver.Bucket
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (e *engine) Prepare(p *driver.Plan) (driver.Layer, error) {
	plan := &xpu.Plan{
		Activations: int64(p.Activations), XType: int64(p.X), XCols: int64(p.XCols), ComputeType: int64(p.Compute),
		WeightType: int64(p.Weight), WeightOrder: xpu.KContiguous, WeightStride: int64(p.Stride), K: int64(p.K), N: int64(p.N),
		Group: int64(p.Group), ScaleType: int64(p.Scale), ZeroKind: int64(p.ZeroKind), ZeroType: int64(p.ZeroType), ZeroValue: int64(p.Zero),
		BiasType: int64(p.Bias), YType: int64(p.Y), YCols: int64(p.YCols), MaxRows: int64(p.MaxRows),
		RowScales: xpu.RowScalesAfter, Slice: int64(p.Slice), Deterministic: 1, RefuseReference: number(p.RefuseReference), Codes: number(p.Codes),
	}
	f := cabi.NewFrame()
	handle, err := e.shim.LayerPrepare(f, e.handle, plan)
	if err != nil {
		return nil, failure("layer_prepare", err)
	}
	l := &layer{shim: e.shim, handle: handle}
	for i := int64(0); ; i++ {
		facts, name, more := e.shim.LayerBucket(f, handle, i)
		if !more {
			return l, nil
		}
		l.buckets = append(l.buckets, driver.Bucket{
			Rows: int(facts.Rows), Workspace: facts.Workspace, Scratchpad: facts.Scratchpad, Implementation: name, Reference: facts.Reference == 1,
		})
	}
}

func (l *layer) Buckets() []driver.Bucket { return l.buckets }

func (l *layer) Bind(s driver.Stream, w driver.Weights) (driver.Binding, error) {
	st := s.(*stream)
	handle, err := l.shim.Bind(st.frame, l.handle, st.handle, uintptr(w.Codes), uintptr(w.Scales), uintptr(w.Zeros), uintptr(w.Bias))
	if err != nil {
		return nil, failure("bind", err)
	}
	return &binding{l.shim, handle, st.frame}, nil
}

func (l *layer) Close() error {
	return failure("layer_destroy", l.shim.LayerDestroy(cabi.NewFrame(), l.handle))
}

type binding struct {
	shim   *xpu.Shim
	handle uintptr
	frame  *cabi.Frame // the stream's
}

func (b *binding) Apply(c *driver.Call) error {
	err := b.shim.Apply(b.frame, b.handle, uintptr(c.X), int64(c.XStride), uintptr(c.Y), int64(c.YStride), int64(c.Rows), uintptr(c.Workspace), c.WorkspaceBytes)
	return failure("apply", err)
}

func (b *binding) Quantize(c *driver.Call, codes, scales driver.Ptr) error {
	err := b.shim.Quantize(b.frame, b.handle, uintptr(c.X), int64(c.XStride), uintptr(codes), uintptr(scales), int64(c.Rows), uintptr(c.Workspace), c.WorkspaceBytes)
	return failure("quantize", err)
}

func (b *binding) Close() error {
	b.shim.Unbind(b.frame, b.handle)
	return nil
}
