//go:build linux && xpu && cgo

package xpu

import shim "github.com/bitlane/bitlane/csrc/xpu"

// find finds functions that are linked into the binary.
func find() (address func(string) uintptr, path string, err error) {
	addresses := shim.Addresses()
	return func(name string) uintptr { return uintptr(addresses[name]) }, "", nil
}
