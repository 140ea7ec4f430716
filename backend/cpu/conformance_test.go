package cpu_test

import (
	"flag"
	"testing"

	"github.com/bitlane/bitlane/backend/conformance"
	"github.com/bitlane/bitlane/backend/cpu"
)

var (
	small = flag.Bool("conformance.small", false, "run the conformance suite in its small size, for emulators")
	full  = flag.Bool("conformance.full", false, "run the conformance suite with all combinations")
)

func TestConformance(t *testing.T) {
	conformance.Test(t, conformance.Target{Backend: cpu.Eager{}}, conformance.Options{Small: *small, Full: *full})
}
