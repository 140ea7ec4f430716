package redtest

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// packLate keeps the caller's layer and packs it when it is first used.
func packLate(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Layer.Apply(s, dst, x, ws); err != nil {
		return err
	}
	var err error
	l.once.Do(func() {
		var fresh backend.Layer
		if fresh, err = l.kernel.packInner(context.Background(), l.dev, l.source, l.spec); err == nil {
			err = errors.Join(fresh.Apply(s, dst, x, ws), fresh.Close())
		}
	})
	return err
}

// negotiation are mutants that lie about what they can do.
func negotiation() []mutant {
	return []mutant{
		{name: "everything is refused",
			fails: []string{"arguments-device", "arguments-shape", "arguments-type", "busy", "close-twice", "close-under-load", "exact-cells", "floor", "leaks", "refusals", "supports-prepare", "use-after-close"},
			supports: func(k *kernel, _ backend.DeviceInfo, s backend.Spec, r *backend.Refusal) *backend.Refusal {
				return r.Add(k.Name(), "layer", s.Scheme(), "none", "")
			}},
		{name: "4-bit weights with exact activations are refused",
			fails: []string{"floor"},
			supports: func(k *kernel, _ backend.DeviceInfo, s backend.Spec, r *backend.Refusal) *backend.Refusal {
				if s.Bits == 4 && s.Recipe.Kind == quant.Exact {
					r = r.Add(k.Name(), "4-bit exact", "asked for", "other bits", "")
				}
				return r
			}},
		{name: "kernel names break the grammar",
			fails:      []string{"names"},
			kernelName: func(name string) string { return name + "__fast" }},
		{name: "an unknown recipe is accepted",
			fails: []string{"refusals"},
			supports: func(_ *kernel, _ backend.DeviceInfo, s backend.Spec, r *backend.Refusal) *backend.Refusal {
				if int(s.Recipe.Kind) >= len(quant.Recipes()) {
					return nil
				}
				return r
			}},
		{name: "refusals have no reasons",
			fails: []string{"refusals"},
			supports: func(_ *kernel, _ backend.DeviceInfo, _ backend.Spec, r *backend.Refusal) *backend.Refusal {
				if r != nil {
					r.Reasons = nil
				}
				return r
			}},
		{name: "refusals list the first reason only",
			fails: []string{"reasons"},
			supports: func(_ *kernel, _ backend.DeviceInfo, _ backend.Spec, r *backend.Refusal) *backend.Refusal {
				if r != nil {
					r.Reasons = r.Reasons[:1]
				}
				return r
			}},
		{name: "a part along N is accepted, and then Prepare fails",
			fails: []string{"supports-prepare"},
			prepare: func(ctx context.Context, k *kernel, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
				if s.NRanges != nil && s.Bits == 2 {
					return nil, errors.New("cannot do 2 bits after all")
				}
				return k.pack(ctx, d, l, s)
			}},
		{name: "Prepare refuses with another reason",
			fails: []string{"supports-prepare"},
			prepare: func(ctx context.Context, k *kernel, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
				if r := k.Supports(d.Info(), s); r != nil {
					return nil, (*backend.Refusal)(nil).Add(k.Name(), "layer", "this", "another", "")
				}
				return k.pack(ctx, d, l, s)
			}},
		{name: "Prepare makes a layer that Supports refuses",
			fails: []string{"supports-prepare"},
			supports: func(k *kernel, _ backend.DeviceInfo, s backend.Spec, r *backend.Refusal) *backend.Refusal {
				if s.Bits == 2 {
					return r.Add(k.Name(), "2 bits", "asked for", "more", "")
				}
				return r
			},
			prepare: func(ctx context.Context, k *kernel, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
				if k.Kernel.Supports(d.Info(), s) == nil {
					return k.packAccepted(ctx, d, l, s)
				}
				return k.pack(ctx, d, l, s)
			}},
		{name: "the layer says another MaxRows than was asked for",
			fails: []string{"supports-prepare"},
			spec: func(s *backend.Spec) {
				if s.NRanges != nil && s.Bits == 2 {
					s.MaxRows++
				}
			}},
		{name: "Depth is more than K/8 + 32",
			fails:    []string{"depth"},
			numerics: func(s backend.Spec, n *backend.Numerics) { n.Depth = s.K/8 + 33 }},
		{name: "FlushBelow buys slack",
			fails:    []string{"depth"},
			numerics: func(_ backend.Spec, n *backend.Numerics) { n.FlushBelow = 0x1p-29 }},
		{name: "batch invariance is not promised",
			fails:    []string{"depth"},
			numerics: func(_ backend.Spec, n *backend.Numerics) { n.BatchInvariant = false }},
	}
}

// arguments are mutants that take what they must refuse.
func arguments() []mutant {
	return []mutant{
		{name: "x of another type is taken for the right one",
			fails: []string{"arguments-type"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				x.DType = l.spec.X
				return l.Layer.Apply(s, dst, x, ws)
			}},
		{name: "rows above MaxRows are left out",
			fails: []string{"arguments-shape"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				x.Rows, dst.Rows = min(x.Rows, l.spec.MaxRows), min(dst.Rows, l.spec.MaxRows)
				return l.Layer.Apply(s, dst, x, ws)
			}},
		{name: "dst may overlap x",
			fails: []string{"arguments-shape"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				err := l.Layer.Apply(s, dst, x, ws)
				if err != nil && dst.Buffer == x.Buffer && dst.Span.Overlaps(x.Span) {
					return nil
				}
				return err
			}},
		{name: "a short workspace is accepted",
			fails: []string{"arguments-shape"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				ws.Bytes = max(ws.Bytes, l.Workspace(x.Rows))
				return l.Layer.Apply(s, dst, x, ws)
			}},
		{name: "x is half written to dst before the workspace is refused",
			fails: []string{"arguments-shape"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				err := l.Layer.Apply(s, dst, x, ws)
				if errors.Is(err, backend.ErrShape) && ws.Buffer == nil {
					row(dst, 0)[0] ^= 0xFF
				}
				return err
			}},
		{name: "another device's stream is taken",
			fails: []string{"arguments-device"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				if s.Device() != backend.Device(l.dev) {
					return nil
				}
				return l.Layer.Apply(s, dst, x, ws)
			}},
	}
}

// lazyStream is a stream of which one operation does nothing.
type lazyStream struct{ backend.Stream }

func (lazyStream) Copy(_, _ backend.Span) error { return nil }

// devices are mutants of devices, buffers and streams.
func devices() []mutant {
	return []mutant{
		{name: "an unknown device is the first one",
			fails: []string{"device"},
			open:  func(string) string { return "" }},
		{name: "a wrapped buffer is a copy",
			fails:      []string{"buffers"},
			wrapBuffer: func(d *device, bytes int) (backend.Buffer, error) { return d.Alloc(bytes) }},
		{name: "copies are lost",
			fails:     []string{"streams"},
			newStream: func(s backend.Stream) backend.Stream { return lazyStream{s} }},
		{name: "a group has other bits",
			fails: []string{"group"},
			group: func(_ *layer, g backend.Layer) backend.Layer { return flipped{g} }},
		{name: "a device closes while layers live",
			fails: []string{"busy"},
			closeDevice: func(d *device) error {
				if err := d.Device.Close(); !errors.Is(err, backend.ErrBusy) {
					return err
				}
				return nil
			}},
	}
}

// flipped is a layer with another last bit.
type flipped struct{ backend.Layer }

func (l flipped) Apply(s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	err := l.Layer.Apply(s, dst, x, ws)
	if err == nil && dst.DType == dtype.F32 {
		flip(dst)
	}
	return err
}

// lives are mutants that begin or end wrongly.
func lives() []mutant {
	return []mutant{
		{name: "the second Close of a layer is an error",
			fails: []string{"close-twice"},
			closeLayer: func(l *layer) error {
				if l.closed.Swap(true) {
					return backend.ErrClosed
				}
				return l.Layer.Close()
			}},
		{name: "Apply after Close does nothing",
			fails: []string{"close-under-load", "use-after-close"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				err := l.Layer.Apply(s, dst, x, ws)
				if l.closed.Load() && errors.Is(err, backend.ErrClosed) {
					return nil
				}
				return err
			},
			closeLayer: func(l *layer) error {
				err := l.Layer.Close()
				l.closed.Store(true)
				return err
			}},
		{name: "Close does not free the layer",
			fails: []string{"busy", "close-twice", "group", "leaks", "use-after-close"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				if l.closed.Load() {
					return backend.ErrClosed
				}
				return l.Layer.Apply(s, dst, x, ws)
			},
			closeLayer: func(l *layer) error {
				l.closed.Store(true)
				return nil
			}},
		{name: "Close is ErrBusy while an Apply runs",
			fails: []string{"close-under-load"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				l.inFlight.Add(1)
				defer l.inFlight.Add(-1)
				for range 10 {
					runtime.Gosched()
				}
				return l.Layer.Apply(s, dst, x, ws)
			},
			closeLayer: func(l *layer) error {
				if l.inFlight.Load() > 0 {
					return errors.Join(backend.ErrBusy, l.Layer.Close())
				}
				return l.Layer.Close()
			}},
		{name: "the context is ignored",
			fails: []string{"context"},
			prepare: func(ctx context.Context, k *kernel, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
				return k.pack(context.WithoutCancel(ctx), d, l, s)
			}},
		{name: "a Prepare that runs out of memory leaves a buffer",
			fails:   []string{"out-of-memory"},
			prepare: leaveBuffer},
		{name: "running out of memory is another error",
			fails: []string{"out-of-memory"},
			prepare: func(ctx context.Context, k *kernel, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
				layer, err := k.pack(ctx, d, l, s)
				if errors.Is(err, backend.ErrOutOfMemory) {
					return nil, errors.New("cannot")
				}
				return layer, err
			}},
		{name: "Prepare panics for the first layer of a device",
			fails: []string{"supports-prepare"},
			prepare: func() func(ctx context.Context, k *kernel, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
				var calls atomic.Int32
				return func(ctx context.Context, k *kernel, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
					if s.NRanges != nil && s.Bits == 2 && calls.Add(1) == 1 {
						panic("no such table")
					}
					return k.pack(ctx, d, l, s)
				}
			}()},
	}
}

// leaveBuffer allocates staging memory and forgets it when packing fails.
func leaveBuffer(ctx context.Context, k *kernel, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
	if r := k.Supports(d.Info(), s); r != nil {
		return nil, r
	}
	staging, err := d.Alloc(64)
	if err != nil {
		return nil, err
	}
	layer, err := k.pack(ctx, d, l, s)
	if !errors.Is(err, backend.ErrOutOfMemory) {
		_ = staging.Close()
	}
	return layer, err
}
