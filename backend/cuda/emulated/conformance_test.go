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

func TestConformance(t *testing.T) {
	b, ok := backend.Lookup("cuda-emulated")
	require.True(t, ok)
	conformance.Test(t, conformance.Target{Backend: b}, conformance.Options{Full: *full, Small: !*full && !*normal})
}
