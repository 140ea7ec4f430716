package cpu_test

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/conformance"
	_ "github.com/bitlane/bitlane/backend/cpu"
)

var (
	small = flag.Bool("conformance.small", false, "run the conformance suite in its small size, for emulators")
	full  = flag.Bool("conformance.full", false, "run the conformance suite with all combinations")
)

func TestConformance(t *testing.T) {
	b, ok := backend.Lookup("cpu")
	require.True(t, ok)
	conformance.Test(t, conformance.Target{Backend: b}, conformance.Options{Small: *small, Full: *full})
}
