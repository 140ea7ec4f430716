//go:build !xpu

package xpu

import "github.com/bitlane/bitlane/internal/vendorlib"

var probe = vendorlib.NotBuilt("xpu")
