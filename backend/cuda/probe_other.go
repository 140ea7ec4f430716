//go:build cuda && cgo && !linux

package cuda

import (
	"runtime"

	"github.com/bitlane/bitlane/backend"
)

func probe() error {
	return &backend.Absence{Class: backend.ErrNotBuilt, Backend: "cuda",
		Why: "not built in: -tags cuda is for linux only, not for " + runtime.GOOS}
}
