//go:build cuda && cgo && linux

package cublaslt

/*
#cgo CFLAGS: -I/usr/local/cuda/include -I/opt/cuda/include
#cgo LDFLAGS: -ldl
#include "load.h"
*/
import "C"

import (
	_ "github.com/bitlane/bitlane/csrc/cuda/lazy" // defines the functions of the driver API
)

// State is what became of loading the library.
type State struct {
	File    string // the one in the process, "libcublasLt.so.12"; "" where none is
	Version [3]int // its version: major, minor, patch level
	Missing string // a function that it lacks, or ""
	Driver  int    // the driver's CUDA version, 1000*major + 10*minor; 0: unknown
	Tried   []Tried
}

// Tried is a file that was looked for in vain.
type Tried struct {
	File string
	Text string // the loader's words
}

// Load loads the library if that was not tried yet. Any goroutine may call it;
// what it returns never changes while the process lives.
func Load() State {
	s := C.bitlane_lt_load()
	state := State{Driver: int(s.driver)}
	if s.file != nil {
		state.File = C.GoString(s.file)
	}
	for i := range state.Version {
		state.Version[i] = int(s.version[i])
	}
	if s.missing != nil {
		state.Missing = C.GoString(s.missing)
	}
	for i := range s.tried {
		if t := &s.tried[i]; t.file != nil {
			state.Tried = append(state.Tried, Tried{C.GoString(t.file), C.GoString(&t.text[0])})
		}
	}
	return state
}
