package device_test

import (
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/cuda/internal/emulator"
)

// hooked is an emulated device where something happens in the middle of a call.
type hooked struct {
	*emulator.Driver
	making func() error // before a stream or a plan is made; an error is that of making it
	ended  func()       // between the end of a capture and what follows
}

type hookedContext struct {
	driver.Context
	by *hooked
}

type hookedStream struct {
	driver.Stream
	by *hooked
}

func (d *hooked) Open(ordinal int, native uintptr) (driver.Context, error) {
	c, err := d.Driver.Open(ordinal, native)
	return hookedContext{c, d}, err
}

func (d *hooked) make() error {
	if d.making == nil {
		return nil
	}
	return d.making()
}

func (c hookedContext) NewStream() (driver.Stream, error) {
	if err := c.by.make(); err != nil {
		return nil, err
	}
	s, err := c.Context.NewStream()
	return hookedStream{s, c.by}, err
}

func (c hookedContext) Plan(p driver.Product) (driver.Plan, error) {
	if err := c.by.make(); err != nil {
		return nil, err
	}
	return c.Context.Plan(p)
}

func (s hookedStream) EndCapture() (driver.Graph, error) {
	g, err := s.Stream.EndCapture()
	if s.by.ended != nil {
		s.by.ended()
	}
	return g, err
}
