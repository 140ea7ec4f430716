package hostmem

import (
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/internal/ledger"
	"github.com/bitlane/bitlane/internal/hugepage"
	"github.com/bitlane/bitlane/quant"
)

// Device is a backend.Device in host memory. Use it as it is, or embed the
// pointer and call Bind. It is safe for use by several goroutines.
type Device struct {
	info    backend.DeviceInfo
	outer   backend.Device
	book    *ledger.Book
	weights hugepage.Arena // of all layers
}

var (
	_ backend.Device        = (*Device)(nil)
	_ backend.FaultInjector = (*Device)(nil)
	_ backend.Counter       = (*Device)(nil)
)

// New returns a device that describes itself as info. Of o it uses MemoryLimit.
func New(info backend.DeviceInfo, o backend.OpenOptions) *Device {
	d := &Device{info: info, book: ledger.New(info.Backend+":"+info.ID, o.MemoryLimit)}
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

// Mem returns the bytes left under the memory limit and the limit. Without a
// limit it returns what the machine has, ErrUnsupported where that is not known.
func (d *Device) Mem() (free, total int64, err error) {
	if err := d.book.Usable(); err != nil {
		return 0, 0, err
	}
	if limit, left := d.book.Limit(); limit > 0 {
		return left, limit, nil
	}
	return machineMemory()
}

// machineTotal is the machine's memory in bytes, or what one process can address
// at most.
var machineTotal = sync.OnceValue(func() int64 {
	if _, total, err := machineMemory(); err == nil && total > 0 {
		return total
	}
	return math.MaxInt64 >> 16
})

// FailAlloc implements backend.FaultInjector. Buffers, streams and events count.
func (d *Device) FailAlloc(n int) int { return d.book.FailAlloc(n) }

// Alive implements backend.Counter. Wrapped buffers and streams count, their
// bytes do not.
func (d *Device) Alive() backend.Alive { return d.book.Alive() }

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
	return d.book.Take(what, int64(bytes), machineTotal())
}

// undo drops what the system then refused, and returns the error for it.
func (d *Device) undo(what string, bytes int, why error) error {
	d.book.Drop(int64(bytes))
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
	if err := d.book.Add(func(a *backend.Alive) { a.Buffers++ }); err != nil {
		return nil, err
	}
	mem := []byte{}
	if bytes > 0 {
		mem = unsafe.Slice((*byte)(ptr), bytes)
	}
	return newBuffer(d, mem, 0), nil
}

// NewStream implements backend.Device.
func (d *Device) NewStream() (backend.Stream, error) {
	if err := d.book.Admit("stream", func(a *backend.Alive) { a.Streams++ }); err != nil {
		return nil, err
	}
	return &stream{dev: d}, nil
}

// WrapStream implements backend.Device. Host memory has no native streams but
// the default one, 0.
func (d *Device) WrapStream(handle uintptr) (backend.Stream, error) {
	if handle != 0 {
		return nil, quant.Errorf(backend.ErrUnsupported, d.name(), "native stream", "0: host memory has no others", "%#x", handle)
	}
	if err := d.book.Add(func(a *backend.Alive) { a.Streams++ }); err != nil {
		return nil, err
	}
	return &stream{dev: d}, nil
}

// Close implements backend.Device. ErrBusy says what is still open.
func (d *Device) Close() error {
	_, err := d.book.Close()
	return err
}
