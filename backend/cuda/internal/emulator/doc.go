// Package emulator is a driver of CUDA devices that are not there: it runs the
// PTX of kernels in the interpreter internal/gpuvm/ptx, with that one's checks.
//
// Everything is done when a call returns, so streams need no order among
// themselves; page-locked memory is Go's. A fault in a kernel is an error of the
// launch and loses the device, as an illegal address does on a real one.
package emulator
