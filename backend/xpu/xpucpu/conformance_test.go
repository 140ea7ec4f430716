package xpucpu_test

import (
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/conformance"
	_ "github.com/bitlane/bitlane/backend/xpu/xpucpu"
)

var (
	normal = flag.Bool("conformance.normal", false, "run the conformance suite in its default size")
	only   = flag.String("conformance.kernel", "", "run the conformance suite on this kernel alone")
)

// engine returns the backend, or skips where there is no oneDNN.
func engine(t testing.TB) backend.Backend {
	b, ok := backend.Lookup("xpu-cpu")
	require.True(t, ok)
	_, err := b.Devices(t.Context())
	if errors.Is(err, backend.ErrNoDevice) || errors.Is(err, backend.ErrNotBuilt) {
		t.Skip("no device: ", err)
	}
	require.NoError(t, err)
	return b
}

// TestConformance runs on the real oneDNN. Its loops for 8-bit activations take
// 100 ns for a product, so that the sizes are the small ones.
func TestConformance(t *testing.T) {
	b := engine(t)
	infos, err := b.Devices(t.Context())
	require.NoError(t, err)
	t.Log(infos[0], infos[0].Library)
	conformance.Test(t, conformance.Target{Backend: b}, conformance.Options{Small: !*normal, Kernel: *only})
}
