package emulator

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/internal/gpuvm/ptx"
)

// Driver is a driver of one emulated device. It is safe for use by several
// goroutines. The zero value is ready.
type Driver struct {
	Config       ptx.Config
	WithoutDense bool // there is no library of dense products

	mu     sync.Mutex
	parsed map[uint64]*ptx.Module // by hash of the text
}

var _ driver.Driver = (*Driver)(nil)

// Version implements driver.Driver: there is no CUDA.
func (*Driver) Version() int { return 0 }

// memory is what the device says it has, and gives out.
const memory = 1 << 30

// propertiesOf says what a machine of that configuration, with its defaults, is.
func propertiesOf(c ptx.Config) driver.Properties {
	return driver.Properties{
		Name: fmt.Sprintf("PTX interpreter as sm_%d", c.Arch), UUID: "GPU-emulated", Major: c.Arch / 10, Minor: c.Arch % 10,
		Memory: memory, SharedPerBlock: c.SharedPerBlock, SharedOptIn: c.SharedOptIn, SharedPerSM: c.SharedOptIn,
		SMs: 4, RegistersPerSM: 65536, ThreadsPerSM: 2048, MaxThreads: c.MaxThreads, MemoryBusBits: 64,
	}
}

// Devices implements driver.Driver.
func (d *Driver) Devices() ([]driver.Properties, error) {
	return []driver.Properties{propertiesOf(ptx.NewMachine(d.Config).Config())}, nil
}

// Open implements driver.Driver. There are no contexts of the caller's.
func (d *Driver) Open(ordinal int, native uintptr) (driver.Context, error) {
	if ordinal != 0 {
		return nil, fmt.Errorf("%w: device %d of 1", backend.ErrNoDevice, ordinal)
	}
	if native != 0 {
		return nil, fmt.Errorf("%w: an emulated device has no native contexts, not %#x", backend.ErrUnsupported, native)
	}
	c := d.Config
	if c.MemoryLimit == 0 {
		c.MemoryLimit = memory
	}
	return &device{driver: d, machine: ptx.NewMachine(c), limit: c.MemoryLimit}, nil
}

var seed = maphash.MakeSeed()

// parse keeps modules: each is parsed once.
func (d *Driver) parse(name string, text []byte) (*ptx.Module, error) {
	key := maphash.Bytes(seed, text)
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.parsed[key]; m != nil {
		return m, nil
	}
	m, err := ptx.Parse(name, text)
	if err != nil {
		return nil, err
	}
	if d.parsed == nil {
		d.parsed = map[uint64]*ptx.Module{}
	}
	d.parsed[key] = m
	return m, nil
}

// device is a context on the device.
type device struct {
	driver  *Driver
	machine *ptx.Machine
	limit   int64

	mu        sync.Mutex
	closed    bool
	lost      error
	recording int // streams
}

// usable is the error of a closed or lost context.
func (d *device) usable() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return backend.ErrClosed
	}
	return d.lost
}

// Code numbers of the driver API that an emulated call answers with.
const (
	codeInvalidValue   = 1
	codeOutOfMemory    = 2
	codeInvalidPTX     = 218
	codeNotFound       = 500
	codeIllegalAddress = 700
	codeIllegalState   = 401
)

// fail makes an error of the driver's kind of err, and keeps a fault.
func (d *device) fail(call string, err error) error {
	if err == nil {
		return nil
	}
	e := &driver.Error{Call: call, Code: codeInvalidValue, Name: "CUDA_ERROR_INVALID_VALUE", Text: err.Error()}
	var fault *ptx.Fault
	switch {
	case errors.Is(err, ptx.ErrOutOfMemory):
		e.Code, e.Name = codeOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"
	case errors.As(err, &fault):
		e.Code, e.Name = codeIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.lost == nil {
			d.lost = e
		}
	}
	return e
}

func (d *device) Properties() driver.Properties { return propertiesOf(d.machine.Config()) }
func (d *device) Handle() uintptr               { return 0 }

func (d *device) Mem() (free, total int64, err error) {
	if err := d.usable(); err != nil {
		return 0, 0, err
	}
	return d.limit - d.machine.Used(), d.limit, nil
}

func (d *device) Alloc(bytes int64) (driver.Ptr, error) {
	if err := d.usable(); err != nil || bytes == 0 {
		return 0, err
	}
	if bytes > d.limit { // also what no int can be on some machines
		return 0, d.fail(fmt.Sprintf("alloc of %d bytes", bytes), ptx.ErrOutOfMemory)
	}
	p, err := d.machine.Alloc(int(bytes))
	return driver.Ptr(p), d.fail(fmt.Sprintf("alloc of %d bytes", bytes), err)
}

func (d *device) Free(p driver.Ptr) error {
	if p == 0 {
		return d.usable()
	}
	if err := d.usable(); errors.Is(err, backend.ErrClosed) {
		return err
	}
	return d.fail("free", d.machine.Free(uint64(p)))
}

func (d *device) AllocHost(bytes int) ([]byte, error) {
	if err := d.usable(); err != nil || bytes == 0 {
		return nil, err
	}
	if bytes < 0 {
		return nil, fmt.Errorf("%w: page-locked memory of %d bytes", backend.ErrShape, bytes)
	}
	const page = 4096
	b := make([]byte, bytes+page)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % page)
	return b[skip : skip+bytes : skip+bytes], nil
}

func (d *device) FreeHost([]byte) error { return nil }

func (d *device) Load(name string, text []byte) (driver.Module, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	m, err := d.driver.parse(name, text)
	if err != nil {
		return nil, &driver.Error{Call: "load of " + name, Code: codeInvalidPTX, Name: "CUDA_ERROR_INVALID_PTX", Detail: err.Error()}
	}
	return &module{device: d, module: m}, nil
}

func (d *device) NewStream() (driver.Stream, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	return &stream{device: d}, nil
}

func (d *device) WrapStream(handle uintptr) (driver.Stream, error) {
	if handle != 0 {
		return nil, fmt.Errorf("%w: an emulated device has no native stream but 0, not %#x", backend.ErrUnsupported, handle)
	}
	if err := d.usable(); err != nil {
		return nil, err
	}
	return &stream{device: d, isDefault: true}, nil
}

func (d *device) NewEvent(timed bool) (driver.Event, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	return &event{device: d, timed: timed}, nil
}

// Sync is an error while a stream records, as CUDA has it.
func (d *device) Sync() error {
	if err := d.usable(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recording > 0 {
		return captureError("sync", 900, "a stream is being recorded")
	}
	return nil
}

// record counts streams that record.
func (d *device) record(more int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recording += more
}

func (d *device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}

// event is a time, or a point in a recording.
type event struct {
	device *device
	timed  bool
	mu     sync.Mutex
	at     time.Time
	in     recorded
	closed bool
}

func (e *event) record(in recorded) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at, e.in = time.Now(), in
}

// point is where e was recorded last, if it ever was.
func (e *event) point() (recorded, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.in, !e.at.IsZero()
}

func (e *event) usable() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return backend.ErrClosed
	}
	return e.device.usable()
}

func (e *event) time() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at
}

func (e *event) Done() (bool, error) { err := e.usable(); return err == nil, err }
func (e *event) Sync() error         { return e.usable() }

func (e *event) Since(start driver.Event) (time.Duration, error) {
	s, ok := start.(*event)
	if !ok || !e.timed || !s.timed {
		return 0, fmt.Errorf("%w: time between events that are not timed", backend.ErrDevice)
	}
	if err := e.usable(); err != nil {
		return 0, err
	}
	if err := s.usable(); err != nil {
		return 0, err
	}
	return e.time().Sub(s.time()), nil
}

func (e *event) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

// module is a parsed file on a device.
type module struct {
	device *device
	module *ptx.Module
}

func (m *module) Function(name string) (driver.Function, error) {
	if err := m.device.usable(); err != nil {
		return nil, err
	}
	e := m.module.Entry(name)
	if e == nil {
		return nil, &driver.Error{Call: fmt.Sprintf("function %s of %s", name, m.module.Name), Code: codeNotFound, Name: "CUDA_ERROR_NOT_FOUND"}
	}
	return &function{device: m.device, entry: e}, nil
}

func (m *module) Close() error { m.device.machine.Unload(m.module); return nil }

// function is a kernel.
type function struct {
	device *device
	entry  *ptx.Entry
}

func (f *function) Name() string { return f.entry.Name }

func (f *function) Attributes() (driver.Attributes, error) {
	threads := f.device.machine.Config().MaxThreads
	if t := f.entry.MaxThreads; t[0] != 0 {
		threads = int(t[0] * t[1] * t[2])
	}
	arch := f.device.machine.Config().Arch
	return driver.Attributes{SharedBytes: f.entry.Shared, LocalBytes: f.entry.Local, MaxThreads: threads, PTXVersion: arch, BinaryVersion: arch}, nil
}

func (f *function) AllowShared(bytes int) error {
	return f.device.fail("shared memory of "+f.entry.Name, f.device.machine.SetShared(f.entry, bytes))
}

func (f *function) BlocksPerSM(int, int) (int, error) { return 1, nil }

// launch runs the kernel to its end.
func (f *function) launch(l *driver.Launch) error {
	return f.device.fail("launch of "+f.entry.Name, f.device.machine.Launch(context.Background(), f.entry, ptx.Launch{Grid: l.Grid, Block: l.Block, Shared: l.Shared, Args: l.Args}))
}
