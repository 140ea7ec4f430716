// Package lazy defines the functions of the CUDA driver API that cuda.h of
// package csrc/cuda declares, and forwards them to libcuda.so.1, which it loads
// when one of them is called for the first time. So a binary with it starts on
// a machine without a driver and can say what is wrong there.
//
// cuInit does nothing and succeeds: gorgonia.org/cu calls it before main and
// ends the process otherwise. The first other call loads the library, looks up
// its symbols and calls the real cuInit, once for the process. If that fails,
// every call returns the same error, and Load says what happened.
//
// The linker looks for cu's -lcuda, and finds an empty archive in this folder:
// the library never becomes one that the binary needs to start.
//
// It is built with the tag cuda, cgo, on linux; on other systems there is
// nothing in it. What may not enter: any knowledge of what the functions do.
package lazy
