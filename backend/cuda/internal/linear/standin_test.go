package linear

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
)

// standin is a driver that does nothing. It gives out addresses and keeps count
// of what is open. Where launched is set, it is asked about each launch; sent is
// told of each copy from page-locked memory.
type standin struct {
	launched func(f string, l *driver.Launch) error
	sent     func(bytes int)
	sms      int

	mu    sync.Mutex
	top   driver.Ptr
	alive map[driver.Ptr]int64
	open  map[string]int // page-locked bytes, streams, events
}

func newStandin() *standin {
	return &standin{sms: 132, top: 1 << 32, alive: map[driver.Ptr]int64{}, open: map[string]int{}}
}

func (d *standin) count(what string, by int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[what] += by
	if d.open[what] == 0 {
		delete(d.open, what)
	}
}

// left requires that nothing is allocated or open but what is named.
func (d *standin) left(t testing.TB, allocations int, open map[string]int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Len(t, d.alive, allocations)
	require.Equal(t, open, d.open)
}

// within reports whether the bytes lie in one allocation.
func (d *standin) within(at uint64, bytes int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p, n := range d.alive {
		if at >= uint64(p) && bytes >= 0 && at+uint64(bytes) <= uint64(p)+uint64(n) {
			return true
		}
	}
	return false
}

func (*standin) Version() int { return 12090 }

func (d *standin) Properties() driver.Properties {
	return driver.Properties{
		Name: "stand-in", Major: 9, Memory: 1 << 36, SharedPerBlock: 48 << 10, SharedOptIn: 227 << 10, SharedPerSM: 228 << 10,
		SMs: d.sms, RegistersPerSM: 65536, ThreadsPerSM: 2048, MaxThreads: 1024,
	}
}

func (d *standin) Devices() ([]driver.Properties, error) {
	return []driver.Properties{d.Properties()}, nil
}
func (d *standin) Open(int, uintptr) (driver.Context, error) { return d, nil }
func (*standin) Handle() uintptr                             { return 0 }
func (*standin) Mem() (free, total int64, err error)         { return 1 << 35, 1 << 36, nil }
func (*standin) Sync() error                                 { return nil }
func (*standin) Close() error                                { return nil }
func (d *standin) WrapStream(uintptr) (driver.Stream, error) { return d.NewStream() }
func (d *standin) Load(name string, _ []byte) (driver.Module, error) {
	return standinModule{d, name}, nil
}

func (d *standin) Plan(driver.Product) (driver.Plan, error) {
	return nil, fmt.Errorf("%w: a driver that does nothing", backend.ErrUnsupported)
}

func (d *standin) Alloc(bytes int64) (driver.Ptr, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if bytes == 0 {
		return 0, nil
	}
	p := d.top
	d.alive[p] = bytes
	d.top += driver.Ptr((bytes + 4096) &^ 255)
	return p, nil
}

func (d *standin) Free(p driver.Ptr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.alive[p]; p != 0 && !ok {
		return fmt.Errorf("free of %#x, which is not allocated", p)
	}
	delete(d.alive, p)
	return nil
}

func (d *standin) AllocHost(bytes int) ([]byte, error) {
	d.count("page-locked bytes", bytes)
	return make([]byte, bytes), nil
}

func (d *standin) FreeHost(b []byte) error {
	d.count("page-locked bytes", -len(b))
	return nil
}

func (d *standin) NewStream() (driver.Stream, error) {
	d.count("streams", 1)
	return &standinStream{device: d}, nil
}

func (d *standin) NewEvent(bool) (driver.Event, error) {
	d.count("events", 1)
	return &standinEvent{device: d}, nil
}

type standinModule struct {
	device *standin
	name   string
}

func (m standinModule) Close() error { return nil }

func (m standinModule) Function(name string) (driver.Function, error) {
	return &standinFunction{name: name}, nil
}

type standinFunction struct {
	name   string
	shared int
}

func (f *standinFunction) Name() string { return f.name }
func (f *standinFunction) Attributes() (driver.Attributes, error) {
	return driver.Attributes{MaxThreads: 1024}, nil
}
func (f *standinFunction) AllowShared(bytes int) error       { f.shared = bytes; return nil }
func (f *standinFunction) BlocksPerSM(int, int) (int, error) { return 1, nil }

type standinStream struct {
	device *standin
	closed bool
}

func (s *standinStream) Launch(f driver.Function, l *driver.Launch) error {
	if s.device.launched == nil {
		return nil
	}
	if own := f.(*standinFunction); int(l.Shared) > max(own.shared, s.device.Properties().SharedPerBlock) {
		return fmt.Errorf("launch of %s: %d bytes of shared memory, allowed %d", own.name, l.Shared, own.shared)
	}
	return s.device.launched(f.Name(), l)
}

func (s *standinStream) UploadPinned(_ driver.Ptr, src []byte) error {
	if s.device.sent != nil {
		s.device.sent(len(src))
	}
	return nil
}

func (s *standinStream) Close() error {
	if !s.closed {
		s.closed = true
		s.device.count("streams", -1)
	}
	return nil
}

func (*standinStream) Handle() uintptr                         { return 0 }
func (*standinStream) Upload(driver.Ptr, []byte) error         { return nil }
func (*standinStream) Download([]byte, driver.Ptr) error       { return nil }
func (*standinStream) DownloadPinned([]byte, driver.Ptr) error { return nil }
func (*standinStream) Copy(_, _ driver.Ptr, _ int64) error     { return nil }
func (*standinStream) Fill8(driver.Ptr, byte, int64) error     { return nil }
func (*standinStream) Record(driver.Event) error               { return nil }
func (*standinStream) Wait(driver.Event) error                 { return nil }
func (*standinStream) Done() (bool, error)                     { return true, nil }
func (*standinStream) Sync() error                             { return nil }
func (*standinStream) BeginCapture() error                     { return backend.ErrUnsupported }
func (*standinStream) EndCapture() (driver.Graph, error)       { return nil, backend.ErrUnsupported }
func (*standinStream) Multiply(driver.Plan, int, driver.Ptr, driver.Ptr, driver.Ptr, driver.Ptr) error {
	return backend.ErrUnsupported
}

type standinEvent struct {
	device *standin
	closed bool
}

func (e *standinEvent) Done() (bool, error)                       { return true, nil }
func (e *standinEvent) Sync() error                               { return nil }
func (e *standinEvent) Since(driver.Event) (time.Duration, error) { return 0, nil }
func (e *standinEvent) Close() error {
	if !e.closed {
		e.closed = true
		e.device.count("events", -1)
	}
	return nil
}

// family is what a kernel's name says of it.
func family(kernel string) string {
	switch {
	case strings.Contains(kernel, "_t"):
		return "tile"
	case strings.Contains(kernel, "_n"):
		return "stream"
	}
	return kernel
}
