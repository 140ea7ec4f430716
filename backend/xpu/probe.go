//go:build xpu

package xpu

import (
	"github.com/bitlane/bitlane/internal/dl"
	"github.com/bitlane/bitlane/internal/vendorlib"
)

var probe = vendorlib.Library("xpu", dl.Find, "libdnnl.so.3")
