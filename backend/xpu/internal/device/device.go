package device

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/internal/ledger"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// Device is an open engine. It is safe for use by several goroutines.
type Device struct {
	info      backend.DeviceInfo
	engine    driver.Engine
	library   driver.Facts
	reference bool // reference implementations are taken
	book      *ledger.Book

	mu   sync.Mutex
	open map[*Stream]struct{} // streams that are not closed
}

var (
	_ backend.Device        = (*Device)(nil)
	_ backend.FaultInjector = (*Device)(nil)
	_ backend.Counter       = (*Device)(nil)
)

// Of returns dev as a *Device, or ErrDevice.
func Of(dev backend.Device) (*Device, error) {
	if d, ok := dev.(*Device); ok {
		return d, nil
	}
	if dev == nil {
		return nil, quant.Errorf(backend.ErrDevice, "device", "", "an XPU device", "nil")
	}
	return nil, quant.Errorf(backend.ErrDevice, dev.Info().String(), "", "an XPU device", "another")
}

// Info implements backend.Device; also after Close.
func (d *Device) Info() backend.DeviceInfo { return d.info }

// Library says what oneDNN it is of.
func (d *Device) Library() driver.Facts { return d.library }

// Reference reports whether reference implementations are taken.
func (d *Device) Reference() bool { return d.reference }

func (d *Device) name() string { return d.info.Address() }

// check keeps err where it means that the device is lost, and returns it.
func (d *Device) check(err error) error {
	if err == nil || !errors.Is(err, backend.ErrDeviceLost) {
		return err
	}
	return d.book.Lose(fmt.Errorf("%s does not work any more: %w", d.info, err))
}

// Mem implements backend.Device. oneDNN does not say how much memory there is:
// without a limit that is ErrUnsupported.
func (d *Device) Mem() (free, total int64, err error) {
	if err := d.book.Usable(); err != nil {
		return 0, 0, err
	}
	limit, left := d.book.Limit()
	if limit == 0 {
		return 0, 0, quant.Errorf(backend.ErrUnsupported, d.name(), "memory", "a limit given to Open: oneDNN does not say how much there is", "unknown")
	}
	return left, limit, nil
}

// FailAlloc implements backend.FaultInjector. Buffers, streams and events count.
func (d *Device) FailAlloc(n int) int { return d.book.FailAlloc(n) }

// Alive implements backend.Counter. Wrapped buffers and streams count, their
// bytes do not.
func (d *Device) Alive() backend.Alive { return d.book.Alive() }

// take allocates device memory at a multiple of backend.WorkspaceAlign and
// counts it as a buffer. 0 bytes are no memory.
func (d *Device) take(what string, bytes int64) (driver.Memory, driver.Ptr, error) {
	if err := d.book.Take(what, bytes, 0); err != nil || bytes == 0 {
		return nil, 0, err
	}
	m, err := d.engine.Alloc(bytes)
	if err == nil {
		return m, m.Pointer(), nil
	}
	d.book.Drop(bytes)
	if errors.Is(err, backend.ErrOutOfMemory) {
		return nil, 0, quant.Errorf(backend.ErrOutOfMemory, d.name(), "free memory", fmt.Sprintf("%d bytes for %s", bytes, what), "less: %v", err)
	}
	return nil, 0, d.check(fmt.Errorf("%s: %s of %d bytes: %w", d.name(), what, bytes, err))
}

// drop frees what take returned, when no enqueued work can use it any more:
// oneDNN's run-times free at once.
func (d *Device) drop(m driver.Memory, bytes int64) (err error) {
	if m != nil {
		err = errors.Join(d.settle(), d.check(m.Close()))
	}
	d.book.Drop(bytes)
	return err
}

// settle waits for the work that is enqueued in any stream.
func (d *Device) settle() error {
	d.mu.Lock()
	all := make([]*Stream, 0, len(d.open))
	for s := range d.open {
		all = append(all, s)
	}
	d.mu.Unlock()
	var errs []error
	for _, s := range all {
		errs = append(errs, s.settle())
	}
	return errors.Join(errs...)
}

// Alloc implements backend.Device.
func (d *Device) Alloc(bytes int) (backend.Buffer, error) {
	m, p, err := d.take("buffer", int64(bytes))
	if err != nil {
		return nil, err
	}
	return &buffer{dev: d, memory: m, ptr: p, len: bytes, ours: true}, nil
}

// WrapBuffer implements backend.Device: ptr is memory that the engine can use,
// of the caller's own SYCL or Level Zero.
func (d *Device) WrapBuffer(ptr unsafe.Pointer, bytes int) (backend.Buffer, error) {
	if bytes < 0 || (ptr == nil && bytes > 0) {
		return nil, quant.Errorf(backend.ErrShape, d.name(), "wrapped buffer", "an address and at least 0 bytes", "%d bytes at %p", bytes, ptr)
	}
	if err := d.book.Add(func(a *backend.Alive) { a.Buffers++ }); err != nil { // from here on the engine stays
		return nil, err
	}
	p := driver.Ptr(uintptr(ptr))
	if bytes > 0 {
		if err := d.engine.CheckPointer(p, int64(bytes)); err != nil {
			d.book.Count(func(a *backend.Alive) { a.Buffers-- })
			return nil, quant.Errorf(backend.ErrUnsupported, d.name(), "wrapped buffer", "memory that the engine takes", "%d bytes at %p: %v", bytes, ptr, err)
		}
	}
	return &buffer{dev: d, ptr: p, len: bytes}, nil
}

// NewStream implements backend.Device.
func (d *Device) NewStream() (backend.Stream, error) { return d.newStream(0) }

// WrapStream implements backend.Device: handle is an in-order queue of the
// engine's device and context. There is no default queue: 0 is a new one.
func (d *Device) WrapStream(handle uintptr) (backend.Stream, error) { return d.newStream(handle) }

func (d *Device) newStream(handle uintptr) (*Stream, error) {
	// It counts before it is made: the engine then stays while it is.
	count := func(a *backend.Alive) { a.Streams++ }
	var err error
	if handle == 0 {
		err = d.book.Admit("stream", count)
	} else {
		err = d.book.Add(count)
	}
	if err != nil {
		return nil, err
	}
	s, err := d.queue(handle)
	if err != nil {
		d.book.Count(func(a *backend.Alive) { a.Streams-- })
		return nil, err
	}
	made := &Stream{dev: d, stream: s, bound: map[*Layer]driver.Binding{}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[made] = struct{}{}
	return made, nil
}

// queue makes a stream, or takes the caller's.
func (d *Device) queue(handle uintptr) (s driver.Stream, err error) {
	if handle == 0 {
		s, err = d.engine.NewStream()
	} else {
		s, err = d.engine.WrapStream(handle)
	}
	switch {
	case errors.Is(err, driver.ErrUnimplemented):
		return nil, quant.Errorf(backend.ErrUnsupported, d.name(), "native stream", "one of the engine's own run-time", "%#x: %v", handle, err)
	case err != nil:
		return nil, d.check(fmt.Errorf("%s: stream: %w", d.name(), err))
	}
	return s, nil
}

// Close implements backend.Device. ErrBusy says what is still open.
func (d *Device) Close() error {
	if first, err := d.book.Close(); err != nil || !first {
		return err
	}
	return d.engine.Close()
}
