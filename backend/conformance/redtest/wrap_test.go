package redtest

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu"
	"github.com/bitlane/bitlane/quant"
)

// mutant is a backend that breaks a rule. Every hook that is nil leaves the
// processor's behaviour as it is.
type mutant struct {
	name  string   // what is wrong
	fails []string // the checks that must fail, and no others
	only  []string // the checks that can notice, where what is changed is called by no other; nil: all are run

	// What the layer is packed from, and for which request.
	alter   func(l *quant.Linear, s *backend.Spec) *quant.Linear // nil: as it is
	request func(q *backend.Request)

	kernelName func(name string) string
	supports   func(k *kernel, i backend.DeviceInfo, s backend.Spec, r *backend.Refusal) *backend.Refusal
	numerics   func(s backend.Spec, n *backend.Numerics)
	footprint  func(f *backend.Footprint)
	prepare    func(ctx context.Context, k *kernel, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error)

	apply      func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error
	codes      func(s backend.Spec, codes []int8, scales []float32)
	spec       func(s *backend.Spec)
	workspace  func(rows, size int) int
	closeLayer func(l *layer) error

	open        func(id string) string
	newStream   func(s backend.Stream) backend.Stream
	wrapBuffer  func(d *device, bytes int) (backend.Buffer, error)
	closeDevice func(d *device) error
	group       func(first *layer, g backend.Layer) backend.Layer

	// How packed weights become a layer; nil: the kernel restores nothing.
	restore func(k *kernel, ctx context.Context, d *device, s backend.Spec, p backend.Packed) (backend.Layer, error)
	packing func(s backend.Spec, name string) string
	written func(ctx context.Context, k backend.Keeper, w io.Writer) error
}

// broken is the processor's backend with the behaviour of m.
type broken struct {
	backend.Backend
	m *mutant
}

func (b broken) Kernels() []backend.Kernel {
	var all []backend.Kernel
	for _, k := range b.Backend.Kernels() {
		own := &kernel{k, b.m}
		if b.m.restore != nil {
			all = append(all, &restorer{own})
			continue
		}
		all = append(all, own)
	}
	return all
}

func (b broken) Open(ctx context.Context, id string, o backend.OpenOptions) (backend.Device, error) {
	if b.m.open != nil {
		id = b.m.open(id)
	}
	inner, err := b.Backend.Open(ctx, id, o)
	if err != nil {
		return nil, err
	}
	d := &device{inner.(*cpu.Device), b.m}
	d.Bind(d)
	return d, nil
}

type device struct {
	*cpu.Device
	m *mutant
}

func (d *device) NewStream() (backend.Stream, error) {
	s, err := d.Device.NewStream()
	if err == nil && d.m.newStream != nil {
		s = d.m.newStream(s)
	}
	return s, err
}

func (d *device) WrapBuffer(p unsafe.Pointer, bytes int) (backend.Buffer, error) {
	if d.m.wrapBuffer != nil {
		return d.m.wrapBuffer(d, bytes)
	}
	return d.Device.WrapBuffer(p, bytes)
}

func (d *device) Close() error {
	if d.m.closeDevice != nil {
		return d.m.closeDevice(d)
	}
	return d.Device.Close()
}

func (d *device) Group(layers ...backend.Layer) (backend.Layer, error) {
	inner := make([]backend.Layer, len(layers))
	for i, l := range layers {
		inner[i] = l.(interface{ whole() *layer }).whole().Layer
	}
	g, err := d.Device.Group(inner...)
	if err == nil && d.m.group != nil {
		g = d.m.group(layers[0].(interface{ whole() *layer }).whole(), g)
	}
	return g, err
}

type kernel struct {
	backend.Kernel
	m *mutant
}

func (k *kernel) Name() string {
	if k.m.kernelName != nil {
		return k.m.kernelName(k.Kernel.Name())
	}
	return k.Kernel.Name()
}

func (k *kernel) Supports(i backend.DeviceInfo, s backend.Spec) *backend.Refusal {
	r := k.Kernel.Supports(i, s)
	if r != nil {
		r.Kernel = k.Name()
	}
	if k.m.supports != nil {
		r = k.m.supports(k, i, s, r)
	}
	return r
}

func (k *kernel) Numerics(s backend.Spec) backend.Numerics {
	n := k.Kernel.Numerics(s)
	if k.m.numerics != nil {
		k.m.numerics(s, &n)
	}
	return n
}

func (k *kernel) Footprint(i backend.DeviceInfo, s backend.Spec) backend.Footprint {
	f := k.Kernel.Footprint(i, s)
	if k.m.footprint != nil {
		k.m.footprint(&f)
	}
	return f
}

func (k *kernel) Prepare(ctx context.Context, d backend.Device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
	if k.m.prepare != nil {
		return k.m.prepare(ctx, k, d.(*device), l, s)
	}
	return k.pack(ctx, d.(*device), l, s)
}

// pack is Prepare as the processor does it, from what the mutant makes of l.
func (k *kernel) pack(ctx context.Context, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
	if r := k.Supports(d.Info(), s); r != nil {
		return nil, r
	}
	return k.packAccepted(ctx, d, l, s)
}

func (k *kernel) packAccepted(ctx context.Context, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
	inner, err := k.packInner(ctx, d, l, s)
	if err != nil {
		return nil, err
	}
	out := &layer{Layer: inner, m: k.m, kernel: k, dev: d, spec: s, source: l}
	if _, ok := inner.(backend.Coder); ok {
		return coded{out}, nil
	}
	return out, nil
}

func (k *kernel) packInner(ctx context.Context, d *device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
	from, spec := l, s
	if k.m.alter != nil {
		if other := k.m.alter(l, &s); other != nil {
			from = other
		}
	}
	if from != l || k.m.request != nil {
		q := backend.Request{Recipe: &s.Recipe, X: s.X, Y: s.Y, MaxRows: s.MaxRows}
		if k.m.request != nil {
			k.m.request(&q)
		}
		var err error
		if spec, err = backend.NewSpec(from, q); err != nil {
			return nil, err
		}
	}
	return k.Kernel.Prepare(ctx, d, from, spec)
}

// restorer is a kernel that restores layers.
type restorer struct{ *kernel }

func (k *restorer) Packing(i backend.DeviceInfo, s backend.Spec) string {
	name := k.Kernel.(backend.Restorer).Packing(i, s)
	if k.m.packing != nil {
		name = k.m.packing(s, name)
	}
	return name
}

func (k *restorer) Restore(ctx context.Context, d backend.Device, s backend.Spec, p backend.Packed) (backend.Layer, error) {
	return k.m.restore(k.kernel, ctx, d.(*device), s, p)
}

// restoreAsItIs is what a mutant that breaks something else does.
func restoreAsItIs(k *kernel, ctx context.Context, d *device, s backend.Spec, p backend.Packed) (backend.Layer, error) {
	inner, err := k.Kernel.(backend.Restorer).Restore(ctx, d, s, p)
	if err != nil {
		return nil, err
	}
	return &layer{Layer: inner, m: k.m, kernel: k, dev: d, spec: s}, nil
}

type layer struct {
	backend.Layer
	m      *mutant
	kernel *kernel
	dev    *device
	spec   backend.Spec
	source *quant.Linear

	// State that a hook may need.
	once     sync.Once
	mu       sync.Mutex
	inFlight atomic.Int32
	closed   atomic.Bool
	garbage  atomic.Pointer[[]byte]
	scratch  []byte
	buffer   backend.Buffer
}

func (l *layer) whole() *layer { return l }

func (l *layer) Spec() backend.Spec {
	s := l.spec
	if l.m.spec != nil {
		l.m.spec(&s)
	}
	return s
}

func (l *layer) PackedSize() int64 { return l.Layer.(backend.Keeper).PackedSize() }

func (l *layer) WritePacked(ctx context.Context, w io.Writer) error {
	k := l.Layer.(backend.Keeper)
	if l.m.written == nil {
		return k.WritePacked(ctx, w)
	}
	return l.m.written(ctx, k, w)
}

func (l *layer) Workspace(rows int) int {
	size := l.Layer.Workspace(rows)
	if l.m.workspace != nil {
		size = l.m.workspace(rows, size)
	}
	return size
}

func (l *layer) Apply(s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	if l.m.apply != nil {
		return l.m.apply(l, s, dst, x, ws)
	}
	return l.Layer.Apply(s, dst, x, ws)
}

func (l *layer) Close() error {
	if l.m.closeLayer != nil {
		return l.m.closeLayer(l)
	}
	return l.Layer.Close()
}

// coded is a layer that shows its codes.
type coded struct{ *layer }

func (l coded) Codes(s backend.Stream, x backend.Tensor, codes []int8, scales []float32, zeros []int32) error {
	err := l.Layer.(backend.Coder).Codes(s, x, codes, scales, zeros)
	if err == nil && l.m.codes != nil {
		l.m.codes(l.Spec(), codes, scales)
	}
	return err
}
