// Package gpuvm is the room of the interpreters that run device code in tests:
// ptx for NVIDIA's PTX. Each is pure Go, knows nothing of this module's kernels
// and layers, and is used by the emulated driver of a backend and by tests alone.
package gpuvm
