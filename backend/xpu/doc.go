// Package xpu registers the backend "xpu": Intel GPUs, through oneDNN (libdnnl).
//
// Built without the tag xpu it lists its kernels, so that a layer can be
// explained anywhere, and says that it is not built in; built with it, it loads
// oneDNN when it is asked for devices: BITLANE_ONEDNN if that is set, else
// libdnnl.so.3 where the system's loader looks. With CGO_ENABLED=0 the shim of
// csrc/xpu is a library of its own. Registering touches no hardware.
//
//	internal/driver   what is asked of oneDNN
//	internal/onednn   its binding, over internal/cabi and the shim
//	internal/device   devices, memory, streams, events and layers' lives over it
//	internal/linear   the kernels: what they support, packing, plans, the self-test
//	internal/standin  an oneDNN in Go, for tests
//	xpucpu            registers "xpu-cpu": oneDNN's CPU engine
//
// Only the binding carries a tag: everything else runs in every go test. No
// other backend enters this package.
//
// No Intel GPU has run this backend yet: docs/measurements/xpu.md.
package xpu

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/backend/xpu/internal/linear"
	"github.com/bitlane/bitlane/backend/xpu/internal/onednn"
)

func init() {
	backend.Register(linear.Backend("xpu", driver.GPU, onednn.System("xpu")))
}
