//go:build cuda && cgo && linux

package driver

//#include "shim.h"
import "C"

import (
	"fmt"
	"time"

	"github.com/bitlane/bitlane/backend"
)

type event struct {
	context *context
	handle  C.uintptr_t // 0 after Close
}

func (c *context) NewEvent(timed bool) (Event, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	timing := C.int(0)
	if timed {
		timing = 1
	}
	e := &event{context: c}
	if code := C.bitlane_event_create(c.c(), timing, &e.handle); code != 0 {
		return nil, newError("cuEventCreate", int(code))
	}
	return e, nil
}

func (e *event) open() error {
	if e.handle == 0 {
		return backend.ErrClosed
	}
	return e.context.open()
}

// eventOf checks that e is an open event of c.
func (c *context) eventOf(e Event) (*event, error) {
	own, ok := e.(*event)
	if !ok || !c.same(own.context) {
		return nil, fmt.Errorf("%w: an event of another context", backend.ErrDevice)
	}
	return own, own.open()
}

func (s *stream) Record(e Event) error {
	if err := s.open(); err != nil {
		return err
	}
	own, err := s.context.eventOf(e)
	if err != nil {
		return err
	}
	return failed("cuEventRecord", C.bitlane_event_record(s.context.c(), s.c(), own.handle))
}

func (s *stream) Wait(e Event) error {
	if err := s.open(); err != nil {
		return err
	}
	own, err := s.context.eventOf(e)
	if err != nil {
		return err
	}
	return failed("cuStreamWaitEvent", C.bitlane_event_wait(s.context.c(), s.c(), own.handle))
}

func (e *event) Done() (bool, error) {
	if err := e.open(); err != nil {
		return false, err
	}
	return reached("cuEventQuery", C.bitlane_event_query(e.context.c(), e.handle))
}

func (e *event) Sync() error {
	if err := e.open(); err != nil {
		return err
	}
	return failed("cuEventSynchronize", C.bitlane_event_sync(e.context.c(), e.handle))
}

func (e *event) Since(start Event) (time.Duration, error) {
	if err := e.open(); err != nil {
		return 0, err
	}
	first, err := e.context.eventOf(start)
	if err != nil {
		return 0, err
	}
	var milliseconds C.float
	code := C.bitlane_event_elapsed(e.context.c(), first.handle, e.handle, &milliseconds)
	return time.Duration(float64(milliseconds) * float64(time.Millisecond)), failed("cuEventElapsedTime", code)
}

func (e *event) Close() error {
	if e.handle == 0 {
		return nil
	}
	if err := e.context.open(); err != nil {
		return err
	}
	handle := e.handle
	e.handle = 0
	return failed("cuEventDestroy", C.bitlane_event_destroy(e.context.c(), handle))
}
