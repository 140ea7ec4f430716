//go:build npu

package npu

import (
	"github.com/bitlane/bitlane/internal/dl"
	"github.com/bitlane/bitlane/internal/vendorlib"
)

var probe = vendorlib.Library("npu", dl.Find, "libascendcl.so")
