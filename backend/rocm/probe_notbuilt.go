//go:build !rocm

package rocm

import "github.com/bitlane/bitlane/internal/vendorlib"

var probe = vendorlib.NotBuilt("rocm")
