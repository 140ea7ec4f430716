package device_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/emulator"
)

// TestCloseWhileSomethingIsMade: the context stays until it is, and what is not made is not
// counted.
func TestCloseWhileSomethingIsMade(t *testing.T) {
	stand := &hooked{Driver: new(emulator.Driver)}
	d := open(t, stand)
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
