package device

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/internal/ledger"
	"github.com/bitlane/bitlane/quant"
)

// Backend is a backend of CUDA devices. It is safe for use by several
// goroutines.
type Backend struct {
	ID       string // "cuda", "cuda-emulated"
	Emulated bool   // its driver is a stand-in

	// System returns the driver, or why there is none: a *backend.Absence. It
	// is called by Devices and Open, never by init.
	System func() (driver.Driver, error)

	// Table is the kernels, best first.
	Table []backend.Kernel

	// Points is what of them may be tuned.
	Points []backend.Tuning
}

var (
	_ backend.Backend = (*Backend)(nil)
	_ backend.Tunable = (*Backend)(nil)
)

// Name implements backend.Backend.
func (b *Backend) Name() string { return b.ID }

// Kernels implements backend.Backend.
func (b *Backend) Kernels() []backend.Kernel { return b.Table }

// Tunings implements backend.Tunable.
func (b *Backend) Tunings() []backend.Tuning { return b.Points }

// Devices implements backend.Backend.
func (b *Backend) Devices(ctx context.Context) ([]backend.DeviceInfo, error) {
	system, found, err := b.devices(ctx)
	var infos []backend.DeviceInfo
	for i := range found {
		infos = append(infos, b.describe(&found[i], system))
	}
	return infos, err
}

func (b *Backend) devices(ctx context.Context) (driver.Driver, []driver.Properties, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	system, err := b.System()
	if err != nil {
		return nil, nil, err
	}
	found, err := system.Devices()
	switch {
	case err != nil:
		return nil, nil, b.absent("driver not usable: " + err.Error())
	case len(found) == 0:
		return nil, nil, b.absent("no device: the driver is there and knows none")
	}
	return system, found, nil
}

func (b *Backend) absent(why string) error {
	return &backend.Absence{Class: backend.ErrNoDevice, Backend: b.ID, Why: why}
}

// describe says what a device is.
func (b *Backend) describe(p *driver.Properties, system driver.Driver) backend.DeviceInfo {
	i := backend.DeviceInfo{
		Backend: b.ID, Family: "cuda", ID: strconv.Itoa(p.Ordinal), Name: p.Name,
		Arch: fmt.Sprintf("sm_%d%d", p.Major, p.Minor), Units: p.SMs, Capability: 10*p.Major + p.Minor,
		Memory: fmt.Sprintf("%d MiB", p.Memory>>20), Emulated: b.Emulated,
	}
	if p.ECC {
		i.Memory += ", ECC"
	}
	if version := system.Version(); version > 0 {
		i.Driver = fmt.Sprintf("CUDA %d.%d", version/1000, version%1000/10)
	}
	return i
}

// Open implements backend.Backend. A device is known by its ordinal, its UUID
// or its PCI address.
func (b *Backend) Open(ctx context.Context, id string, o backend.OpenOptions) (backend.Device, error) {
	if err := backend.CheckTuning(b, o.Tuning); err != nil {
		return nil, err
	}
	system, found, err := b.devices(ctx)
	if err != nil {
		return nil, err
	}
	for i := range found {
		p := &found[i]
		if id != "" && id != strconv.Itoa(p.Ordinal) && !strings.EqualFold(id, p.UUID) && !strings.EqualFold(id, p.PCI) {
			continue
		}
		c, err := system.Open(p.Ordinal, o.NativeContext)
		if err != nil {
			return nil, fmt.Errorf("%s:%d (%s): %w", b.ID, p.Ordinal, p.Name, err)
		}
		info := b.describe(p, system)
		info.Tuning = maps.Clone(o.Tuning)
		d := &Device{info: info, context: c, book: ledger.New(info.Address(), o.MemoryLimit), modules: map[string]*loading{}}
		return d, nil
	}
	want := "0"
	if len(found) > 1 {
		want = fmt.Sprintf("0..%d", len(found)-1)
	}
	return nil, quant.Errorf(backend.ErrNoDevice, b.ID, "device", want+", a UUID or a PCI address", "%q", id)
}
