//go:build !linux

package hostmem

import (
	"runtime"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// machineMemory knows no portable way to ask.
func machineMemory() (free, total int64, err error) {
	return 0, 0, quant.Errorf(backend.ErrUnsupported, "memory size", "", "OpenOptions.MemoryLimit", "not known on %s", runtime.GOOS)
}
