// Package cublaslt calls NVIDIA's cuBLASLt: dense products y = x · wᵀ, each with
// one algorithm that was chosen before and that adds in one order.
//
// The library is loaded at run time, when Load is called for the first time,
// with symbols that nothing else in the process sees: libcublasLt.so.13 where the
// driver is of CUDA 13 or newer, else, or where there is none,
// libcublasLt.so.12. It is looked for where the system's loader looks,
// LD_LIBRARY_PATH first. A binary starts without it. Version 11 is not taken:
// nobody has compared its ABI with the tables here.
//
// Nothing of NVIDIA's is needed to build. The three tables, bitlane_lt_*.h, hold
// the ABI's names, numbers and types; tests compare them with NVIDIA's headers
// where the variables say in which folders those are, cublasLt.h and the CUDA
// runtime's:
//
//	pip download --no-deps nvidia-cublas-cu12==12.9.2.10 && unzip -d cublas nvidia_cublas_cu12-*.whl
//	BITLANE_CUBLAS_INCLUDE=cublas/nvidia/cublas/include BITLANE_CUDA_INCLUDE=… go test -tags cuda ./csrc/cuda/cublaslt
//
// It is built with the tag cuda, cgo, on linux, with a cuda.h as package csrc/cuda
// has it; on other systems there is nothing in it. What may not enter: text of
// NVIDIA's headers, and knowledge of layers.
package cublaslt
