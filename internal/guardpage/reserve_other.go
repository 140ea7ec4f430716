//go:build !linux && !darwin

package guardpage

import "unsafe"

// Guarded says whether a step too far faults.
const Guarded = false

// reserve returns ordinary memory.
func reserve(n int) (inner unsafe.Pointer, size int, free func() error, err error) {
	mem := make([]byte, n+1) // one more, so that there is an address
	return unsafe.Pointer(unsafe.SliceData(mem)), n, func() error { return nil }, nil
}
