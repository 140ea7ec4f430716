//go:build cuda && cgo && !linux

package cuda

import (
	"runtime"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
)

func system() (driver.Driver, error) {
	return nil, &backend.Absence{Class: backend.ErrNotBuilt, Backend: "cuda",
		Why: "not built in: -tags cuda is for linux only, not for " + runtime.GOOS}
}
