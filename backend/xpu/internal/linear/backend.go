package linear

import (
	"github.com/bitlane/bitlane/backend/xpu/internal/device"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
)

// Backend returns the backend of a name with the kernels of this package. A CPU
// engine stands in for a GPU. On a GPU, whose division is not known to
// be IEEE's, an activation code may be one off.
func Backend(id string, kind driver.Kind, system func() (driver.Library, error)) *device.Backend {
	config := &Config{}
	if kind == driver.GPU {
		config.CodeSlack = 1
	}
	b := &device.Backend{ID: id, Kind: kind, Emulated: kind == driver.CPU, System: system, Table: Kernels(config)}
	config.Workspace, b.Check = b.Workspace, SelfTest(b.Table)
	return b
}
