//go:build rocm

package rocm

import (
	"github.com/bitlane/bitlane/internal/dl"
	"github.com/bitlane/bitlane/internal/vendorlib"
)

var probe = vendorlib.Library("rocm", dl.Find, "libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so")
