//go:build cuda && cgo

package cuda_test

import (
	"context"
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/conformance"
	_ "github.com/bitlane/bitlane/backend/cuda"
)

var full = flag.Bool("conformance.full", false, "run the conformance suite with all combinations")

// TestConformance runs on every device that the driver has.
func TestConformance(t *testing.T) {
	b, ok := backend.Lookup("cuda")
	require.True(t, ok)
	devices, err := b.Devices(t.Context())
	if errors.Is(err, backend.ErrNoDevice) || errors.Is(err, backend.ErrNotBuilt) {
		t.Skip("no device: ", err)
	}
	require.NoError(t, err)
	require.NotEmpty(t, devices)
	for _, d := range devices {
		t.Run(d.ID+" "+d.Name, func(t *testing.T) {
			t.Logf("%s, %s, %s, %s", d, d.Arch, d.Driver, d.Memory)
			conformance.Test(t, conformance.Target{Backend: b, Open: opener(b, d.ID, nil)}, conformance.Options{Full: *full})
		})
		t.Run(d.ID+" rounded", func(t *testing.T) {
			tuning := map[string]int{"stream-rows": 1, "rounded-rows": 2, "expanded-bytes": 1 << 17}
			conformance.Test(t, conformance.Target{Backend: b, Open: opener(b, d.ID, tuning)}, conformance.Options{})
		})
	}
}

// opener opens one device again and again.
func opener(b backend.Backend, id string, tuning map[string]int) func(context.Context, backend.OpenOptions) (backend.Device, func() error, error) {
	return func(ctx context.Context, o backend.OpenOptions) (backend.Device, func() error, error) {
		o.Tuning = tuning
		d, err := b.Open(ctx, id, o)
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	}
}
