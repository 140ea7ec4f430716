//go:build cuda && !cgo

package cuda

import "github.com/bitlane/bitlane/internal/vendorlib"

var probe = vendorlib.NeedsCgo("cuda")
