// Package driver is what the CUDA backend asks of the CUDA driver API, as Go
// interfaces: devices, contexts, memory, streams, events, modules, launches and
// graphs. It knows nothing of layers and kernels.
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
// CUDA has a current context for each thread. Nothing of that is visible here:
// every call makes its context the current one for its own time, and leaves
// the thread as it found it.
package driver
