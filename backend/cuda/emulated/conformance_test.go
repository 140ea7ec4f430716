package emulated_test

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/conformance"
	_ "github.com/bitlane/bitlane/backend/cuda/emulated"
)

var (
	normal = flag.Bool("conformance.normal", false, "run the conformance suite in its default size")
	full   = flag.Bool("conformance.full", false, "run the conformance suite with all combinations")
)

// TestConformance interprets the PTX of every kernel; of one that takes every
// way through a layer where all is slower, under the race detector or an
// emulated processor.
func TestConformance(t *testing.T) {
	b, ok := backend.Lookup("cuda-emulated")
	require.True(t, ok)
	o := conformance.Options{Full: *full, Small: !*full && !*normal}
	if testing.Short() {
		o.Kernel = "cuda_w4g_a16_mma_gather"
	}
	conformance.Test(t, conformance.Target{Backend: b}, o)
}
