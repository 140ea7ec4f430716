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
// the ABI's names, numbers and types. Tests compare them with NVIDIA's headers,
// whose folders a variable names, and what the stand-in says where no GPU is needed
// with the library, whose folder another one names. Both were done with versions
// 12.9 and 13.4. The packages are too large to be a part of the gate:
//
//	pip install --no-deps --target nv nvidia-cublas-cu12==12.9.3.13 nvidia-cuda-runtime-cu12==12.9.79 nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-cccl-cu12==12.9.27
//	cd nv/nvidia
//	export BITLANE_CUBLAS_INCLUDE=$PWD/cublas/include:$PWD/cuda_runtime/include:$PWD/cuda_nvcc/include:$PWD/cuda_cccl/include
//	export BITLANE_CUBLAS_LIBRARY=$PWD/cublas/lib
//	cd - && go test -tags cuda ./csrc/cuda/cublaslt
//
// It is built with the tag cuda, cgo, on linux, with a cuda.h as package csrc/cuda
// has it; on other systems there is nothing in it. What may not enter: text of
// NVIDIA's headers, and knowledge of layers.
package cublaslt
