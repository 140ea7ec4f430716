package linear

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/conformance"
)

// TestConformance holds everything but oneDNN to the suite.
func TestConformance(t *testing.T) {
	lib := newStandin()
	conformance.Test(t, conformance.Target{Backend: fake(lib)}, conformance.Options{Small: testing.Short()})
	require.Empty(t, lib.Alive())
}
