package hostmem

import (
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// Device is a backend.Device in host memory. Use it as it is, or embed the
// pointer and call Bind. It is safe for use by several goroutines.
type Device struct {
	info  backend.DeviceInfo
	outer backend.Device
	limit int64 // bytes; 0: what the machine has

	mu     sync.Mutex
	closed bool
	alive  backend.Alive
	failIn int // allocations that still succeed before the injected fault; -1: no fault
	allocs int // since the last FailAlloc
}

var (
	_ backend.Device        = (*Device)(nil)
	_ backend.FaultInjector = (*Device)(nil)
	_ backend.Counter       = (*Device)(nil)
)

// New returns a device that describes itself as info. Of o it uses MemoryLimit.
func New(info backend.DeviceInfo, o backend.OpenOptions) *Device {
	d := &Device{info: info, limit: max(o.MemoryLimit, 0), failIn: -1}
	d.outer = d
	return d
}

// Bind makes outer, which embeds d, the device that buffers, streams, events
// and layers name as theirs. Call it before anything is allocated.
func (d *Device) Bind(outer backend.Device) { d.outer = outer }

// holder is met by a *Device and by everything that embeds one.
type holder interface{ host() *Device }

func (d *Device) host() *Device { return d }

// Of returns the Device that dev is or embeds, or ErrDevice.
func Of(dev backend.Device) (*Device, error) {
	if h, ok := dev.(holder); ok {
		return h.host(), nil
	}
	if dev == nil {
		return nil, quant.Errorf(backend.ErrDevice, "device", "", "one in host memory", "nil")
	}
	return nil, quant.Errorf(backend.ErrDevice, dev.Info().String(), "", "a device in host memory", "memory elsewhere")
}

// Info describes the device; also after Close.
func (d *Device) Info() backend.DeviceInfo { return d.info }

func (d *Device) name() string { return d.info.Backend + ":" + d.info.ID }

func (d *Device) errClosed() error {
	return quant.Errorf(backend.ErrClosed, d.name(), "", "an open device", "closed")
}

// Mem returns the bytes left under the memory limit and the limit. Without a
// limit it returns what the machine has, ErrUnsupported where that is not known.
func (d *Device) Mem() (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, 0, d.errClosed()
	}
	if d.limit > 0 {
		return d.limit - d.alive.Bytes, d.limit, nil
	}
	return machineMemory()
}

// machineTotal is the machine's memory in bytes, 0 where it is not known.
var machineTotal = sync.OnceValue(func() int64 {
	_, total, err := machineMemory()
	if err != nil {
		return 0
	}
	return total
})

// room returns the bytes that may still be allocated. Called with mu held.
func (d *Device) room() int64 {
	limit := d.limit
	if limit == 0 {
		limit = math.MaxInt64 >> 16 // what one process can address at most
		if total := machineTotal(); total > 0 {
			limit = total
		}
	}
	return limit - d.alive.Bytes
}

// admit counts an allocation of any kind and fails it where a fault was
// injected. Called with mu held.
func (d *Device) admit(what string) error {
	if d.closed {
		return d.errClosed()
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

// Alloc implements backend.Device. The memory is zero or what it was before. It
// is of Go's heap, as the caller may still read it when another goroutine
// closes the buffer.
func (d *Device) Alloc(bytes int) (backend.Buffer, error) {
	if err := d.take("buffer", bytes); err != nil {
		return nil, err
	}
	mem, err := alignedBytes(bytes)
	if err != nil {
		return nil, d.undo("buffer", bytes, err)
	}
	return newBuffer(d, mem, int64(bytes)), nil
}

// take counts bytes of memory as a buffer, or says why they cannot be had.
func (d *Device) take(what string, bytes int) error {
	if bytes < 0 {
		return quant.Errorf(backend.ErrShape, d.name(), what, "at least 0 bytes", "%d bytes", bytes)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.admit(what); err != nil {
		return err
	}
	if room := d.room(); int64(bytes) > room {
		return quant.Errorf(backend.ErrOutOfMemory, d.name(), "free memory", fmt.Sprintf("%d bytes", bytes), "%d bytes", room)
	}
	d.alive.Buffers++
	d.alive.Bytes += int64(bytes)
	return nil
}

// drop undoes take.
func (d *Device) drop(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alive.Buffers--
	d.alive.Bytes -= bytes
}

// undo drops what the system then refused, and returns the error for it.
func (d *Device) undo(what string, bytes int, why error) error {
	d.drop(int64(bytes))
	return quant.Errorf(backend.ErrOutOfMemory, d.name(), what, "", "%v", why)
}

// alignedBytes returns n bytes at a multiple of backend.WorkspaceAlign.
func alignedBytes(n int) (b []byte, err error) {
	defer func() { // the run-time panics on lengths that it cannot address
		if r := recover(); r != nil {
			err = fmt.Errorf("%d bytes: %v", n, r)
		}
	}()
	if n == 0 {
		return []byte{}, nil
	}
	b = make([]byte, n+backend.WorkspaceAlign-1)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % backend.WorkspaceAlign
	return b[skip : int(skip)+n : int(skip)+n], nil
}

// WrapBuffer implements backend.Device. A nil ptr needs 0 bytes.
func (d *Device) WrapBuffer(ptr unsafe.Pointer, bytes int) (backend.Buffer, error) {
	if bytes < 0 || (ptr == nil && bytes > 0) {
		return nil, quant.Errorf(backend.ErrShape, d.name(), "wrapped buffer", "an address and at least 0 bytes", "%d bytes at %p", bytes, ptr)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, d.errClosed()
	}
	mem := []byte{}
	if bytes > 0 {
		mem = unsafe.Slice((*byte)(ptr), bytes)
	}
	d.alive.Buffers++
	return newBuffer(d, mem, 0), nil
}

// NewStream implements backend.Device.
func (d *Device) NewStream() (backend.Stream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.admit("stream"); err != nil {
		return nil, err
	}
	d.alive.Streams++
	return &stream{dev: d}, nil
}

// WrapStream implements backend.Device. Host memory has no native streams but
// the default one, 0.
func (d *Device) WrapStream(handle uintptr) (backend.Stream, error) {
	if handle != 0 {
		return nil, quant.Errorf(backend.ErrUnsupported, d.name(), "native stream", "0: host memory has no others", "%#x", handle)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, d.errClosed()
	}
	d.alive.Streams++
	return &stream{dev: d}, nil
}

// Close implements backend.Device. ErrBusy says what is still open.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.alive; a.Buffers+a.Streams+a.Events+a.Layers > 0 {
		return quant.Errorf(backend.ErrBusy, d.name(), "", "all closed first",
			"%d layers, %d buffers, %d streams and %d events still open", a.Layers, a.Buffers, a.Streams, a.Events)
	}
	d.closed = true
	return nil
}
