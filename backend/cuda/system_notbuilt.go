//go:build !cuda

package cuda

import (
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/internal/vendorlib"
)

func system() (driver.Driver, error) { return nil, vendorlib.NotBuilt("cuda")() }
