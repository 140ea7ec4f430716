// Package cuda registers the backend "cuda": NVIDIA GPUs of compute capability
// 8.0 and above.
//
// Built without the tag cuda it lists its kernels, so that a layer can be
// explained anywhere, and says that it is not built in; built with it, it loads
// the driver's library, libcuda.so.1, when it is asked for devices, and cuBLASLt
// for its first dense product. Registering touches no hardware.
//
//	internal/driver    what is asked of the CUDA driver, and its binding
//	internal/device    devices, memory, streams, events and layers' lives over it
//	internal/linear    the kernels: what they support, packing, launches
//	internal/emulator  a driver that runs PTX in Go
//	emulated           registers "cuda-emulated", which uses that
//
// Only the binding and system.go carry a tag: everything else runs in every go
// test. Device code is in kernels/cuda, the C of the binding in csrc/cuda. No
// other backend enters this package.
package cuda

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/linear"
)

func init() {
	backend.Register(&device.Backend{ID: "cuda", System: system, Table: linear.Kernels(), Points: linear.Points()})
}
