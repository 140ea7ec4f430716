//go:build !xpu

package onednn

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
)

// System says that this build has no oneDNN.
func System(id string) func() (driver.Library, error) {
	return func() (driver.Library, error) {
		return nil, &backend.Absence{Class: backend.ErrNotBuilt, Backend: id, Why: "not built in: build with -tags xpu"}
	}
}
