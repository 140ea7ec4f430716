//go:build cuda && cgo

package cuda

import (
	"github.com/bitlane/bitlane/internal/dl"
	"github.com/bitlane/bitlane/internal/vendorlib"
)

var probe = vendorlib.Library("cuda", dl.Find, "libcuda.so.1")
