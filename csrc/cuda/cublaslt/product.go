//go:build cuda && cgo && linux

package cublaslt

/*
#cgo noescape bitlane_lt_plan
#cgo nocallback bitlane_lt_plan
#cgo nocallback bitlane_lt_multiply
#include "load.h"
#include "product.h"
*/
import "C"

// Code is what a call returned: 0, the driver's CUresult, or a cublasStatus_t as
// its negative.
type Code int

// Status is the cublasStatus_t in a negative Code.
func (c Code) Status() int { return -int(c) }

// Statuses that are named outside of this package.
const (
	NotInitialized = C.CUBLAS_STATUS_NOT_INITIALIZED
	AllocFailed    = C.CUBLAS_STATUS_ALLOC_FAILED
	ArchMismatch   = C.CUBLAS_STATUS_ARCH_MISMATCH
	NotSupported   = C.CUBLAS_STATUS_NOT_SUPPORTED
)

// StatusName returns the library's name of a cublasStatus_t.
func StatusName(status int) string { return C.GoString(C.bitlane_lt_status_name(C.int32_t(status))) }

// Type is the type of a matrix's elements.
type Type int

// The types.
const (
	F32  Type = C.CUDA_R_32F
	F16  Type = C.CUDA_R_16F
	BF16 Type = C.CUDA_R_16BF
)

// Product is y = Alpha · x · wᵀ of row-major matrices: x MaxRows by K, w N by K,
// y MaxRows by N. Strides are in elements.
type Product struct {
	Type, Out                 Type // of x and w, of y
	N, K                      int
	XStride, WStride, YStride int
	Alpha                     float32
	MaxRows                   int
	MaxWorkspace              int64 // bytes, a multiple of 256
}

// Algorithm is how products are made, by the library's own numbers.
type Algorithm struct {
	ID, Tile, Stages, Swizzling, Option, Inner, Cluster int
	Workspace                                           int64 // bytes, a multiple of 256
}

// Open returns a handle for the context, which must be closed before the context
// is. Any number of goroutines may use it.
func Open(ctx uintptr) (handle uintptr, code Code) {
	var h C.uintptr_t
	code = Code(C.bitlane_lt_open(C.uintptr_t(ctx), &h))
	return uintptr(h), code
}

// Close ends a handle that has no plan any more.
func Close(ctx, handle uintptr) Code {
	return Code(C.bitlane_lt_close(C.uintptr_t(ctx), C.uintptr_t(handle)))
}

// Plan chooses the algorithm of a product: the first of those that the library
// offers for MaxRows that neither splits K nor adds partial results, and that
// the library says it takes for 1, 2, 4 … and MaxRows rows. what is the call that
// failed, or why none will do.
func Plan(ctx, handle uintptr, p *Product) (plan uintptr, a Algorithm, what string, code Code) {
	product := C.bitlane_product{
		_type: C.int32_t(p.Type), out: C.int32_t(p.Out), n: C.uint64_t(p.N), k: C.uint64_t(p.K),
		x_stride: C.int64_t(p.XStride), w_stride: C.int64_t(p.WStride), y_stride: C.int64_t(p.YStride),
		alpha: C.float(p.Alpha), max_rows: C.uint64_t(p.MaxRows), max_workspace: C.uint64_t(p.MaxWorkspace),
	}
	var handleOfPlan C.uintptr_t
	var found C.bitlane_algorithm
	var text [256]C.char
	code = Code(C.bitlane_lt_plan(C.uintptr_t(ctx), C.uintptr_t(handle), &product, &handleOfPlan, &found, &text[0], C.size_t(len(text))))
	if code != 0 {
		return 0, a, C.GoString(&text[0]), code
	}
	return uintptr(handleOfPlan), Algorithm{
		ID: int(found.id), Tile: int(found.tile), Stages: int(found.stages), Swizzling: int(found.swizzling),
		Option: int(found.option), Inner: int(found.inner), Cluster: int(found.cluster), Workspace: int64(found.workspace),
	}, "", 0
}

// Free ends a plan. Products that were enqueued go on.
func Free(ctx, plan uintptr) Code {
	return Code(C.bitlane_lt_free(C.uintptr_t(ctx), C.uintptr_t(plan)))
}

// Multiply enqueues the product of a plan for at most MaxRows rows. Addresses are
// of device memory; x, w and y are 16-byte aligned, workspace is 256-byte aligned
// and of Algorithm.Workspace bytes. A number of rows that the algorithm does not
// take is a code; there is never another algorithm. It allocates nothing.
func Multiply(ctx, stream, plan uintptr, rows int, x, w, y, workspace uint64) Code {
	return Code(C.bitlane_lt_multiply(C.uintptr_t(ctx), C.uintptr_t(stream), C.uintptr_t(plan), C.uint64_t(rows),
		C.uint64_t(x), C.uint64_t(w), C.uint64_t(y), C.uint64_t(workspace)))
}
