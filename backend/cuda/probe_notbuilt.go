//go:build !cuda

package cuda

import "github.com/bitlane/bitlane/internal/vendorlib"

var probe = vendorlib.NotBuilt("cuda")
