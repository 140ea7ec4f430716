//go:build cuda && cgo && linux

package driver

//#include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/bitlane/bitlane/backend"
)

// Package cu's types are structs of one pointer: a handle becomes one of them,
// and back, by its bits. The lines do not compile where that is not so.
var (
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.CUContext{})]byte{}
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.Module{})]byte{}
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.Function{})]byte{}
)

type context struct {
	handle     uintptr
	properties Properties
	primary    *cu.Device // to release; nil for the caller's context
	closed     atomic.Bool

	mu     sync.RWMutex
	pinned map[uintptr]int // page-locked memory: bytes at each address

	dense dense
}

func (s system) Open(ordinal int, native uintptr) (Context, error) {
	properties, device, err := describe(ordinal)
	if err != nil {
		return nil, err
	}
	c := &context{handle: native, properties: properties, pinned: map[uintptr]int{}}
	if native == 0 {
		primary, err := device.RetainPrimaryCtx()
		if err != nil {
			return nil, fromCU("cuDevicePrimaryCtxRetain of device "+properties.Name, err)
		}
		c.handle, c.primary = *(*uintptr)(unsafe.Pointer(&primary)), &device
		return c, nil
	}
	err = c.run("cuCtxGetDevice", func() error {
		found, err := cu.CurrentDevice()
		if err == nil && found != device {
			return fmt.Errorf("%w: the context is of device %d, not %d", backend.ErrDevice, int(found), int(device))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// run calls f of package cu on a thread whose current context is c. It is for
// what is not called often: the other calls are single ones, in C.
func (c *context) run(call string, f func() error) error {
	if c.closed.Load() {
		return backend.ErrClosed
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.PushCurrentCtx(*(*cu.CUContext)(unsafe.Pointer(&c.handle))); err != nil {
		return fromCU("cuCtxPushCurrent", err)
	}
	err := fromCU(call, f())
	if _, popped := cu.PopCurrentCtx(); err == nil {
		err = fromCU("cuCtxPopCurrent", popped)
	}
	return err
}

func (c *context) Properties() Properties { return c.properties }

func (c *context) Handle() uintptr { return c.handle }

func (c *context) Mem() (free, total int64, err error) {
	err = c.run("cuMemGetInfo", func() (err error) {
		free, total, err = cu.MemInfo()
		return err
	})
	return free, total, err
}

func (c *context) Alloc(bytes int64) (Ptr, error) {
	if bytes < 0 {
		return 0, fmt.Errorf("%w: alloc of %d bytes", backend.ErrShape, bytes)
	}
	var p cu.DevicePtr
	if bytes == 0 {
		return 0, c.open()
	}
	err := c.run(fmt.Sprintf("cuMemAlloc of %d bytes", bytes), func() (err error) {
		p, err = cu.MemAlloc(bytes)
		return err
	})
	return Ptr(p), err
}

func (c *context) Free(p Ptr) error {
	if p == 0 {
		return c.open()
	}
	return c.run("cuMemFree", func() error { return cu.MemFree(cu.DevicePtr(p)) })
}

func (c *context) Sync() error { return c.run("cuCtxSynchronize", cu.Synchronize) }

func (c *context) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	err := c.dense.close(c.handle)
	if c.primary != nil {
		err = errors.Join(err, fromCU("cuDevicePrimaryCtxRelease", c.primary.ReleasePrimaryCtx()))
	}
	return err
}

func (c *context) open() error {
	if c.closed.Load() {
		return backend.ErrClosed
	}
	return nil
}

// same reports whether what was made in other can be used in c.
func (c *context) same(other *context) bool { return c.handle == other.handle }

func (c *context) AllocHost(bytes int) ([]byte, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("%w: page-locked memory of %d bytes", backend.ErrShape, bytes)
	}
	if err := c.open(); err != nil || bytes == 0 {
		return nil, err
	}
	var p C.uintptr_t
	if code := C.bitlane_host_alloc(c.c(), C.size_t(bytes), &p); code != 0 {
		return nil, newError(fmt.Sprintf("cuMemHostAlloc of %d bytes", bytes), int(code))
	}
	c.mu.Lock()
	c.pinned[uintptr(p)] = bytes
	c.mu.Unlock()
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), bytes), nil
}

func (c *context) FreeHost(memory []byte) error {
	if err := c.open(); err != nil || memory == nil {
		return err
	}
	p := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	c.mu.Lock()
	bytes, ok := c.pinned[p]
	if ok = ok && bytes == len(memory); ok {
		delete(c.pinned, p)
	}
	c.mu.Unlock()
	if !ok {
		return fmt.Errorf("free of %d bytes: %w", len(memory), errNotPinned)
	}
	return failed("cuMemFreeHost", C.bitlane_host_free(c.c(), C.uintptr_t(p)))
}

var errNotPinned = fmt.Errorf("%w: not page-locked memory of this context", backend.ErrDevice)

// pinnedAt returns the address of memory that lies in what AllocHost returned.
// The driver keeps it after the call, which for Go's memory must not be.
func (c *context) pinnedAt(memory []byte) (C.uintptr_t, error) {
	p := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	c.mu.RLock()
	defer c.mu.RUnlock()
	for base, bytes := range c.pinned {
		if p >= base && p-base <= uintptr(bytes) && len(memory) <= bytes-int(p-base) {
			return C.uintptr_t(p), nil
		}
	}
	return 0, fmt.Errorf("copy of %d bytes: %w", len(memory), errNotPinned)
}

func (c *context) c() C.uintptr_t { return C.uintptr_t(c.handle) }
