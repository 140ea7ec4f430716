package vendorlib

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

func TestThreeStates(t *testing.T) {
	missing := func(...string) (string, error) { return "", errors.New("libx.so.1: cannot open shared object file") }
	silent := func(...string) (string, error) { return "", errors.New("") }
	present := func(names ...string) (string, error) { return names[1], nil }
	for _, c := range []struct {
		probe func() error
		class error
		text  string
	}{
		{NotBuilt("x"), backend.ErrNotBuilt, "not built in: build with -tags x"},
		{NeedsCgo("x"), backend.ErrNotBuilt, "not built in: -tags x needs cgo; build with CGO_ENABLED=1 and a C compiler"},
		{Library("x", missing, "libx.so.1"), backend.ErrNoDevice, "no driver: libx.so.1: cannot open shared object file"},
		{Library("x", silent, "libx.so.2", "libx.so.1"), backend.ErrNoDevice, "no driver: libx.so.2, libx.so.1: cannot be loaded"},
		{Library("x", present, "libx.so.2", "libx.so.1"), backend.ErrNotImplemented, "not implemented yet: libx.so.1 is there, but this version has no kernels for it"},
	} {
		b := &Backend{ID: "x", Probe: c.probe}
		require.Equal(t, "x", b.Name())
		require.Empty(t, b.Kernels())
		infos, err := b.Devices(context.Background())
		require.Empty(t, infos)
		require.ErrorIs(t, err, c.class)
		require.EqualError(t, err, c.text)
		dev, err := b.Open(context.Background(), "0", backend.OpenOptions{})
		require.Nil(t, dev)
		require.EqualError(t, err, c.text)
		for _, other := range []error{backend.ErrNotBuilt, backend.ErrNoDevice, backend.ErrNotImplemented} {
			require.Equal(t, other == c.class, errors.Is(err, other))
		}
	}
}

func TestContextFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := &Backend{ID: "x", Probe: func() error { panic("the library was looked for") }}
	_, err := b.Open(ctx, "", backend.OpenOptions{})
	require.ErrorIs(t, err, context.Canceled)
}
