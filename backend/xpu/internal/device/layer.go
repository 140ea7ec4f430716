package device

import (
	"errors"
	"fmt"
	"sync"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// Layer is the lifetime of a layer, to embed by pointer: its Spec, its
// primitives, its device memory, what streams have of it, the Applies that are
// being enqueued, and Close. It is safe for use by several goroutines.
type Layer struct {
	dev  *Device
	spec backend.Spec

	running sync.RWMutex // held for reading by each Apply, for writing by Close
	closed  bool         // guarded by running

	prepared driver.Layer // nil before Load
	weights  driver.Weights
	buckets  []driver.Bucket

	mu      sync.Mutex
	memory  driver.Memory
	bytes   int64
	filled  bool                 // memory was taken
	streams map[*Stream]struct{} // that have a binding
}

// NewLayer returns the base of a layer of d. Close it when Prepare fails.
func NewLayer(d *Device, s backend.Spec) (*Layer, error) {
	if err := d.book.Add(func(a *backend.Alive) { a.Layers++ }); err != nil {
		return nil, err
	}
	return &Layer{dev: d, spec: s, streams: map[*Stream]struct{}{}}, nil
}

// Device returns the device.
func (l *Layer) Device() *Device { return l.dev }

// Spec implements backend.Layer.
func (l *Layer) Spec() backend.Spec { return l.spec }

// Bytes implements backend.Layer: 0 after Close.
func (l *Layer) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// Buckets says what oneDNN made of the plan.
func (l *Layer) Buckets() []driver.Bucket { return l.buckets }

// Load makes the primitives of a plan. Only Prepare calls it, once.
func (l *Layer) Load(p *driver.Plan) error {
	made, err := l.dev.engine.Prepare(p)
	if err != nil {
		return l.dev.check(fmt.Errorf("%s: %w", l.dev.name(), err))
	}
	l.prepared, l.buckets = made, made.Buckets()
	return nil
}

// Alloc returns device memory for weights, which Close frees. Only Prepare
// calls it, once. Too much is ErrOutOfMemory.
func (l *Layer) Alloc(bytes int64) (driver.Ptr, error) {
	m, p, err := l.dev.take("weights", bytes)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.memory, l.bytes, l.filled = m, bytes, true
	return p, nil
}

// Place says where the weights are. Only Prepare calls it, once.
func (l *Layer) Place(w driver.Weights) { l.weights = w }

// Workspace implements backend.Layer.
func (l *Layer) Workspace(rows int) int {
	if rows <= 0 {
		return 0
	}
	for i := range l.buckets {
		if rows <= l.buckets[i].Rows {
			return int(l.buckets[i].Workspace)
		}
	}
	return int(l.buckets[len(l.buckets)-1].Workspace)
}

// Apply implements backend.Layer. It allocates nothing but what a stream needs of
// the layer, when the layer is first applied on it.
func (l *Layer) Apply(s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	l.running.RLock()
	defer l.running.RUnlock()
	if l.closed {
		return l.errClosed()
	}
	if err := backend.CheckApply(l.dev, &l.spec, s, dst, x, ws, l.Workspace(x.Rows)); err != nil {
		return err
	}
	if x.Rows == 0 {
		return l.dev.book.Usable()
	}
	st, err := l.stream(s)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	b, err := l.bindingOn(st)
	if err != nil {
		return err
	}
	c := &st.scratch
	*c = driver.Call{
		X: driver.Ptr(x.Addr()), XStride: x.Stride, Y: driver.Ptr(dst.Addr()), YStride: dst.Stride, Rows: x.Rows,
	}
	if ws.Buffer != nil {
		c.Workspace, c.WorkspaceBytes = driver.Ptr(ws.Addr()), int64(ws.Bytes)
	}
	st.pending = true
	return l.dev.check(b.Apply(c))
}

// Quantize enqueues the codes and scales of x into device memory.
func (l *Layer) Quantize(s backend.Stream, x backend.Tensor, codes, scales, ws backend.Span) error {
	l.running.RLock()
	defer l.running.RUnlock()
	if err := l.checkInput(s, x); err != nil || x.Rows == 0 {
		return err
	}
	st, err := l.stream(s)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	b, err := l.bindingOn(st)
	if err != nil {
		return err
	}
	c := &driver.Call{X: driver.Ptr(x.Addr()), XStride: x.Stride, Rows: x.Rows, Workspace: driver.Ptr(ws.Addr()), WorkspaceBytes: int64(ws.Bytes)}
	st.pending = true
	return l.dev.check(b.Quantize(c, driver.Ptr(codes.Addr()), driver.Ptr(scales.Addr())))
}

// CheckInput reports what Quantize would refuse of s and x.
func (l *Layer) CheckInput(s backend.Stream, x backend.Tensor) error {
	l.running.RLock()
	defer l.running.RUnlock()
	return l.checkInput(s, x)
}

func (l *Layer) checkInput(s backend.Stream, x backend.Tensor) error {
	if l.closed {
		return l.errClosed()
	}
	if err := backend.CheckInput(l.dev, &l.spec, s, x); err != nil {
		return err
	}
	return l.dev.book.Usable()
}

func (l *Layer) errClosed() error {
	return quant.Errorf(backend.ErrClosed, "layer", "", "an open one", "closed")
}

func (l *Layer) stream(s backend.Stream) (*Stream, error) {
	if err := l.dev.book.Usable(); err != nil {
		return nil, err
	}
	st, ours := s.(*Stream)
	if !ours {
		return nil, quant.Errorf(backend.ErrDevice, "stream", "", "one that the device made", "%T", s)
	}
	return st, nil
}

// bindingOn returns what st has of the layer, made when it is first applied on
// it. Called with st.mu and l.running held.
func (l *Layer) bindingOn(st *Stream) (driver.Binding, error) {
	if st.bound == nil {
		return nil, st.errClosed()
	}
	if b := st.bound[l]; b != nil {
		return b, nil
	}
	b, err := l.prepared.Bind(st.stream, l.weights)
	if err != nil {
		return nil, l.dev.check(fmt.Errorf("%s: %w", l.dev.name(), err))
	}
	st.bound[l] = b
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams[st] = struct{}{}
	return b, nil
}

// forget is called when a stream that has a binding is closed, with its mu held.
func (l *Layer) forget(st *Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.streams, st)
}

// users are the streams that have a binding.
func (l *Layer) users() []*Stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Stream, 0, len(l.streams))
	for st := range l.streams {
		all = append(all, st)
	}
	return all
}

// unbind waits for a stream and lets it go of the layer.
func (l *Layer) unbind(st *Stream) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	b := st.bound[l]
	if b == nil { // closed meanwhile
		return nil
	}
	err := l.dev.check(st.wait(st.stream))
	delete(st.bound, l)
	l.forget(st)
	return errors.Join(err, b.Close())
}

// Close implements backend.Layer: it refuses new Applies, waits for enqueued
// ones and frees.
func (l *Layer) Close() error {
	l.running.Lock()
	defer l.running.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	for _, st := range l.users() {
		errs = append(errs, l.unbind(st))
	}
	if l.prepared != nil {
		errs = append(errs, l.prepared.Close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.filled {
		errs = append(errs, l.dev.drop(l.memory, l.bytes))
	}
	l.memory, l.bytes, l.filled = nil, 0, false
	l.dev.book.Count(func(a *backend.Alive) { a.Layers-- })
	return l.dev.check(errors.Join(errs...))
}
