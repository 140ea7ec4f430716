package linear

import (
	"testing"

	"github.com/bitlane/bitlane/backend/conformance"
	"github.com/bitlane/bitlane/backend/xpu/internal/device"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/backend/xpu/internal/standin"
)

// fake is a backend over a stand-in.
func fake(lib *standin.Library) *device.Backend {
	b := Backend("xpu-test", lib.Kind, func() (driver.Library, error) { return lib, nil })
	return b
}

// TestConformance holds everything but oneDNN to the suite.
func TestConformance(t *testing.T) {
	lib := &standin.Library{Engines: 1, Kind: driver.CPU, Says: driver.Facts{Major: 3, Minor: 13}}
	conformance.Test(t, conformance.Target{Backend: fake(lib)}, conformance.Options{Small: true})
	if left := lib.Alive(); len(left) > 0 {
		t.Error("left alive: ", left)
	}
}
