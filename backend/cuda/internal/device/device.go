package device

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/internal/ledger"
	"github.com/bitlane/bitlane/quant"
)

// Device is an open CUDA device. It is safe for use by several goroutines.
type Device struct {
	info    backend.DeviceInfo
	context driver.Context
	book    *ledger.Book

	mu       sync.Mutex // held while the driver is called by Close alone
	captures int        // streams that record
	modules  map[string]*loading
}

// loading is a module, loaded by the first who needs it.
type loading struct {
	once   sync.Once
	module driver.Module
	err    error
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
		return nil, quant.Errorf(backend.ErrDevice, "device", "", "a CUDA device", "nil")
	}
	return nil, quant.Errorf(backend.ErrDevice, dev.Info().String(), "", "a CUDA device", "another")
}

// Info implements backend.Device; also after Close.
func (d *Device) Info() backend.DeviceInfo { return d.info }

// Properties returns what the driver says of the device.
func (d *Device) Properties() driver.Properties { return d.context.Properties() }

func (d *Device) name() string { return d.info.Address() }

// check keeps err where it means that the device is lost, and returns it.
func (d *Device) check(err error) error {
	if err == nil || !errors.Is(err, backend.ErrDeviceLost) {
		return err
	}
	return d.book.Lose(fmt.Errorf("%s does not work any more: %w", d.info, err))
}

// Mem implements backend.Device. Under a memory limit, free is at most what is left of it.
func (d *Device) Mem() (free, total int64, err error) {
	if err := d.book.Usable(); err != nil {
		return 0, 0, err
	}
	if free, total, err = d.context.Mem(); err != nil {
		return 0, 0, d.check(err)
	}
	if limit, left := d.book.Limit(); limit > 0 {
		total, free = min(total, limit), min(free, left)
	}
	return free, total, nil
}

// FailAlloc implements backend.FaultInjector. Buffers, streams, events and plans
// count.
func (d *Device) FailAlloc(n int) int { return d.book.FailAlloc(n) }

// Alive implements backend.Counter. Wrapped buffers and streams count, their
// bytes do not.
func (d *Device) Alive() backend.Alive { return d.book.Alive() }

// take allocates device memory and counts it as a buffer.
func (d *Device) take(what string, bytes int64) (driver.Ptr, error) {
	if err := d.book.Take(what, bytes, 0); err != nil {
		return 0, err
	}
	p, err := d.context.Alloc(bytes)
	if err == nil {
		return p, nil
	}
	d.book.Drop(bytes)
	if errors.Is(err, backend.ErrOutOfMemory) {
		free, total, _ := d.context.Mem()
		return 0, quant.Errorf(backend.ErrOutOfMemory, d.name(), "free memory", fmt.Sprintf("%d bytes for %s", bytes, what), "%d of %d bytes: %v", free, total, err)
	}
	return 0, d.check(fmt.Errorf("%s: %s of %d bytes: %w", d.name(), what, bytes, err))
}

// drop frees what take returned.
func (d *Device) drop(p driver.Ptr, bytes int64) error {
	err := d.check(d.context.Free(p))
	d.book.Drop(bytes)
	return err
}

// Alloc implements backend.Device.
func (d *Device) Alloc(bytes int) (backend.Buffer, error) {
	p, err := d.take("buffer", int64(bytes))
	if err != nil {
		return nil, err
	}
	return &buffer{dev: d, ptr: p, len: bytes, ours: true}, nil
}

// WrapBuffer implements backend.Device: ptr is a device address.
func (d *Device) WrapBuffer(ptr unsafe.Pointer, bytes int) (backend.Buffer, error) {
	if bytes < 0 || (ptr == nil && bytes > 0) {
		return nil, quant.Errorf(backend.ErrShape, d.name(), "wrapped buffer", "an address and at least 0 bytes", "%d bytes at %p", bytes, ptr)
	}
	if err := d.book.Add(func(a *backend.Alive) { a.Buffers++ }); err != nil {
		return nil, err
	}
	return &buffer{dev: d, ptr: driver.Ptr(uintptr(ptr)), len: bytes}, nil
}

// NewStream implements backend.Device.
func (d *Device) NewStream() (backend.Stream, error) {
	if err := d.book.Admit("stream", func(a *backend.Alive) { a.Streams++ }); err != nil {
		return nil, err
	}
	s, err := d.context.NewStream()
	return d.stream(s, false, err)
}

// WrapStream implements backend.Device: handle is a CUstream. What the caller
// records in it with calls of the driver's own holds no layers.
func (d *Device) WrapStream(handle uintptr) (backend.Stream, error) {
	if err := d.book.Add(func(a *backend.Alive) { a.Streams++ }); err != nil {
		return nil, err
	}
	s, err := d.context.WrapStream(handle)
	return d.stream(s, true, err)
}

// stream is one that is counted already: the context stays while it is made.
func (d *Device) stream(s driver.Stream, wrapped bool, err error) (backend.Stream, error) {
	if err != nil {
		d.book.Count(func(a *backend.Alive) { a.Streams-- })
		return nil, d.check(fmt.Errorf("%s: stream: %w", d.name(), err))
	}
	return &Stream{dev: d, stream: s, wrapped: wrapped}, nil
}

// Function returns a kernel of the PTX that ptx returns, loaded once for the
// device under its name.
func (d *Device) Function(module string, ptx func() []byte, kernel string) (driver.Function, error) {
	d.mu.Lock()
	if err := d.book.Usable(); err != nil {
		d.mu.Unlock()
		return nil, err
	}
	m := d.modules[module]
	if m == nil {
		m = new(loading)
		d.modules[module] = m
	}
	d.mu.Unlock()
	m.once.Do(func() { m.module, m.err = d.context.Load(module, ptx()) })
	if m.err != nil {
		d.mu.Lock()
		if d.modules[module] == m { // so that another try loads it again
			delete(d.modules, module)
		}
		d.mu.Unlock()
		return nil, d.check(fmt.Errorf("%s: %w", d.name(), m.err))
	}
	f, err := m.module.Function(kernel)
	return f, d.check(err)
}

// idle waits for all work of the device. It is ErrBusy while a stream records:
// CUDA allows no waiting for a context then.
func (d *Device) idle(what string) error {
	if d.book.Lost() != nil {
		return nil // there is no work any more
	}
	d.mu.Lock()
	captures := d.captures
	d.mu.Unlock()
	if captures > 0 {
		return quant.Errorf(backend.ErrBusy, what, "", "EndCapture first", "%d streams of the device record", captures)
	}
	if err := d.check(d.context.Sync()); err != nil && !errors.Is(err, backend.ErrDeviceLost) {
		return fmt.Errorf("%s: work of it may still run: %w", what, err)
	}
	return nil
}

// Close implements backend.Device. ErrBusy says what is still open.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if first, err := d.book.Close(); err != nil || !first {
		return err
	}
	var errs []error
	for _, m := range d.modules {
		if m.module != nil {
			errs = append(errs, m.module.Close())
		}
	}
	d.modules = nil
	return errors.Join(append(errs, d.context.Close())...)
}
