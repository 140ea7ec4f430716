package driver

import "time"

// Driver is an installed CUDA driver, or a stand-in for one. It is safe for use
// by several goroutines.
type Driver interface {
	// Version returns the CUDA version that the driver is made for, 1000*major
	// + 10*minor: 12040 for 12.4.
	Version() int

	// Devices describes all devices, in the order of their ordinals.
	Devices() ([]Properties, error)

	// Open returns a context on the device with that ordinal: its primary one,
	// or, where native is not 0, the caller's own CUcontext, which must be of
	// that device, stay valid until Close, and is never destroyed by us.
	Open(ordinal int, native uintptr) (Context, error)
}

// Properties describes a device. Memory sizes are in bytes.
type Properties struct {
	Ordinal int
	Name    string // "NVIDIA H200"
	UUID    string // "GPU-" and 36 characters, as NVIDIA's tools write it
	PCI     string // "0000:3b:00.0"

	Major, Minor int // compute capability: 9, 0

	Memory         int64 // device memory
	L2             int   // level 2 cache
	SharedPerBlock int   // shared memory that any block may use
	SharedOptIn    int   // that a block may use after Function.AllowShared
	SharedPerSM    int   // of one multiprocessor, for all its blocks

	SMs            int // multiprocessors
	RegistersPerSM int // 32-bit registers of one
	ThreadsPerSM   int // threads that one holds
	MaxThreads     int // threads in a block, at most

	ClockKHz       int // highest clock of the multiprocessors; 0: the driver does not say
	MemoryClockKHz int // of the memory; 0: the driver does not say
	MemoryBusBits  int

	Integrated bool // shares its memory with the host
	ECC        bool
}

// Ptr is an address in device memory; 0 is none.
type Ptr uint64

// Context is a CUDA context and what belongs to it. It is safe for use by
// several goroutines, but for Close, which comes last: what was made in the
// context is closed before it. After Close every method but Properties and
// Handle returns backend.ErrClosed.
type Context interface {
	// Properties describes the device.
	Properties() Properties

	// Handle returns the CUcontext, 0 in a stand-in.
	Handle() uintptr

	// Mem returns the free and total device memory in bytes.
	Mem() (free, total int64, err error)

	// Alloc returns device memory, 256-byte aligned, its contents unspecified.
	// 0 bytes are address 0. Too much is backend.ErrOutOfMemory.
	Alloc(bytes int64) (Ptr, error)

	// Free gives back what Alloc returned. Work that uses it must be done. 0
	// does nothing.
	Free(Ptr) error

	// AllocHost returns page-locked host memory, page-aligned, outside of Go's
	// heap, from which copies are asynchronous. 0 bytes are nil.
	AllocHost(bytes int) ([]byte, error)

	// FreeHost gives back what AllocHost returned, the whole slice. Work that
	// uses it must be done. nil does nothing.
	FreeHost([]byte) error

	// Load compiles PTX for the device. Its name is for errors only, which
	// hold the compiler's log.
	Load(name string, ptx []byte) (Module, error)

	// Plan chooses the algorithm of a product once, for every number of rows up
	// to p.MaxRows: of the same library, device and Product always the same one,
	// that adds in one order. The error is p.Check's, backend.ErrUnsupported where
	// there is no library or it has no such algorithm, or one of the device. The
	// first call of a process loads the vendor's library, which takes a tenth of a
	// second to a second and a hundred MB of host memory; nothing else does.
	Plan(p Product) (Plan, error)

	// NewStream returns a stream that does not wait for the default stream.
	NewStream() (Stream, error)

	// WrapStream makes a Stream of the caller's own CUstream of this context,
	// which is never destroyed by us: 0 and 1 are the default stream, 2 that of
	// the calling thread. A stand-in knows 0 only.
	WrapStream(handle uintptr) (Stream, error)

	// NewEvent returns an event; only a timed one can be given to Since.
	NewEvent(timed bool) (Event, error)

	// Sync waits for all work in the context.
	Sync() error

	// Close gives the context back. It is idempotent.
	Close() error
}

// Stream is a queue of work that runs in order. It is used by one goroutine at
// a time. Memory named here is the context's; where it is not, what happens is
// the device's to say, mostly backend.ErrDeviceLost. After Close every method
// but Handle returns backend.ErrClosed.
type Stream interface {
	// Handle returns the CUstream.
	Handle() uintptr

	// Upload copies Go memory to the device behind the work before it, and
	// returns when that is done.
	Upload(dst Ptr, src []byte) error

	// Download copies device memory to Go memory behind the work before it, and
	// returns when that is done.
	Download(dst []byte, src Ptr) error

	// UploadPinned enqueues a copy. src is within memory of the context's
	// AllocHost, else it is backend.ErrDevice, and is not changed until the
	// copy is done.
	UploadPinned(dst Ptr, src []byte) error

	// DownloadPinned enqueues a copy. dst is within memory of the context's
	// AllocHost, else it is backend.ErrDevice, and is not used until the copy
	// is done.
	DownloadPinned(dst []byte, src Ptr) error

	// Copy enqueues a copy between places that do not overlap.
	Copy(dst, src Ptr, bytes int64) error

	// Fill8 enqueues writing value to each byte.
	Fill8(dst Ptr, value byte, bytes int64) error

	// Launch enqueues a kernel. It keeps no reference to l and allocates
	// nothing. What the device cannot launch is an error here; what goes wrong
	// in the kernel is one of a later call.
	Launch(f Function, l *Launch) error

	// Multiply enqueues the product for so many rows, 0 to MaxRows; 0 do nothing.
	// x, w and y are 16-byte aligned; workspace has p.Workspace() bytes, is
	// 256-byte aligned, unspecified afterwards, and of this stream alone. y
	// overlaps nothing else. It allocates nothing and can be captured. Where the
	// plan's algorithm does not take that number of rows, which a library may find
	// only here, it is an error: there is never another algorithm.
	Multiply(p Plan, rows int, x, w, y, workspace Ptr) error

	// Record makes e an event that is reached when the work before it is done.
	Record(e Event) error

	// Wait makes the work behind it wait for e, as it was recorded last.
	Wait(e Event) error

	// Done reports whether all work is done. It does not wait.
	Done() (bool, error)

	// Sync waits for all work.
	Sync() error

	// BeginCapture makes the calls that follow record work in place of
	// enqueueing it, until EndCapture. Upload, Download, Done and Sync are
	// errors meanwhile, which do not end it. The default stream cannot be
	// captured.
	BeginCapture() error

	// EndCapture returns what was recorded. Memory, modules and page-locked
	// memory in it must live as long as the graph.
	EndCapture() (Graph, error)

	// Close destroys the stream, unless it is the caller's; work in it goes on.
	// It is idempotent.
	Close() error
}

// MaxArgs is the most parameters that a kernel can be launched with.
const MaxArgs = 64

// Launch is how a kernel is launched.
type Launch struct {
	Grid   [3]uint32 // blocks, each at least 1
	Block  [3]uint32 // threads of a block, each at least 1
	Shared uint32    // bytes of shared memory beyond what the kernel declares

	// Args has a slot of 8 bytes for each parameter of the kernel, in order; a
	// smaller one is in the low bytes. Parameters above 8 bytes and more than
	// MaxArgs of them are not supported.
	Args []uint64
}

// Event is a point in a stream. It is safe for use by several goroutines, but
// for Close.
type Event interface {
	// Done reports whether the event was reached; before it was ever recorded
	// it is. It does not wait.
	Done() (bool, error)

	// Sync waits until the event is reached.
	Sync() error

	// Since returns the time on the device between two timed events that were
	// reached, of the same context.
	Since(start Event) (time.Duration, error)

	// Close is idempotent. Streams may still wait for the event.
	Close() error
}

// Module is a loaded PTX file. It is safe for use by several goroutines, but
// for Close.
type Module interface {
	// Function returns the kernel of that name; none is an error that says both
	// names.
	Function(name string) (Function, error)

	// Close unloads the module; its functions must not be used any more. It is
	// idempotent.
	Close() error
}

// Function is a kernel. It is safe for use by several goroutines and lives as
// long as its module.
type Function interface {
	// Name returns the kernel's name.
	Name() string

	// Attributes says what the compiler made of it.
	Attributes() (Attributes, error)

	// AllowShared makes launches with up to that many bytes of Launch.Shared
	// legal, where without it Properties.SharedPerBlock is the limit.
	AllowShared(bytes int) error

	// BlocksPerSM returns how many blocks of so many threads and bytes of
	// Launch.Shared one multiprocessor holds at a time.
	BlocksPerSM(threads, shared int) (int, error)
}

// Attributes is what a compiled kernel takes.
type Attributes struct {
	Registers     int // per thread
	SharedBytes   int // per block, declared in the kernel
	LocalBytes    int // per thread: spilled registers and arrays
	ConstantBytes int // of the module's own
	MaxThreads    int // per block
	PTXVersion    int // target of the PTX, 80 for sm_80
	BinaryVersion int // architecture that it was compiled for, 90 for sm_90
}

// Graph is recorded work that can be launched again. Launches of one graph run
// one after the other. It is used by one goroutine at a time.
type Graph interface {
	// Launch enqueues all of it in a stream of the same context.
	Launch(Stream) error

	// Close is idempotent. Launches that are enqueued go on.
	Close() error
}
