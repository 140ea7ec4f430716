//go:build xpu && !linux

package onednn

import (
	"runtime"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
)

// System says that this system has no oneDNN that is bound.
func System(id string) func() (driver.Library, error) {
	return func() (driver.Library, error) {
		return nil, &backend.Absence{Class: backend.ErrNotBuilt, Backend: id,
			Why: "not built in: -tags xpu is for linux only, not for " + runtime.GOOS}
	}
}
