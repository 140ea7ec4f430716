//go:build !linux && !darwin

package hugepage

import (
	"fmt"
	"runtime"
	"unsafe"
)

// obtain returns bytes > 0 of Go's heap. The run-time panics on lengths that it
// cannot address.
func obtain(bytes int) (mem []byte, mapped int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return heap(bytes), 0, nil
}

// unmap is never called: no block is mapped.
func unmap(unsafe.Pointer, int) error { return nil }

// probe knows no portable way to ask.
func probe() Pages { return Pages{Reason: "huge pages are not used on " + runtime.GOOS} }
