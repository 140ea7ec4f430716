package driver

import (
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/backend"
)

// Error is an error of the driver.
type Error struct {
	Call   string // what was called, with sizes where they matter: "cuMemAlloc of 4096 bytes"
	Code   int    // the CUresult
	Name   string // "CUDA_ERROR_OUT_OF_MEMORY"; "" where the driver has none
	Text   string // the driver's description; "" where it has none
	Detail string // more, over several lines: the compiler's log; mostly ""
}

// Codes of CUresult that are named in this package.
const (
	codeOutOfMemory = 2
	codeNotReady    = 600
)

// lost are the codes after which a context, or the device, answers every call
// with an error.
var lost = map[int]bool{
	214: true, // uncorrectable memory error
	220: true, // uncorrectable NVLink error
	226: true, // contained memory error
	700: true, // illegal address
	702: true, // launch timed out
	709: true, // context is destroyed
	710: true, // assertion in a kernel
	714: true, // hardware stack error
	715: true, // illegal instruction
	716: true, // misaligned address
	717: true, // invalid address space
	718: true, // invalid program counter
	719: true, // launch failed
	721: true, // tensor memory leak
	999: true, // unknown
}

// Error returns call, name, code and text, and the detail on lines of its own.
func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString(e.Call)
	s.WriteString(": ")
	if e.Name != "" {
		fmt.Fprintf(&s, "%s (%d)", e.Name, e.Code)
	} else {
		fmt.Fprintf(&s, "error %d", e.Code)
	}
	if e.Text != "" {
		s.WriteString(": ")
		s.WriteString(e.Text)
	}
	if e.Detail != "" {
		s.WriteString("\n")
		s.WriteString(strings.TrimRight(e.Detail, "\n"))
	}
	return s.String()
}

// Unwrap returns the class: backend.ErrOutOfMemory, backend.ErrDeviceLost for a
// code after which nothing works, or nil.
func (e *Error) Unwrap() error {
	switch {
	case e.Code == codeOutOfMemory:
		return backend.ErrOutOfMemory
	case lost[e.Code]:
		return backend.ErrDeviceLost
	}
	return nil
}
