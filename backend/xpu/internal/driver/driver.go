package driver

import "fmt"

// Ptr is a device pointer. 0 is none.
type Ptr uintptr

// Kind is a kind of engine, in oneDNN's numbers.
type Kind int32

// The kinds of engines.
const (
	CPU Kind = 1
	GPU Kind = 2
)

// Library is a loaded oneDNN. It is safe for use by several goroutines.
type Library interface {
	// Facts says what the library is.
	Facts() Facts

	// Open makes an engine. ErrNoEngine where there is none of that kind and
	// index, another error where there is one that does not work.
	Open(kind Kind, index int) (Engine, error)
}

// Facts is what a library says about itself.
type Facts struct {
	Major, Minor, Patch    int
	Commit                 string // "" where it has none
	CPURuntime, GPURuntime string // "SYCL", "OpenCL", "Level Zero", "OpenMP", "none", …
	OpenMP                 bool   // its CPU engine starts a team of threads for each thread that calls it
	Path                   string // where it was asked for; "" where the system's loader looked
}

// String returns "oneDNN 3.13.2 (CPU SYCL, GPU SYCL)".
func (f Facts) String() string {
	return fmt.Sprintf("oneDNN %s (CPU %s, GPU %s)", f.Version(), f.CPURuntime, f.GPURuntime)
}

// Version returns "3.13.2".
func (f Facts) Version() string { return fmt.Sprintf("%d.%d.%d", f.Major, f.Minor, f.Patch) }

// AtLeast reports whether the version is major.minor or later.
func (f Facts) AtLeast(major, minor int) bool {
	return f.Major > major || f.Major == major && f.Minor >= minor
}

// Engine is a device. It is safe for use by several goroutines, but for Close.
type Engine interface {
	// Facts says what the engine is.
	Facts() EngineFacts

	// NewStream makes a stream, in which work is done in order.
	NewStream() (Stream, error)

	// WrapStream makes a stream of the caller's in-order queue, which must
	// outlive it.
	WrapStream(queue uintptr) (Stream, error)

	// Alloc returns memory of at least 1 byte, uninitialised, at a multiple of
	// 256.
	Alloc(bytes int64) (Memory, error)

	// CheckPointer reports a pointer of the caller's that the engine does not
	// take.
	CheckPointer(p Ptr, bytes int64) error

	// Prepare makes what calls of up to MaxRows rows need. It needs no weights.
	Prepare(*Plan) (Layer, error)

	// Close is an error of class ErrBusy while anything of the engine lives.
	Close() error
}

// EngineFacts is what an engine says about itself.
type EngineFacts struct {
	Kind       Kind
	Runtime    string // "SYCL", "OpenCL", "Level Zero"
	HostMemory bool   // device pointers are the host's, too
}

// Memory is memory of an engine.
type Memory interface {
	Pointer() Ptr

	// Close frees it; the caller has waited for work that uses it.
	Close() error
}

// Stream is a queue. It, and the bindings to it, are used by one goroutine at
// a time.
type Stream interface {
	// Upload copies host memory behind the work before, and is done on return.
	Upload(dst Ptr, src []byte) error

	// Download copies to host memory behind the work before, and is done on return.
	Download(dst []byte, src Ptr) error

	// Copy enqueues a copy between ranges that do not overlap or are the same.
	Copy(dst, src Ptr, bytes int64) error

	// Wait returns when all work is done. What failed in it is an error here.
	Wait() error

	// Close waits, then destroys, whether waiting failed or not.
	Close() error
}

// Layer is the primitives of a plan. It is immutable and safe for use by
// several goroutines, but for Close.
type Layer interface {
	// Buckets says what was made, for ascending rows; the last is MaxRows.
	Buckets() []Bucket

	// Bind ties the layer to a stream and to memory of its weights.
	Bind(Stream, Weights) (Binding, error)

	// Close is an error of class ErrBusy while bindings live.
	Close() error
}

// Bucket is what calls of up to Rows rows, and more than the bucket before it,
// use.
type Bucket struct {
	Rows           int
	Workspace      int64 // bytes, the scratchpad included
	Scratchpad     int64
	Implementation string // what oneDNN calls its matmul: "jit:gemm:any"
	Reference      bool   // a reference implementation: right, and hundreds of times slower
}

// Weights is where the parts of a layer are on the device.
type Weights struct {
	Codes               Ptr
	Scales, Zeros, Bias Ptr // 0: none
}

// Binding is a layer for one stream. It is used by who uses the stream.
type Binding interface {
	// Apply enqueues y = layer(x). It allocates nothing.
	Apply(c *Call) error

	// Quantize enqueues the codes [rows, XCols] of s8 and the scales [rows] of
	// float32 that Apply computes, without gaps: NaN and codes of 0 for a row
	// that is not finite.
	Quantize(c *Call, codes, scales Ptr) error

	// Close frees it; the caller has waited for its calls.
	Close() error
}

// Call is the arguments of one call. Strides are elements.
type Call struct {
	X, Y             Ptr
	XStride, YStride int
	Rows             int // 1 … MaxRows
	Workspace        Ptr // a multiple of 256
	WorkspaceBytes   int64
}
