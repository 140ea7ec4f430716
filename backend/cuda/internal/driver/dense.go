package driver

import (
	"fmt"
	"math"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// MaxWorkspace is the most device memory that a Plan asks for, in bytes.
const MaxWorkspace = 32 << 20

// Product is y = Alpha · x · wᵀ, all row-major: x [rows][XStride], w [N][WStride],
// y [rows][YStride]. Sums are in float32 and rounded once, to Y. What is between
// the end of a row and its stride is neither read nor written.
type Product struct {
	Type dtype.DType // of x and w: F16 or BF16
	Y    dtype.DType // Type or F32

	N, K                      int // K is a multiple of 8
	XStride, WStride, YStride int // in elements, multiples of 8
	Alpha                     float32
	MaxRows                   int // at least 1
}

// Plan is a product with its algorithm. It is safe for use by several goroutines,
// but for Close. Its context is closed after it.
type Plan interface {
	// Workspace returns the bytes of device memory that a Multiply needs, at
	// most MaxWorkspace.
	Workspace() int64

	// Name says which algorithm it is, for logs and measurements.
	Name() string

	// Close is idempotent. Products that are enqueued or recorded go on.
	Close() error
}

// most elements a matrix has, so that no count of bytes overflows.
const most = 1 << 40

// String returns what matters of it: "float16, N 4096, K 512, up to 64 rows, y float32".
func (p *Product) String() string {
	s := fmt.Sprintf("%s, N %d, K %d, up to %d rows", p.Type, p.N, p.K, p.MaxRows)
	if p.Y != p.Type {
		s += fmt.Sprintf(", y %s", p.Y)
	}
	return s
}

// Check returns the error of class backend.ErrDType, backend.ErrShape or, for what
// is only not done, backend.ErrUnsupported of a product that no Plan is made of.
func (p *Product) Check() error {
	if p.Type != dtype.F16 && p.Type != dtype.BF16 {
		return quant.Errorf(backend.ErrDType, "product", "x and w", "float16 or bfloat16", "%s", p.Type)
	}
	if p.Y != p.Type && p.Y != dtype.F32 {
		return quant.Errorf(backend.ErrDType, "product", "y", p.Type.String()+" or float32", "%s", p.Y)
	}
	if p.N < 1 || p.K < 1 || p.MaxRows < 1 {
		return quant.Errorf(backend.ErrShape, "product", "size", "at least 1", "%d rows, N %d, K %d", p.MaxRows, p.N, p.K)
	}
	if p.K%8 != 0 {
		return quant.Errorf(backend.ErrUnsupported, "product", "K", "a multiple of 8", "%d", p.K)
	}
	if a := float64(p.Alpha); math.IsNaN(a) || math.IsInf(a, 0) || a == 0 {
		return quant.Errorf(backend.ErrUnsupported, "product", "alpha", "finite and not 0", "%v", p.Alpha)
	}
	for _, m := range []struct {
		name               string
		rows, cols, stride int
	}{{"x", p.MaxRows, p.K, p.XStride}, {"w", p.N, p.K, p.WStride}, {"y", p.MaxRows, p.N, p.YStride}} {
		if m.stride < m.cols {
			return quant.Errorf(backend.ErrShape, "product", "stride of "+m.name, fmt.Sprintf("at least %d", m.cols), "%d", m.stride)
		}
		if m.stride%8 != 0 {
			return quant.Errorf(backend.ErrUnsupported, "product", "stride of "+m.name, "a multiple of 8", "%d", m.stride)
		}
		if int64(m.stride) > most/int64(m.rows) {
			return quant.Errorf(backend.ErrUnsupported, "product", m.name, "at most 2^40 elements", "%d rows of %d", m.rows, m.stride)
		}
	}
	return nil
}

// CheckCall returns the error of class backend.ErrShape of a Multiply that no plan
// of p makes; at is the workspace, of which the plan wants so many bytes. It
// allocates nothing when all is well.
func (p *Product) CheckCall(rows int, x, w, y, at Ptr, bytes int64) error {
	if rows < 0 || rows > p.MaxRows {
		return quant.Errorf(backend.ErrShape, "product", "rows", fmt.Sprintf("0 to %d", p.MaxRows), "%d", rows)
	}
	if rows == 0 {
		return nil
	}
	if (x|w|y)%16 != 0 || x == 0 || w == 0 || y == 0 {
		return quant.Errorf(backend.ErrShape, "product", "address", "16-byte aligned", "x %#x, w %#x, y %#x", x, w, y)
	}
	if bytes > 0 && (at == 0 || at%256 != 0) {
		return quant.Errorf(backend.ErrShape, "product", "workspace", fmt.Sprintf("%d bytes, 256-byte aligned", bytes), "at %#x", at)
	}
	return nil
}

// LibraryError is an error of the library of dense products.
type LibraryError struct {
	What   string // what was called, or why nothing was
	Status int    // the cublasStatus_t
	Name   string // "CUBLAS_STATUS_NOT_SUPPORTED"
}

// Values of cublasStatus_t that are named in this package.
const (
	statusNotInitialized = 1 // also: the library finds the driver too old for it
	statusAllocFailed    = 3
	statusArchMismatch   = 8
	statusNotSupported   = 15
)

// Error returns what was called, the status's name and its number.
func (e *LibraryError) Error() string { return fmt.Sprintf("%s: %s (%d)", e.What, e.Name, e.Status) }

// Unwrap returns the class: backend.ErrOutOfMemory, backend.ErrUnsupported, or nil.
func (e *LibraryError) Unwrap() error {
	switch e.Status {
	case statusAllocFailed:
		return backend.ErrOutOfMemory
	case statusNotInitialized, statusArchMismatch, statusNotSupported:
		return backend.ErrUnsupported
	}
	return nil
}
