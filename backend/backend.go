package backend

import (
	"context"
	"log/slog"
	"unsafe"

	"github.com/bitlane/bitlane/quant"
)

// Backend is one family of devices and the kernels for them. It is registered
// by name from an init that touches no hardware. A Backend is safe for use by
// several goroutines.
type Backend interface {
	// Name is the name that users type: "cpu", "cuda", "xpu-cpu".
	Name() string

	// Kernels lists the kernels, best first. It is known without any device,
	// so that a refusal can be explained on any machine.
	Kernels() []Kernel

	// Devices lists the devices. Its error says why there are none and is one
	// of ErrNotBuilt, ErrNotImplemented or ErrNoDevice.
	Devices(ctx context.Context) ([]DeviceInfo, error)

	// Open opens the device with a stable id ("0", a UUID, a PCI address);
	// "" is the first one. An unknown id is ErrNoDevice.
	Open(ctx context.Context, id string, o OpenOptions) (Device, error)
}

// MostThreads is the most host threads of a device. A layer's workspace has room for each.
const MostThreads = 1 << 12

// OpenOptions are what a caller may bring along. The zero value is right for
// most programs.
type OpenOptions struct {
	NativeContext uintptr // the caller's own context of the vendor's API; 0: the device's primary one
	Threads       int     // host threads for CPU work, MostThreads at most; 0: as many as the process may use
	CPUs          []int   // logical CPUs the threads may run on; nil: all that the process may use
	MemoryLimit   int64   // bytes this device may hold; 0: no limit of ours

	// Tuning moves points that the backend's Tunings has, by name; the others
	// stay where they are. It is copied.
	Tuning Tuned

	Logger *slog.Logger // nil: silent
}

// DeviceInfo says what a device is. It holds no handles and may be kept.
type DeviceInfo struct {
	Backend    string   `json:"backend"`              // the registered name of its backend
	Family     string   `json:"family"`               // "cpu", "cuda", "rocm", "npu", "xpu": differs from Backend for stand-ins
	ID         string   `json:"id"`                   // stable within the backend
	Name       string   `json:"name"`                 // product name
	Arch       string   `json:"arch"`                 // "amd64", "sm_90", "gfx942"
	Tier       string   `json:"tier,omitempty"`       // which kernel tier the device selects: "avx2", "go"
	Features   []string `json:"features,omitempty"`   // instruction sets or capabilities that kernels ask for
	Driver     string   `json:"driver,omitempty"`     // driver version
	Library    string   `json:"library,omitempty"`    // vendor library and its version
	Memory     string   `json:"memory,omitempty"`     // how weights are held: "normal pages", "2 MiB pages"
	Units      int      `json:"units"`                // cores, SMs, compute units that work in parallel
	Capability int      `json:"capability,omitempty"` // the vendor's compute capability, 90 for sm_90; 0: none
	Emulated   bool     `json:"emulated,omitempty"`   // an interpreter or stand-in: right results, not its speed

	Tuning Tuned `json:"tuning,omitempty"` // OpenOptions.Tuning as it was opened; not to be written to
}

// Address returns what opens the device, "backend:id", and the backend's name
// alone where there is no id: a backend without devices.
func (i DeviceInfo) Address() string {
	if i.ID == "" {
		return i.Backend
	}
	return i.Backend + ":" + i.ID
}

// String returns "backend:id (name)".
func (i DeviceInfo) String() string { return i.Backend + ":" + i.ID + " (" + i.Name + ")" }

// Device is an open device. It is safe for use by several goroutines.
type Device interface {
	// Info describes the device.
	Info() DeviceInfo

	// Mem returns the free and total memory in bytes.
	Mem() (free, total int64, err error)

	// Alloc returns a buffer of device memory, 256-byte aligned, its contents
	// unspecified. 0 bytes are legal. Too much is ErrOutOfMemory.
	Alloc(bytes int) (Buffer, error)

	// NewStream returns a new queue of work.
	NewStream() (Stream, error)

	// WrapBuffer makes a Buffer of the caller's own memory, which must stay
	// valid until the Buffer is closed and is never freed by us.
	WrapBuffer(ptr unsafe.Pointer, bytes int) (Buffer, error)

	// WrapStream makes a Stream of the caller's own native stream, which is
	// never destroyed by us. Handle 0 is the vendor's default stream; a device
	// in host memory knows no other.
	WrapStream(handle uintptr) (Stream, error)

	// Close returns ErrBusy, and closes nothing, while layers, buffers or
	// streams of the device live. It is idempotent.
	Close() error
}

// Buffer is a piece of device memory. Its methods are safe for use by several
// goroutines; what is in it is the caller's to order.
type Buffer interface {
	Device() Device
	Len() int      // bytes
	Addr() uintptr // native address; 0 for an empty or closed buffer
	Host() []byte  // the memory itself where the host sees it; nil otherwise and after Close
	Closed() bool  // after Close: every use of the buffer is then ErrClosed
	Close() error  // frees; idempotent; ErrBusy is never returned: the caller syncs first
}

// Stream is a queue of work in order. A Stream is used by one goroutine at a
// time; distinct streams are independent.
type Stream interface {
	// Upload copies Go memory to the device; len(src) = dst.Bytes. It is
	// complete on return.
	Upload(dst Span, src []byte) error

	// Download copies device memory to Go memory; len(dst) = src.Bytes. It
	// waits for the work before it and is complete on return.
	Download(dst []byte, src Span) error

	// Copy enqueues a copy between buffers of the device; equal sizes.
	Copy(dst, src Span) error

	// Record returns an event that is reached when the work before it is done.
	Record() (Event, error)

	// Wait makes later work on this stream wait for an event of any stream of
	// the device.
	Wait(Event) error

	// Sync waits for all work. When ctx ends first it returns ctx.Err: the work
	// still runs and its buffers stay in use.
	Sync(ctx context.Context) error

	// Device returns the device of the stream.
	Device() Device

	// Closed reports whether Close was called: every use is then ErrClosed.
	Closed() bool

	// Close frees the stream after its work is done. It is idempotent.
	Close() error
}

// Event is a point in a stream. It is safe for use by several goroutines.
type Event interface {
	Device() Device
	Close() error
}

// Kernel is code for one family of Specs. It holds no state and is safe for
// use by several goroutines.
type Kernel interface {
	// Name follows the grammar of CheckKernelName.
	Name() string

	// Supports returns nil, or every reason why not, not only the first.
	Supports(DeviceInfo, Spec) *Refusal

	// Footprint says what a layer will take, before anything is loaded. It is
	// meaningful only where Supports returns nil.
	Footprint(DeviceInfo, Spec) Footprint

	// Numerics states the error of the kernel for a Spec that it supports.
	Numerics(Spec) Numerics

	// Prepare packs l for d. It keeps no reference to l. s must be a Spec of l (Spec.Check).
	// A failed Prepare leaves nothing allocated.
	Prepare(ctx context.Context, d Device, l *quant.Linear, s Spec) (Layer, error)
}

// Footprint is memory in bytes.
type Footprint struct {
	Weights   int64 `json:"weights"`   // on the device while the layer lives: what Layer.Bytes returns
	Workspace int64 `json:"workspace"` // what Layer.Workspace(MaxRows) returns
	Staging   int64 `json:"staging"`   // host memory that Prepare takes for a while, at most
}

// Layer is a kernel together with one layer's packed weights on a device. It
// is immutable and safe for use by several goroutines.
type Layer interface {
	// Spec returns what the layer was prepared for.
	Spec() Spec

	// Workspace returns the bytes that Apply needs for so many rows: pure, O(1)
	// and non-decreasing.
	Workspace(rows int) int

	// Apply enqueues dst = x·Wᵀ + bias. x is [M, K] of Spec.X, dst [M, N] of
	// Spec.Y, M ≤ Spec.MaxRows; M = 0 does nothing. ws is 256-byte aligned,
	// at least Workspace(M) bytes, uninitialised, dead after the call; one span
	// may serve successive Applies on one stream, but no two at once: nothing tells, and both have wrong outputs. It allocates nothing. See
	// CheckApply for what is refused.
	Apply(s Stream, dst, x Tensor, ws Span) error

	// Bytes returns the device memory that the layer holds.
	Bytes() int64

	// Close refuses new Applies, waits for enqueued ones and frees. It is
	// idempotent. A live graph holds its layers.
	Close() error
}
