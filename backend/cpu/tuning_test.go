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
		{peak.Core{Vendor: cpuid.AMD, Family: 26, Model: 0x02}, 9728, 0},                      // Turin, Zen 5
		{peak.Core{Vendor: cpuid.Intel, Family: 6, Model: 0xad, AMX: true}, 2560, longestSum}, // Granite Rapids
		{peak.Core{Vendor: cpuid.Intel, Family: 6, Model: 0xa7, AMX: true}, 2560, longestSum}, // the same behind a hypervisor
		{core: peak.Core{Vendor: cpuid.Ampere, Family: 8, Model: 3}, ahead: 2048},
	} {
		got := tuningOf(c.core)
		require.Equal(t, c.ahead, got.ahead[weight4], "%+v", c.core)
		require.Equal(t, c.shortSum, got.shortSum, "%+v", c.core)
		require.Equal(t, c.core.AMX, got.gathers, "%+v", c.core)
	}
}

// TestOrderOfUnits is which unit comes first where a processor does few vdpbf16ps, and
// where it does not.
func TestOrderOfUnits(t *testing.T) {
	integers, pairs, floats, last := &unit{name: "a"}, &unit{name: "b", exact: offer{true, pairPanel}}, &unit{name: "c", exact: offer{true, floatPanel}}, &unit{name: "d", exact: offer{true, floatPanel}}
	all := []*unit{integers, pairs, floats, last}
	require.Equal(t, all, ordered(all, &tuned{}))
	require.Equal(t, []*unit{integers, floats, pairs, last}, ordered(all, &tuned{floatsFirst: true}))
	require.Equal(t, []*unit{integers, pairs}, ordered(all[:2], &tuned{floatsFirst: true}))
	require.Equal(t, []*unit{integers, pairs, floats, last}, all, "a copy is ordered")
	require.Empty(t, ordered(nil, &tuned{floatsFirst: true}))
}
