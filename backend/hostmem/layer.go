package hostmem

import (
	"errors"
	"sync"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/internal/hugepage"
	"github.com/bitlane/bitlane/quant"
)

// Layer is the lifetime of a layer, to embed by pointer: its Spec, the device
// memory it owns, the Applies that run, and Close. What is left to write is
// Workspace and Apply. It is safe for use by several goroutines.
type Layer struct {
	dev  *Device
	spec backend.Spec

	running sync.RWMutex // held for reading by each Apply, for writing by Close
	closed  bool         // guarded by running

	mu     sync.Mutex
	holds  int // groups that need this layer
	blocks []*hugepage.Block
	bytes  int64
}

// NewLayer returns the base of a layer of dev, which is or embeds a *Device.
// Close it when Prepare fails.
func NewLayer(dev backend.Device, s backend.Spec) (*Layer, error) {
	d, err := Of(dev)
	if err != nil {
		return nil, err
	}
	if err := d.book.Add(func(a *backend.Alive) { a.Layers++ }); err != nil {
		return nil, err
	}
	return &Layer{dev: d, spec: s}, nil
}

// Device returns the device, the outer one.
func (l *Layer) Device() backend.Device { return l.dev.outer }

// Spec implements backend.Layer.
func (l *Layer) Spec() backend.Spec { return l.spec }

// Bytes implements backend.Layer: what Alloc handed out, 0 after Close.
func (l *Layer) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// Alloc returns zero bytes for weights, at a multiple of at least 256, that
// Close frees. They count as a buffer of the device. Only Prepare calls it; too
// much is ErrOutOfMemory.
//
// The memory is outside Go's heap, in huge pages where the system has them, and
// as a rule untouched: who writes a page first decides on which memory node it
// is, also for the layer that shares a huge page with this one. It must not be
// used but by Prepare and between Enter and Leave: after Close that is a fault,
// or, in a page that an open layer shares, a bug that nothing tells of. A layer
// that is never closed is never freed.
func (l *Layer) Alloc(bytes int) ([]byte, error) {
	if err := l.EnterUse(); err != nil {
		return nil, err
	}
	defer l.Leave()
	if err := l.dev.take("weights", bytes); err != nil {
		return nil, err
	}
	b, err := l.dev.weights.Alloc(bytes)
	if err != nil {
		return nil, l.dev.undo("weights", bytes, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blocks = append(l.blocks, b)
	l.bytes += int64(bytes)
	return b.Bytes(), nil
}

// Enter starts an Apply: it refuses what backend.CheckApply refuses, need
// being Workspace(x.Rows), and any use after Close. When it returns nil, Leave
// must follow.
func (l *Layer) Enter(s backend.Stream, dst, x backend.Tensor, ws backend.Span, need int) error {
	if err := l.EnterUse(); err != nil {
		return err
	}
	if err := backend.CheckApply(l.dev.outer, &l.spec, s, dst, x, ws, need); err != nil {
		l.Leave()
		return err
	}
	return nil
}

// EnterUse is Enter for uses other than Apply: it only refuses after Close.
func (l *Layer) EnterUse() error {
	l.running.RLock()
	if l.closed {
		l.running.RUnlock()
		return quant.Errorf(backend.ErrClosed, "layer", "", "an open one", "closed")
	}
	return nil
}

// Leave ends what Enter or EnterUse began.
func (l *Layer) Leave() { l.running.RUnlock() }

// Hold keeps the layer open, for a group made of it, until Release: Close is
// ErrBusy meanwhile. Holding a closed layer is ErrClosed.
func (l *Layer) Hold() error {
	if err := l.EnterUse(); err != nil {
		return err
	}
	defer l.Leave()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds++
	return nil
}

// Release undoes one Hold.
func (l *Layer) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds--
}

// Close implements backend.Layer: it refuses new Applies, waits for those that
// run and frees the memory, but for huge pages that open layers share. ErrBusy
// while a group holds the layer.
func (l *Layer) Close() error {
	if err := l.busy(); err != nil { // without waiting for Applies
		return err
	}
	l.running.Lock()
	defer l.running.Unlock()
	if l.closed {
		return nil
	}
	if err := l.busy(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var errs []error
	for _, b := range l.blocks {
		bytes := int64(len(b.Bytes()))
		errs = append(errs, b.Close())
		l.dev.book.Drop(bytes)
	}
	l.blocks, l.bytes = nil, 0
	l.dev.book.Count(func(a *backend.Alive) { a.Layers-- })
	return errors.Join(errs...)
}

// busy is ErrBusy while a group holds the layer.
func (l *Layer) busy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holds > 0 {
		return quant.Errorf(backend.ErrBusy, "layer", "", "its groups closed first", "in %d groups", l.holds)
	}
	return nil
}
