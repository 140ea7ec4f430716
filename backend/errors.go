package backend

import (
	"errors"

	"github.com/bitlane/bitlane/quant"
)

// The classes of errors; use errors.Is. The first four are quant's own.
var (
	ErrUnsupported    = quant.ErrUnsupported
	ErrShape          = quant.ErrShape
	ErrDType          = quant.ErrDType
	ErrFormat         = quant.ErrFormat
	ErrNotBuilt       = errors.New("not built in")        // the build tag is missing
	ErrNotImplemented = errors.New("not implemented yet") // built in, but has no kernels yet
	ErrNoDevice       = errors.New("no device")           // no driver, no hardware, or no device of that id
	ErrDeviceLost     = errors.New("device lost")         // a sticky error: the device must be closed
	ErrOutOfMemory    = errors.New("out of memory")       // the message has the sizes
	ErrDevice         = errors.New("wrong device")        // a buffer, stream or layer of another device
	ErrBusy           = errors.New("busy")                // still in use
	ErrClosed         = errors.New("closed")              // used after Close
)

// Absence is the error of a backend that has no device to offer: of class
// ErrNotBuilt, ErrNotImplemented or ErrNoDevice.
type Absence struct {
	Class   error
	Backend string // its name
	Why     string // "not built in: build with -tags cuda"
}

// Error returns Why.
func (a *Absence) Error() string { return a.Why }

// Unwrap returns the class.
func (a *Absence) Unwrap() error { return a.Class }
