package driver

import (
	"errors"

	"github.com/bitlane/bitlane/backend"
)

// Class is a class of errors of the shim, in its numbers.
type Class int32

// The classes of errors.
const (
	NoLibrary Class = 1 + iota
	TooOld
	MissingSymbol
	NoEngine
	OutOfMemory
	Invalid
	Unimplemented
	Failed
	WrongImplementation
	Busy
)

// Errors to ask for with errors.Is, beside backend.ErrOutOfMemory,
// backend.ErrDeviceLost and backend.ErrBusy.
var (
	ErrNoEngine      = errors.New("no engine")
	ErrUnimplemented = errors.New("oneDNN has no implementation")
	ErrReference     = errors.New("only a reference implementation")
)

var sentinels = map[Class]error{
	NoEngine:            ErrNoEngine,
	OutOfMemory:         backend.ErrOutOfMemory,
	Unimplemented:       ErrUnimplemented,
	Failed:              backend.ErrDeviceLost,
	WrongImplementation: ErrReference,
	Busy:                backend.ErrBusy,
}

// Error is an error of the shim or of oneDNN.
type Error struct {
	Call  string // what was called: "stream_wait"
	Class Class
	Text  string // the shim's, which has oneDNN's or the loader's in it
}

// Error returns the call and the text.
func (e *Error) Error() string {
	if e.Call == "" {
		return e.Text
	}
	return e.Call + ": " + e.Text
}

// Unwrap returns the class as a sentinel, nil where it has none. A failure of
// the run-time is a lost device: oneDNN does not tell one that passes from one
// that stays, and what was enqueued may be half done.
func (e *Error) Unwrap() error { return sentinels[e.Class] }
