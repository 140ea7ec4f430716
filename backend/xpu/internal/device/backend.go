package device

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/internal/ledger"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// Backend is a backend of oneDNN's engines of one kind. It is safe for use by
// several goroutines.
type Backend struct {
	ID       string // "xpu", "xpu-cpu"
	Kind     driver.Kind
	Emulated bool // the engine stands in for a GPU

	// System returns the library, or why there is none: a *backend.Absence. It
	// is called by Devices and Open, never by init.
	System func() (driver.Library, error)

	// Table is the kernels, best first.
	Table []backend.Kernel

	// Check looks whether a device that was just opened computes what it should.
	Check func(context.Context, *Device) error

	workspaces workspaces
}

var (
	_ backend.Backend = (*Backend)(nil)
	_ backend.Tunable = (*Backend)(nil)
)

// TuneReference is the point that allows reference implementations.
const TuneReference = "reference"

// Name implements backend.Backend.
func (b *Backend) Name() string { return b.ID }

// Kernels implements backend.Backend.
func (b *Backend) Kernels() []backend.Kernel { return b.Table }

// Tunings implements backend.Tunable.
func (b *Backend) Tunings() []backend.Tuning {
	return []backend.Tuning{{
		Name: TuneReference, Value: b.reference(nil), Least: 0, Most: 1,
		What: "1: take oneDNN's reference implementation where it has no other: right, and hundreds of times slower",
	}}
}

// reference is the value of TuneReference: 1 where the engine only stands in.
func (b *Backend) reference(t backend.Tuned) int {
	if v, ok := t[TuneReference]; ok {
		return v
	}
	if b.Emulated {
		return 1
	}
	return 0
}

// Devices implements backend.Backend. An engine is there if it can be made;
// oneDNN's count of them may be an error's number.
func (b *Backend) Devices(ctx context.Context) ([]backend.DeviceInfo, error) {
	lib, err := b.library(ctx)
	if err != nil {
		return nil, err
	}
	var infos []backend.DeviceInfo
	for i := 0; ; i++ {
		e, err := lib.Open(b.Kind, i)
		if err != nil && i == 0 {
			return nil, b.absent(lib, err)
		}
		if err != nil {
			return infos, nil
		}
		infos = append(infos, b.describe(lib, e, i, nil))
		_ = e.Close() // nothing of it lives
		if b.Kind == driver.CPU {
			return infos, nil // there is never another one
		}
	}
}

func (b *Backend) library(ctx context.Context) (driver.Library, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lib, err := b.System()
	if err != nil {
		return nil, err
	}
	if b.Kind == driver.CPU && lib.Facts().OpenMP {
		return nil, &backend.Absence{Class: backend.ErrNoDevice, Backend: b.ID, Why: fmt.Sprintf(
			"no device: %v computes with OpenMP, which starts a team of threads for every thread that calls it; take one that is built for SYCL (pip install onednn)", lib.Facts())}
	}
	return lib, nil
}

// absent says why there is no device, from what making the first engine gave.
func (b *Backend) absent(lib driver.Library, err error) error {
	what := "GPU"
	if b.Kind == driver.CPU {
		what = "CPU"
	}
	why := fmt.Sprintf("no device: %v is there, but makes no %s engine: %v", lib.Facts(), what, err)
	if !errors.Is(err, driver.ErrNoEngine) {
		why = fmt.Sprintf("driver not usable: %v is there, but the driver for a %s engine is missing or fails: %v", lib.Facts(), what, err)
	}
	return &backend.Absence{Class: backend.ErrNoDevice, Backend: b.ID, Why: why}
}

// From this version on oneDNN has kernels of int4 that are tuned for Intel's newer GPUs.
const tunedMajor, tunedMinor = 3, 10

// describe says what a device is. oneDNN tells little: no name, no size of
// memory.
func (b *Backend) describe(lib driver.Library, e driver.Engine, index int, tuning backend.Tuned) backend.DeviceInfo {
	facts := e.Facts()
	i := backend.DeviceInfo{
		Backend: b.ID, Family: "xpu", ID: strconv.Itoa(index), Arch: "xpu", Units: 1, Emulated: b.Emulated,
		Name: "Intel GPU, through oneDNN", Driver: facts.Runtime, Library: lib.Facts().String(), Tuning: maps.Clone(tuning),
	}
	if b.Kind == driver.CPU {
		i.Name, i.Arch = "oneDNN's CPU engine", "cpu"
	} else if !lib.Facts().AtLeast(tunedMajor, tunedMinor) {
		i.Library += fmt.Sprintf(", older than %d.%d, the first that is tuned for int4", tunedMajor, tunedMinor)
	}
	return i
}

// Open implements backend.Backend. A device is known by its number.
func (b *Backend) Open(ctx context.Context, id string, o backend.OpenOptions) (backend.Device, error) {
	if err := backend.CheckTuning(b, o.Tuning); err != nil {
		return nil, err
	}
	if o.NativeContext != 0 {
		return nil, quant.Errorf(backend.ErrUnsupported, b.ID, "native context", "none: oneDNN wants a device and a context, which are two", "%#x", o.NativeContext)
	}
	lib, err := b.library(ctx)
	if err != nil {
		return nil, err
	}
	index := 0
	if id != "" {
		if index, err = strconv.Atoi(id); err != nil || index < 0 || strconv.Itoa(index) != id {
			return nil, quant.Errorf(backend.ErrNoDevice, b.ID, "device", "a number", "%q", id)
		}
	}
	e, err := lib.Open(b.Kind, index)
	switch {
	case err != nil && index == 0:
		return nil, b.absent(lib, err)
	case err != nil:
		return nil, quant.Errorf(backend.ErrNoDevice, b.ID, "device", "one that bitlane devices lists", "%d: %v", index, err)
	}
	info := b.describe(lib, e, index, o.Tuning)
	d := &Device{
		info: info, book: ledger.New(info.Address(), 0), engine: e, library: lib.Facts(), reference: b.reference(o.Tuning) == 1,
		open: map[*Stream]struct{}{},
	}
	if b.Check != nil {
		err := b.Check(ctx, d)
		if ended := ctx.Err(); err != nil && ended != nil {
			return nil, errors.Join(ended, d.Close())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: refused: %w", d.info, err), d.Close())
		}
		d.FailAlloc(-1)
	}
	d.book.SetLimit(o.MemoryLimit)
	return d, nil
}

// workspaces remembers what plans need.
type workspaces struct {
	mu    sync.Mutex
	bytes map[planKey]int64
}

type planKey struct {
	id   string
	plan driver.Plan
}

const mostWorkspaces = 4096

// Workspace returns the bytes that calls of MaxRows rows of a plan need on a
// device, which oneDNN alone knows: it is asked. false: there is no such device.
func (b *Backend) Workspace(id string, p *driver.Plan) (int64, bool) {
	index, err := strconv.Atoi(id)
	if err != nil {
		return 0, false
	}
	w, key := &b.workspaces, planKey{id, *p}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, ok := w.bytes[key]; ok {
		return n, true
	}
	lib, err := b.library(context.Background())
	if err != nil {
		return 0, false
	}
	e, err := lib.Open(b.Kind, index)
	if err != nil {
		return 0, false
	}
	defer func() { _ = e.Close() }()
	l, err := e.Prepare(p)
	if err != nil {
		return 0, false
	}
	defer func() { _ = l.Close() }()
	all := l.Buckets()
	n := all[len(all)-1].Workspace
	if w.bytes == nil || len(w.bytes) >= mostWorkspaces {
		w.bytes = map[planKey]int64{}
	}
	w.bytes[key] = n
	return n, true
}
