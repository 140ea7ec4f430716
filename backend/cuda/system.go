//go:build cuda && cgo && linux

package cuda

import "github.com/bitlane/bitlane/backend/cuda/internal/driver"

func system() (driver.Driver, error) { return driver.System() }
