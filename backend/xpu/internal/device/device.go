package device

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// Device is an open engine. It is safe for use by several goroutines.
type Device struct {
	info      backend.DeviceInfo
	engine    driver.Engine
	library   driver.Facts
	reference bool  // reference implementations are taken
	limit     int64 // bytes that may be allocated; 0: what the device has

	mu     sync.Mutex // held while the driver is called by Close alone
	closed bool
	lost   error // the first failure of the run-time
	alive  backend.Alive
	open   map[*Stream]struct{} // streams that are not closed
	failIn int                  // allocations that still succeed before the injected fault; -1: no fault
	allocs int                  // since the last FailAlloc
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

// Engine says what the engine is.
func (d *Device) Engine() driver.EngineFacts { return d.engine.Facts() }

// Library says what oneDNN it is of.
func (d *Device) Library() driver.Facts { return d.library }

// Reference reports whether reference implementations are taken.
func (d *Device) Reference() bool { return d.reference }

func (d *Device) name() string { return d.info.Address() }

// usable is the error of a closed or lost device. Called with mu held.
func (d *Device) usable() error {
	if d.closed {
		return quant.Errorf(backend.ErrClosed, d.name(), "", "an open device", "closed")
	}
	return d.lost
}

// check keeps err where it means that the device is lost, and returns it.
func (d *Device) check(err error) error {
	if err == nil || !errors.Is(err, backend.ErrDeviceLost) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost == nil {
		d.lost = fmt.Errorf("%s does not work any more: %w", d.info, err)
	}
	return d.lost
}

// Mem implements backend.Device. oneDNN does not say how much memory there is:
// without a limit that is ErrUnsupported.
func (d *Device) Mem() (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return 0, 0, err
	}
	if d.limit == 0 {
		return 0, 0, quant.Errorf(backend.ErrUnsupported, d.name(), "memory", "a limit given to Open: oneDNN does not say how much there is", "unknown")
	}
	return d.limit - d.alive.Bytes, d.limit, nil
}

// admit counts an allocation of any kind and fails it where a fault was
// injected. Called with mu held.
func (d *Device) admit(what string) error {
	if err := d.usable(); err != nil {
		return err
	}
	d.allocs++
	if d.failIn < 0 {
		return nil
	}
	d.failIn--
	if d.failIn < 0 {
		return quant.Errorf(backend.ErrOutOfMemory, d.name(), what, "", "made to fail")
	}
	return nil
}

// FailAlloc implements backend.FaultInjector. Buffers, streams and events count.
func (d *Device) FailAlloc(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	counted := d.allocs
	d.allocs, d.failIn = 0, max(n, -1)
	return counted
}

// Alive implements backend.Counter. Wrapped buffers and streams count, their
// bytes do not.
func (d *Device) Alive() backend.Alive {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.alive
}

// take allocates device memory at a multiple of backend.WorkspaceAlign and
// counts it as a buffer. 0 bytes are no memory.
func (d *Device) take(what string, bytes int64) (driver.Memory, driver.Ptr, error) {
	if bytes < 0 {
		return nil, 0, quant.Errorf(backend.ErrShape, d.name(), what, "at least 0 bytes", "%d bytes", bytes)
	}
	if err := d.reserve(what, bytes); err != nil || bytes == 0 {
		return nil, 0, err
	}
	m, err := d.engine.Alloc(bytes)
	if err == nil {
		return m, m.Pointer(), nil
	}
	d.count(func(a *backend.Alive) { a.Buffers--; a.Bytes -= bytes })
	if errors.Is(err, backend.ErrOutOfMemory) {
		return nil, 0, quant.Errorf(backend.ErrOutOfMemory, d.name(), "free memory", fmt.Sprintf("%d bytes for %s", bytes, what), "less: %v", err)
	}
	return nil, 0, d.check(fmt.Errorf("%s: %s of %d bytes: %w", d.name(), what, bytes, err))
}

// reserve counts memory that is about to be allocated.
func (d *Device) reserve(what string, bytes int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.admit(what); err != nil {
		return err
	}
	if d.limit > 0 && bytes > d.limit-d.alive.Bytes {
		return quant.Errorf(backend.ErrOutOfMemory, d.name(), "free memory", fmt.Sprintf("%d bytes", bytes), "%d bytes of the limit", d.limit-d.alive.Bytes)
	}
	d.alive.Buffers++
	d.alive.Bytes += bytes
	return nil
}

// count changes what is counted as alive.
func (d *Device) count(change func(*backend.Alive)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.alive)
}

// drop frees what take returned, when no enqueued work can use it any more:
// oneDNN's run-times free at once.
func (d *Device) drop(m driver.Memory, bytes int64) (err error) {
	if m != nil {
		err = errors.Join(d.settle(), d.check(m.Close()))
	}
	d.count(func(a *backend.Alive) { a.Buffers--; a.Bytes -= bytes })
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
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return nil, err
	}
	p := driver.Ptr(uintptr(ptr))
	if bytes > 0 {
		if err := d.engine.CheckPointer(p, int64(bytes)); err != nil {
			return nil, quant.Errorf(backend.ErrUnsupported, d.name(), "wrapped buffer", "memory that the engine takes", "%d bytes at %p: %v", bytes, ptr, err)
		}
	}
	d.alive.Buffers++
	return &buffer{dev: d, ptr: p, len: bytes}, nil
}

// NewStream implements backend.Device.
func (d *Device) NewStream() (backend.Stream, error) { return d.newStream(0) }

// WrapStream implements backend.Device: handle is an in-order queue of the
// engine's device and context. There is no default queue: 0 is a new one.
func (d *Device) WrapStream(handle uintptr) (backend.Stream, error) { return d.newStream(handle) }

func (d *Device) newStream(handle uintptr) (*Stream, error) {
	d.mu.Lock()
	err := d.usable()
	if handle == 0 {
		err = d.admit("stream")
	}
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var s driver.Stream
	if handle == 0 {
		s, err = d.engine.NewStream()
	} else {
		s, err = d.engine.WrapStream(handle)
	}
	if err != nil {
		return nil, d.check(fmt.Errorf("%s: stream: %w", d.name(), err))
	}
	made := &Stream{dev: d, stream: s, bound: map[*Layer]driver.Binding{}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alive.Streams++
	d.open[made] = struct{}{}
	return made, nil
}

// Close implements backend.Device. ErrBusy says what is still open.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.alive; a.Buffers+a.Streams+a.Events+a.Layers > 0 {
		return quant.Errorf(backend.ErrBusy, d.name(), "", "all closed first",
			"%d layers, %d buffers, %d streams and %d events still open", a.Layers, a.Buffers, a.Streams, a.Events)
	}
	if d.closed {
		return nil
	}
	d.closed = true
	return d.engine.Close()
}
