// Package driver is what the CUDA backend asks of the CUDA driver API, as Go
// interfaces: devices, contexts, memory, streams, events, modules, launches and
// graphs. Beside that it makes dense products of 16-bit matrices, by the vendor's
// library cuBLASLt where there is one. It knows nothing of layers and kernels.
//
// The interfaces and the errors carry no tag, so that a stand-in that runs the
// same PTX without a GPU can implement them. System, the implementation over
// gorgonia.org/cu, is there with the tag cuda, cgo, on linux.
//
// What is beyond cu, or goes wrong in it, is in C beside it: launches without
// allocation, streams of the caller's (handles 1 and 2 are no pointers, and
// Go's stack refuses them as such), page-locked memory, graphs, function
// attributes that are set, the compiler's log of a module that does not load.
//
// A Plan is one algorithm of that library, which was asked for those that add in
// one order; which rows it is good for was asked when it was made. Package
// csrc/cuda/cublaslt loads the library and calls it.
//
// CUDA has a current context for each thread. Nothing of that is visible here:
// every call makes its context the current one for its own time, and leaves
// the thread as it found it.
package driver
