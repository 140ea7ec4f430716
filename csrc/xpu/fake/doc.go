// Package fake builds a stand-in for libdnnl.so.3 out of the C in src, for tests
// of the shim in csrc/xpu and of what is above it: what a real oneDNN cannot be
// made to do. It wants a C compiler on linux.
//
// It computes what the shim asks for, by the documented semantics: products of
// int8 and float32, the elementwise operations, reductions and reorders of the
// token quantizer, post-operations, on a CPU engine and on a GPU engine whose
// memory the host cannot touch. Zeros of groups are s8. It shows
// nothing about Intel's GPUs.
//
// The variable BITLANE_FAKE_ONEDNN tells it what to be, NAME=NUMBER with commas
// in between:
//
//	version        1000000·major + 1000·minor + patch: 3013002
//	cpu, gpu       runtimes, oneDNN's numbers: 512, SYCL
//	cpus, gpus     engines: 1
//	driver         the status that every making of an engine returns
//	oom            the creation of an object, counted from 1, that finds no memory
//	execute        the execution that fails
//	lost           the execution from which on the device is lost
//	ref            1: products have the implementation "ocl:ref:any"
//	unimplemented  1: there are no products
//
// Its function fake_alive tells what is alive.
//
// What may not enter: anything that is not a test's.
package fake
