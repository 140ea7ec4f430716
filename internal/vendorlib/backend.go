package vendorlib

import (
	"context"
	"strings"

	"github.com/bitlane/bitlane/backend"
)

// Backend is a backend.Backend without kernels and devices. It is safe for use
// by several goroutines.
type Backend struct {
	// ID is the backend's name and build tag: "cuda".
	ID string

	// Probe returns why there is no device. It is called by Devices and Open,
	// never by init, and never returns nil.
	Probe func() error
}

var _ backend.Backend = (*Backend)(nil)

// Name implements backend.Backend.
func (b *Backend) Name() string { return b.ID }

// Kernels implements backend.Backend: there are none yet.
func (b *Backend) Kernels() []backend.Kernel { return nil }

// Devices implements backend.Backend with the error of Probe.
func (b *Backend) Devices(ctx context.Context) ([]backend.DeviceInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, b.Probe()
}

// Open implements backend.Backend with the error of Probe.
func (b *Backend) Open(ctx context.Context, _ string, _ backend.OpenOptions) (backend.Device, error) {
	_, err := b.Devices(ctx)
	return nil, err
}

// NotBuilt is the Probe of a build without the tag.
func NotBuilt(tag string) func() error {
	return func() error {
		return &backend.Absence{Class: backend.ErrNotBuilt, Backend: tag, Why: "not built in: build with -tags " + tag}
	}
}

// NeedsCgo is the Probe of a build with the tag whose driver is bound by cgo,
// made with CGO_ENABLED=0.
func NeedsCgo(tag string) func() error {
	return func() error {
		return &backend.Absence{Class: backend.ErrNotBuilt, Backend: tag,
			Why: "not built in: -tags " + tag + " needs cgo; build with CGO_ENABLED=1 and a C compiler"}
	}
}

// Library is the Probe of a build with the tag: find looks for the vendor's
// library under each of its names and returns the first that is there, or why
// none is.
func Library(id string, find func(names ...string) (string, error), names ...string) func() error {
	return func() error {
		name, err := find(names...)
		if err != nil {
			why := err.Error()
			if why == "" {
				why = strings.Join(names, ", ") + ": cannot be loaded"
			}
			return &backend.Absence{Class: backend.ErrNoDevice, Backend: id, Why: "no driver: " + why}
		}
		return &backend.Absence{Class: backend.ErrNotImplemented, Backend: id,
			Why: "not implemented yet: " + name + " is there, but this version has no kernels for it"}
	}
}
