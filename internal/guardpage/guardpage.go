// Package guardpage lends tests memory that touches a page without access, so
// that code that reads or writes one byte too far, as assembly can, faults.
//
// Where the package knows no such page (systems other than Linux and macOS) the
// memory is an ordinary slice and Guarded is false.
package guardpage

import (
	"testing"
	"unsafe"
)

// End returns n zero bytes whose last byte is the last before a page without
// access. They start at any address; the memory before them, on the same page,
// may be read. n may be 0. t's end frees them.
func End(t testing.TB, n int) []byte {
	t.Helper()
	inner, lead := pages(t, n)
	return unsafe.Slice((*byte)(unsafe.Add(inner, lead)), n)
}

// Begin returns n zero bytes whose first byte is the first after a page without
// access, so that they are aligned to a page. n may be 0. t's end frees them.
func Begin(t testing.TB, n int) []byte {
	t.Helper()
	inner, _ := pages(t, n)
	return unsafe.Slice((*byte)(inner), n)
}

// pages returns whole pages for n bytes between two pages without access, and
// the bytes of them that are not needed.
func pages(t testing.TB, n int) (inner unsafe.Pointer, lead int) {
	t.Helper()
	const most = 1 << 40 // bytes, far more than a test wants, so that nothing here wraps around
	if n < 0 || n > most {
		t.Fatalf("guardpage: %d bytes", n)
	}
	inner, size, free, err := reserve(n)
	if err != nil {
		t.Fatalf("guardpage: %d bytes: %v", n, err)
	}
	t.Cleanup(func() {
		if err := free(); err != nil {
			t.Errorf("guardpage: %v", err)
		}
	})
	return inner, size - n
}
