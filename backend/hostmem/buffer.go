package hostmem

import (
	"sync/atomic"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
)

// buffer is memory of a Device. mem is nil after Close; Go's collector frees
// the memory when the last slice of it is gone, so that a Close in the wrong
// moment cannot crash a reader.
type buffer struct {
	dev  *Device
	mem  atomic.Pointer[[]byte]
	len  int
	ours int64 // bytes that count towards the device; 0 when wrapped
}

// newBuffer makes a buffer that is counted already.
func newBuffer(d *Device, mem []byte, ours int64) *buffer {
	b := &buffer{dev: d, len: len(mem), ours: ours}
	b.mem.Store(&mem)
	return b
}

func (b *buffer) Device() backend.Device { return b.dev.outer }
func (b *buffer) Len() int               { return b.len }
func (b *buffer) Closed() bool           { return b.mem.Load() == nil }

func (b *buffer) Host() []byte {
	if m := b.mem.Load(); m != nil {
		return *m
	}
	return nil
}

func (b *buffer) Addr() uintptr {
	if m := b.mem.Load(); m != nil && len(*m) > 0 {
		return uintptr(unsafe.Pointer(unsafe.SliceData(*m)))
	}
	return 0
}

func (b *buffer) Close() error {
	if b.mem.Swap(nil) == nil {
		return nil
	}
	b.dev.book.Drop(b.ours)
	return nil
}
