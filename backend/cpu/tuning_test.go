package cpu

import (
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

func TestFetchAhead(t *testing.T) {
	for _, c := range []struct {
		vendor        cpuid.Vendor
		family, model int
		want          uintptr
	}{
		{cpuid.AMD, 25, 0x01, 2048},  // Milan, Zen 3
		{cpuid.AMD, 25, 0x21, 2048},  // Vermeer, Zen 3
		{cpuid.AMD, 25, 0x11, 0},     // Genoa, Zen 4
		{cpuid.AMD, 25, 0x61, 0},     // Raphael, Zen 4
		{cpuid.Intel, 6, 0x55, 4096}, // Cascade Lake
		{cpuid.Intel, 6, 0x8f, defaultAhead},
		{cpuid.Ampere, 8, 3, defaultAhead},
	} {
		require.Equal(t, c.want, fetchAhead(c.vendor, c.family, c.model, weight4), "%v %d %#x", c.vendor, c.family, c.model)
	}
}
