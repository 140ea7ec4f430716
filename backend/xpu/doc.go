// Package xpu registers the backend "xpu": Intel GPUs, through oneDNN.
//
// It has no kernels yet. Built without the tag xpu it says so; built with it,
// it looks for oneDNN's library, libdnnl.so.3, when it is asked
// for devices, and says what it found. Registering touches no hardware.
//
// What needs no driver (packing, planning, launch geometry) belongs here
// without a tag; the driver behind the tag; device code in kernels, C shims in
// csrc. No other backend enters this package.
package xpu

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/internal/vendorlib"
)

func init() { backend.Register(&vendorlib.Backend{ID: "xpu", Probe: probe}) }
