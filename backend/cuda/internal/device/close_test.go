package device_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/cuda/internal/emulator"
)

// watched is an emulated device where something happens while a thing is made.
type watched struct {
	*emulator.Driver
	making func() error
}

type watchedContext struct {
	driver.Context
	by *watched
}

func (d *watched) Open(ordinal int, native uintptr) (driver.Context, error) {
	c, err := d.Driver.Open(ordinal, native)
	return watchedContext{c, d}, err
}

func (c watchedContext) NewStream() (driver.Stream, error) {
	if err := c.by.making(); err != nil {
		return nil, err
	}
	return c.Context.NewStream()
}

func (c watchedContext) Plan(p driver.Product) (driver.Plan, error) {
	if err := c.by.making(); err != nil {
		return nil, err
	}
	return c.Context.Plan(p)
}

// TestCloseWhileSomethingIsMade: the context stays until it is, and what is not made is not
// counted.
func TestCloseWhileSomethingIsMade(t *testing.T) {
	stand := &watched{Driver: new(emulator.Driver)}
	b := &device.Backend{ID: "cuda-emulated", Emulated: true, System: func() (driver.Driver, error) { return stand, nil }}
	opened, err := b.Open(t.Context(), "0", backend.OpenOptions{})
	require.NoError(t, err)
	d := opened.(*device.Device)
	for what, makes := range map[string]func() (interface{ Close() error }, error){
		"stream": func() (interface{ Close() error }, error) { return d.NewStream() },
		"plan":   func() (interface{ Close() error }, error) { return d.Plan(product) },
	} {
		asked := false
		stand.making = func() error {
			asked = true
			require.ErrorIs(t, d.Close(), backend.ErrBusy, what)
			return nil
		}
		made, err := makes()
		require.NoError(t, err, what)
		require.True(t, asked, what)
		require.NoError(t, made.Close())

		stand.making = func() error { return backend.ErrUnsupported }
		_, err = makes()
		require.ErrorIs(t, err, backend.ErrUnsupported, what)
		require.Equal(t, backend.Alive{}, d.Alive(), what)
	}
	require.NoError(t, d.Close())
}
