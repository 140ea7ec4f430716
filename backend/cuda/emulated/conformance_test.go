package emulated_test

import (
	"context"
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
// way through a layer where all is slower, under the race detector or with
// every set of tags.
func TestConformance(t *testing.T) { test(t, "cuda_w4g_a16_mma_gather", nil) }

// TestConformanceRounded has the kernels that round do so from two rows on, and
// some outputs after the others; where all is slower, in what is left to goroutines.
func TestConformanceRounded(t *testing.T) {
	test(t, "cuda_w4g_a16_mma_rounded", map[string]int{"stream-rows": 1, "rounded-rows": 2, "expanded-bytes": 1 << 17})
}

func test(t *testing.T, short string, tuning map[string]int) {
	b, ok := backend.Lookup("cuda-emulated")
	require.True(t, ok)
	open := func(ctx context.Context, o backend.OpenOptions) (backend.Device, func() error, error) {
		o.Tuning = tuning
		d, err := b.Open(ctx, "0", o)
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	}
	o := conformance.Options{Full: *full, Small: !*full && !*normal}
	if testing.Short() {
		o.Kernel = short
		if tuning != nil {
			o.Only = []string{"busy", "close-under-load", "concurrent", "grid", "leaks", "repeat"}
		}
	}
	conformance.Test(t, conformance.Target{Backend: b, Open: open}, o)
}
