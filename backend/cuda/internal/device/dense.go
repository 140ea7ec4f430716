package device

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// none begins the Library of a device without one; the reason follows.
const none = "no cuBLASLt: "

// library is a device's Library.
func library(system driver.Driver) string {
	name, err := system.DenseLibrary()
	if err != nil {
		return none + err.Error()
	}
	return name
}

// DenseLibrary returns the name of the library that makes a device's dense
// products, or "" and why it has none. Both are in what Devices and Info return.
func DenseLibrary(i backend.DeviceInfo) (name, why string) {
	if why, without := strings.CutPrefix(i.Library, none); without {
		return "", why
	}
	if i.Library == "" {
		return "", "unknown: no driver was asked"
	}
	return i.Library, ""
}

// Plan is a dense product with its algorithm, counted as alive until Close. It is
// safe for use by several goroutines, but for Close.
type Plan struct {
	dev    *Device
	plan   driver.Plan
	closed atomic.Bool
}

// Plan chooses the algorithm of a product, as driver.Context has it.
func (d *Device) Plan(p driver.Product) (*Plan, error) {
	d.mu.Lock()
	err := d.admit("plan")
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	made, err := d.context.Plan(p)
	if err != nil {
		return nil, d.check(fmt.Errorf("%s: %w", d.name(), err))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plans++
	return &Plan{dev: d, plan: made}, nil
}

// Workspace returns the bytes of device memory that a Multiply needs.
func (p *Plan) Workspace() int64 { return p.plan.Workspace() }

// Name says which algorithm it is; also after Close.
func (p *Plan) Name() string { return p.plan.Name() }

// Close is idempotent. Products that are enqueued or recorded go on.
func (p *Plan) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	err := p.dev.check(p.plan.Close())
	p.dev.mu.Lock()
	defer p.dev.mu.Unlock()
	p.dev.plans--
	return err
}

// Multiply enqueues the product for so many rows, as driver.Stream has it. It
// allocates nothing.
func (s *Stream) Multiply(p *Plan, rows int, x, w, y, workspace driver.Ptr) error {
	if p.closed.Load() {
		return quant.Errorf(backend.ErrClosed, "plan", "", "an open one", "closed")
	}
	return s.dev.check(s.stream.Multiply(p.plan, rows, x, w, y, workspace))
}
