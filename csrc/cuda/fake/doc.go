// Package fake builds a stand-in for libcuda.so.1 out of the C in src, for tests
// of what calls the CUDA driver API: of package lazy, which loads it, and of
// the CUDA backend's driver. It wants a C compiler on linux.
//
// Package fakelt builds one for a library over it, which enqueues its work with
// fake_call, a function that the driver does not have.
//
// The stand-in does what is needed for that. Device memory is host memory, of
// 64 MB, and copies check its bounds. A stream does nothing until somebody
// waits for it. Two kernels do something: report writes its arguments, add adds
// to a word. It is stricter than the driver about current contexts, and it
// counts what is alive. It shows nothing about a GPU.
//
// The variable BITLANE_FAKE_CUDA tells it what to be, NAME=NUMBER with commas
// in between: init (what cuInit returns), version (of CUDA, 12090), devices (2),
// count (what cuDeviceGetCount returns).
//
// What may not enter: anything that is not a test's.
package fake
