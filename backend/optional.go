package backend

import (
	"time"
	"unsafe"

	"github.com/bitlane/bitlane/dtype"
)

// Grouper is implemented by a Device that can run several layers that share
// their input as one: q/k/v, gate/up. x is quantized once. Where it is absent,
// Apply the layers one by one.
type Grouper interface {
	// Group returns a Layer whose output columns are those of layers in order:
	// N is their sum, MaxRows their least, Bytes what it takes beyond theirs.
	// A layer of another device is ErrDevice, a closed one ErrClosed; layers
	// that differ in K, x type, y type, recipe or transform are a *Refusal. The
	// group holds the layers: closing one of them before it is ErrBusy. Results
	// equal those of the single layers bit for bit.
	Group(layers ...Layer) (Layer, error)
}

// Capable is implemented by a Kernel that needs a minimum DeviceInfo.Capability.
// Where it is absent, any will do.
type Capable interface {
	MinCapability() int
}

// Coder is implemented by a Layer that quantizes its input and can show its
// codes. They are then checked first, and y given the codes. Where it is
// absent only y is checked.
type Coder interface {
	// Codes quantizes x [M, K] as Apply would. codes is [M, K] in the order of
	// K, scales [M, act.Count()] of the recipe's ActGroups, zeros [M] (0 for
	// symmetric recipes). It runs to completion. CheckInput says what of s and
	// x is refused; other lengths are ErrShape.
	Codes(s Stream, x Tensor, codes []int8, scales []float32, zeros []int32) error
}

// GraphCapture is implemented by a Stream that can record work and replay it.
// Where it is absent, call Apply each time.
type GraphCapture interface {
	BeginCapture() error
	EndCapture() (Graph, error)
}

// Graph is recorded work. It holds the layers in it.
type Graph interface {
	Launch(Stream) error
	Close() error
}

// EventTimer is implemented by a Stream that measures time between events on
// the device. Where it is absent, time with the host's clock round Sync.
type EventTimer interface {
	Elapsed(start, end Event) (time.Duration, error)
}

// PinnedHost is implemented by a Device whose copies are asynchronous from
// page-locked memory. Where it is absent, copies complete on return.
type PinnedHost interface {
	AllocHost(bytes int) (HostBuffer, error)
	UploadAsync(s Stream, dst Span, src HostBuffer) error
	DownloadAsync(s Stream, dst HostBuffer, src Span) error
}

// HostBuffer is page-locked host memory.
type HostBuffer interface {
	Bytes() []byte
	Pointer() unsafe.Pointer
	Close() error
}

// DenseMultiplier is implemented by a Device that can reach its vendor's library
// of dense products. It is a measure for kernels and not one of them: nobody states
// how that library sums, so that no error bound could be given for its y.
type DenseMultiplier interface {
	// PlanDense plans y [M, n] = x [M, k] · wᵀ for w [n, k] and up to rows rows,
	// all of type t, float16 or bfloat16, with float32 sums. No library, or a
	// size that it does not take, is ErrUnsupported and says why.
	PlanDense(t dtype.DType, n, k, rows int) (DenseProduct, error)
}

// DenseProduct is a planned product. It is safe for use by several goroutines,
// but for Close.
type DenseProduct interface {
	// Name says which library and algorithm it is.
	Name() string

	// Workspace returns the bytes that Multiply needs.
	Workspace() int

	// Multiply enqueues y = x · wᵀ. All three are without gaps between rows and
	// 16-byte aligned, ws is 256-byte aligned and uninitialised.
	Multiply(s Stream, y, x Tensor, w, ws Span) error

	// Close is idempotent.
	Close() error
}

// FaultInjector is implemented by a Device whose allocations can be made to
// fail, for tests. Where it is absent the suite shows those checks as skipped.
type FaultInjector interface {
	// FailAlloc makes allocation number n from now (0 is the next one), of any
	// kind, fail with ErrOutOfMemory, and those after it succeed. A negative n
	// takes the fault away. It returns the allocations counted since the last call.
	FailAlloc(n int) int
}

// Counter is implemented by a Device that counts what is alive, for tests.
// Where it is absent the suite shows leak checks as skipped.
type Counter interface {
	Alive() Alive
}

// Alive counts what a device holds.
type Alive struct {
	Buffers, Streams, Events, Layers int
	Bytes                            int64 // device memory, ours: not wrapped
}
