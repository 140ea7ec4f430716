//go:build linux && xpu

package cabi

import (
	"bytes"
	"unsafe"
)

// Frame is what a call needs beside its arguments: room for results that a
// function writes, and for the text of an error. One call at a time may use it;
// who calls often keeps one.
type Frame struct {
	args [MaxArgs]uintptr
	outs [2]uintptr
	keep [2]unsafe.Pointer
	text [512]byte
}

// NewFrame returns a Frame. Its address is given to C, so it must not be on a
// goroutine's stack, which moves: nothing else makes one.
//
//go:noinline
func NewFrame() *Frame { return new(Frame) }

// Out returns the address of result i, 0 or 1, and clears it.
func (f *Frame) Out(i int) uintptr {
	f.outs[i] = 0
	return uintptr(unsafe.Pointer(&f.outs[i]))
}

// Result returns what the last call wrote to result i.
func (f *Frame) Result(i int) uintptr { return f.outs[i] }

// Text returns the address of the room for a text, and clears the text.
func (f *Frame) Text() uintptr {
	f.text[0] = 0
	return uintptr(unsafe.Pointer(&f.text[0]))
}

// TextBytes is the size of that room.
func (f *Frame) TextBytes() uintptr { return uintptr(len(f.text)) }

// String returns the text that the last call wrote.
func (f *Frame) String() string {
	text, _, _ := bytes.Cut(f.text[:], []byte{0})
	return string(text)
}

// Keep returns the address of Go memory for the next call, and makes sure that
// it stays where it is, not on a stack, until Drop. i is 0 or 1.
func (f *Frame) Keep(i int, p unsafe.Pointer) uintptr {
	f.keep[i] = p
	return uintptr(p)
}

// Drop forgets what Keep kept.
func (f *Frame) Drop() { f.keep = [2]unsafe.Pointer{} }
