//go:build !npu

package npu

import "github.com/bitlane/bitlane/internal/vendorlib"

var probe = vendorlib.NotBuilt("npu")
