package cpu

import (
	"context"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

// TestMask hides every tier in turn, of a processor that has them all.
func TestMask(t *testing.T) {
	all := []string{"SSE2"}
	for _, s := range tiers {
		for _, f := range s.needs {
			all = append(all, f.String())
		}
	}
	same, err := masked(all, " ")
	require.NoError(t, err)
	require.Equal(t, all, same)
	for i, s := range tiers {
		require.Equal(t, i == 0, tierOf(all) == s.name)
		has, err := masked(all, s.name)
		require.NoError(t, err)
		require.Equal(t, s.name, tierOf(has))
		for _, u := range units {
			for _, better := range tiers[:i] {
				own := func(f cpuid.FeatureID) bool {
					return !slices.Contains(has, f.String()) && slices.Contains(better.needs, f)
				}
				if slices.ContainsFunc(u.needs, own) {
					require.NotEmpty(t, u.missing(has), "%s needs %s", u.name, better.name)
				}
			}
		}
	}
	has, err := masked(all, "GO ")
	require.NoError(t, err)
	require.Equal(t, "go", tierOf(has))
	require.Equal(t, []string{"SSE2"}, has)
	for _, u := range units {
		require.NotEmpty(t, u.missing(has))
	}
	_, err = masked(all, "sse9")
	require.ErrorIs(t, err, backend.ErrUnsupported)
	require.ErrorContains(t, err, "BITLANE_CPU")
}

func TestMaskFromTheEnvironment(t *testing.T) {
	t.Setenv(MaskVariable, "go")
	b := open(t, backend.OpenOptions{})
	require.Equal(t, "go", b.dev.Info().Tier)
	infos, err := cpu{}.Devices(context.Background())
	require.NoError(t, err)
	require.Equal(t, "go", infos[0].Tier)

	t.Setenv(MaskVariable, "pentium")
	_, err = cpu{}.Devices(context.Background())
	require.ErrorIs(t, err, backend.ErrUnsupported)
	_, err = cpu{}.Open(context.Background(), "0", backend.OpenOptions{})
	require.ErrorIs(t, err, backend.ErrUnsupported)

	t.Setenv(MaskVariable, "")
	if runtime.GOARCH == "amd64" && cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C) {
		require.NotEqual(t, "go", open(t, backend.OpenOptions{}).dev.Info().Tier)
	}
}

// Tiles are there where the processor and the system have them, and nobody asks the
// system where the processor has none.
func TestTilesAreAllowed(t *testing.T) {
	without := []string{"AVX2", "AVX512VNNI"}
	with := append(slices.Clone(without), cpuid.AMXTILE.String(), cpuid.AMXINT8.String())
	require.Equal(t, with, allowed(slices.Clone(with), func() bool { return true }))
	require.Equal(t, without, allowed(slices.Clone(with), func() bool { return false }))
	require.Equal(t, without, allowed(slices.Clone(without), func() bool { require.Fail(t, "asked"); return true }))
}
