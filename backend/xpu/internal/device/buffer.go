package device

import (
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
)

// buffer is device memory, ours or the caller's. An empty one has none.
type buffer struct {
	dev    *Device
	memory driver.Memory // nil: the caller's, or empty
	ptr    driver.Ptr
	len    int
	ours   bool
	closed atomic.Bool
}

func (b *buffer) Device() backend.Device { return b.dev }
func (b *buffer) Len() int               { return b.len }
func (b *buffer) Host() []byte           { return nil }
func (b *buffer) Closed() bool           { return b.closed.Load() }

func (b *buffer) Addr() uintptr {
	if b.closed.Load() {
		return 0
	}
	return uintptr(b.ptr)
}

func (b *buffer) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if b.ours {
		return b.dev.drop(b.memory, int64(b.len))
	}
	b.dev.book.Count(func(a *backend.Alive) { a.Buffers-- })
	return nil
}
