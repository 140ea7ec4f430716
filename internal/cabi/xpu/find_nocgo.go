//go:build linux && xpu && !cgo

package xpu

import "github.com/bitlane/bitlane/internal/cabi"

// find loads the shim's library.
func find() (address func(string) uintptr, path string, err error) { return cabi.Load("xpu") }
