// Package xpu declares the interface of csrc/xpu/bitlane_xpu.h in Go: constants,
// structures, functions. A test compares the two. With the tag xpu, on linux, it
// has the functions themselves, as methods of Shim that do no more than to turn
// arguments and results into Go's.
//
// Handles of the shim's objects and device pointers are uintptr: what they
// name is not Go's memory.
package xpu

import "fmt"

// Error is a failure of a function of the shim.
type Error struct {
	Class Class
	Text  string
}

// Error returns the shim's text.
func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("xpu: error of class %d", e.Class)
	}
	return e.Text
}
