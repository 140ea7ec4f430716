package amx

import (
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

// The answer does not change, and the system gives no more than the processor has.
func TestAllowed(t *testing.T) {
	got := Allowed()
	require.Equal(t, got, Allowed())
	if got {
		require.True(t, cpuid.CPU.Supports(cpuid.AMXTILE))
	}
}
