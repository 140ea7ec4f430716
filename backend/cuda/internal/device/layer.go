package device

import (
	"sync"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// Layer is the lifetime of a layer, to embed by pointer: its Spec, its device
// memory, the Applies that are being enqueued, the graphs that hold it, and
// Close. It is safe for use by several goroutines.
type Layer struct {
	dev  *Device
	spec backend.Spec

	running sync.RWMutex // held for reading by each Apply, for writing by Close
	closed  bool         // guarded by running
	used    atomic.Bool  // something was enqueued

	mu     sync.Mutex
	holds  int // graphs that need this layer
	ptr    driver.Ptr
	bytes  int64
	filled bool // ptr was allocated
}

// NewLayer returns the base of a layer of d. Close it when Prepare fails.
func NewLayer(d *Device, s backend.Spec) (*Layer, error) {
	if err := d.book.Add(func(a *backend.Alive) { a.Layers++ }); err != nil {
		return nil, err
	}
	return &Layer{dev: d, spec: s}, nil
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

// Alloc returns device memory for the layer, which Close frees. Only Prepare
// calls it, once. Too much is ErrOutOfMemory.
func (l *Layer) Alloc(bytes int64) (driver.Ptr, error) {
	p, err := l.dev.take("weights", bytes)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ptr, l.bytes, l.filled = p, bytes, true
	return p, nil
}

// Enter starts an Apply: it refuses what backend.CheckApply refuses, need
// being Workspace(x.Rows), a lost device, and any use after Close. When it
// returns nil, Leave must follow. It allocates nothing when all is well.
func (l *Layer) Enter(s backend.Stream, dst, x backend.Tensor, ws backend.Span, need int) (*Stream, error) {
	l.running.RLock()
	err := l.enter(s, dst, x, ws, need)
	st, ours := s.(*Stream)
	if err == nil && !ours {
		err = quant.Errorf(backend.ErrDevice, "stream", "", "one that the device made", "%T", s)
	}
	if err != nil {
		l.running.RUnlock()
		return nil, err
	}
	l.used.Store(true)
	st.hold(l)
	return st, nil
}

func (l *Layer) enter(s backend.Stream, dst, x backend.Tensor, ws backend.Span, need int) error {
	if l.closed {
		return quant.Errorf(backend.ErrClosed, "layer", "", "an open one", "closed")
	}
	if err := backend.CheckApply(l.dev, &l.spec, s, dst, x, ws, need); err != nil {
		return err
	}
	return l.dev.book.Usable()
}

// Leave ends what Enter began.
func (l *Layer) Leave() { l.running.RUnlock() }

// retain keeps the layer open for a graph, until release.
func (l *Layer) retain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds++
}

func (l *Layer) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds--
}

// Close implements backend.Layer: it refuses new Applies, waits for enqueued
// ones and frees the memory. It is ErrBusy, and closes nothing, while a graph
// holds the layer, or a stream of the device records and the layer was used.
func (l *Layer) Close() error {
	l.running.Lock()
	defer l.running.Unlock()
	if l.closed {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holds > 0 {
		return quant.Errorf(backend.ErrBusy, "layer", "", "its graphs closed first", "in %d graphs", l.holds)
	}
	if l.used.Load() {
		if err := l.dev.idle("layer"); err != nil {
			return err
		}
	}
	l.closed = true
	var err error
	if l.filled {
		err = l.dev.drop(l.ptr, l.bytes)
	}
	l.ptr, l.bytes, l.filled = 0, 0, false
	l.dev.book.Count(func(a *backend.Alive) { a.Layers-- })
	return err
}
