//go:build cuda && cgo && linux

package lazy

/*
#cgo CFLAGS: -I/usr/local/cuda/include -I/usr/local/cuda-11.0/targets/x86_64-linux/include -I/usr/local/cuda-10.2/include/ -I/opt/cuda/include
#cgo LDFLAGS: -L${SRCDIR} -Wl,--as-needed -ldl
#include "lazy.h"
*/
import "C"

import (
	_ "github.com/bitlane/bitlane/csrc/cuda" // so that vendoring takes the header along
)

// Library is the file that Load looks for, where the system's loader looks:
// LD_LIBRARY_PATH, then the system's own places.
const Library = "libcuda.so.1"

// State is what became of loading the driver's library.
type State struct {
	Loaded  bool   // it is in the process
	Text    string // the loader's words where it is not
	Version int    // of CUDA that the driver is made for, 1000*major + 10*minor; 0: unknown
	Missing string // a symbol that bitlane needs and that the library lacks, or ""
	Code    int    // the CUresult of its cuInit, 0 for success
}

// Load loads the driver's library if that was not tried yet. Any goroutine may
// call it; what it returns never changes while the process lives.
func Load() State {
	s := C.bitlane_cuda_load()
	state := State{Loaded: s.loaded != 0, Text: C.GoString(&s.text[0]), Version: int(s.version), Code: int(s.code)}
	if s.missing != nil {
		state.Missing = C.GoString(s.missing)
	}
	return state
}
