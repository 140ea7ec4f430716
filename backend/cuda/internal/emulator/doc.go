// Package emulator is a driver of CUDA devices that are not there: it runs the
// PTX of kernels in the interpreter internal/gpuvm/ptx, with that one's checks.
//
// Dense products, which on a GPU are a vendor's library's, are made in Go, on the
// interpreter's memory: in float32, each element in one order, and with the faults
// that a kernel would have.
//
// Everything is done when a call returns, so streams need no order among
// themselves; page-locked memory is Go's. A fault in a kernel is an error of the
// launch and loses the device, as an illegal address does on a real one.
package emulator
