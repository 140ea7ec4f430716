// Package cuda is a folder for the C compiler: a minimal cuda.h, so that a build
// with -tags cuda needs neither NVIDIA's toolkit nor its driver. Its packages
// are lazy, which stands between the binary and libcuda.so.1 and loads that
// library at run time; cublaslt, which does so with libcublasLt and calls it; fake
// and fakelt, stand-ins for the two, for tests.
//
// gorgonia.org/cu includes <cuda.h>, and no module can say for another where
// that is. So whoever builds with the tag says it, in this module, in one that
// imports it, or where it is vendored:
//
//	CGO_CPPFLAGS="-I$(go list -tags cuda -f '{{.Dir}}' github.com/bitlane/bitlane/csrc/cuda)" go build -tags cuda ./...
//
// It is CGO_CPPFLAGS because CGO_CFLAGS takes the place of cgo's -O2.
//
// The toolkit's own header does as well, and is wanted where other packages of
// the same binary need more of it than is here: leave the variable unset where
// the toolkit is in /usr/local/cuda, or name its folder. Compiled with it, the
// trampolines have the driver's own names, hidden in the binary; another
// package that is linked into it statically gets them, too. Package cu
// compiles with headers of CUDA 11.8 to 12.9, not with CUDA 13's.
//
// A program that imports cu itself may find a real libcuda.so when it is linked,
// and then need the driver to start, unless its linker drops libraries of which
// nothing is used, as most are set up to do: CGO_LDFLAGS="-O2 -g -Wl,--as-needed".
//
// Go's build cache does not look into headers that are outside of a package.
// Who changes one here adds something that changes with it, as the Makefile of
// this module does: CGO_CPPFLAGS="-I… -DBITLANE_TABLES_ID=…".
//
// What may not enter: text of NVIDIA's headers, and anything that a build
// without the tag compiles.
package cuda
