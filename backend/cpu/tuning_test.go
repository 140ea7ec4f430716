package cpu

import (
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/peak"
)

func TestTunings(t *testing.T) {
	for _, c := range []struct {
		core     peak.Core
		ahead    uintptr
		shortSum int
	}{
		{core: peak.Core{Vendor: cpuid.AMD, Family: 25, Model: 0x01}, ahead: 2048},            // Milan, Zen 3
		{core: peak.Core{Vendor: cpuid.AMD, Family: 25, Model: 0x21}, ahead: 2048},            // Vermeer, Zen 3
		{core: peak.Core{Vendor: cpuid.AMD, Family: 25, Model: 0x11}},                         // Genoa, Zen 4
		{core: peak.Core{Vendor: cpuid.AMD, Family: 25, Model: 0x61}},                         // Raphael, Zen 4
		{core: peak.Core{Vendor: cpuid.Intel, Family: 6, Model: 0x55}, ahead: 4096},           // Cascade Lake
		{core: peak.Core{Vendor: cpuid.Intel, Family: 6, Model: 0x8f}, ahead: 2048},           // without AMX, as a hypervisor may have it
		{peak.Core{Vendor: cpuid.Intel, Family: 6, Model: 0xad, AMX: true}, 2048, longestSum}, // Granite Rapids
		{peak.Core{Vendor: cpuid.Intel, Family: 6, Model: 0xa7, AMX: true}, 2048, longestSum}, // the same behind a hypervisor
		{core: peak.Core{Vendor: cpuid.Ampere, Family: 8, Model: 3}, ahead: 2048},
	} {
		got := tuningOf(c.core)
		require.Equal(t, c.ahead, got.ahead[weight4], "%+v", c.core)
		require.Equal(t, c.shortSum, got.shortSum, "%+v", c.core)
	}
}
