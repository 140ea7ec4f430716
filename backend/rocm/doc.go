// Package rocm registers the backend "rocm": AMD GPUs.
//
// It has no kernels yet. Built without the tag rocm it says so; built with it,
// it looks for HIP's library, libamdhip64.so, when it is asked
// for devices, and says what it found. Registering touches no hardware.
//
// What needs no driver (packing, planning, launch geometry) belongs here
// without a tag; the driver behind the tag; device code in kernels, C shims in
// csrc. No other backend enters this package.
package rocm

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/internal/vendorlib"
)

func init() { backend.Register(&vendorlib.Backend{ID: "rocm", Probe: probe}) }
