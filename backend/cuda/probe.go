//go:build cuda && cgo && linux

package cuda

import (
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"

	// Go's linker takes packages breadth first. Named here, and not only below,
	// this one's flags come before those of cu: the linker finds our empty
	// libcuda.a before a real libcuda.so, which would then be needed to start.
	_ "github.com/bitlane/bitlane/csrc/cuda/lazy"
)

// probe asks the driver for its devices, and names them.
func probe() error {
	system, err := driver.System()
	if err != nil {
		return err
	}
	devices, err := system.Devices()
	if err != nil {
		return absent(backend.ErrNoDevice, "driver not usable: "+err.Error())
	}
	if len(devices) == 0 {
		return absent(backend.ErrNoDevice, "no device: the driver is there and knows none")
	}
	var names []string
	for _, d := range devices {
		names = append(names, fmt.Sprintf("%s (sm_%d%d)", d.Name, d.Major, d.Minor))
	}
	verb := " is"
	if len(names) > 1 {
		verb = " are"
	}
	return absent(backend.ErrNotImplemented,
		"not implemented yet: "+strings.Join(names, ", ")+verb+" there, but this version has no kernels for it")
}

func absent(class error, why string) error {
	return &backend.Absence{Class: class, Backend: "cuda", Why: why}
}
