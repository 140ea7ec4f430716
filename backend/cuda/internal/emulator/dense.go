package emulator

import (
	"fmt"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/gpuvm/ptx"
)

// denseWorkspace is bytes that a product asks for and makes undefined, so that a
// caller without workspace is found out.
const denseWorkspace = 1024

// plan is a product.
type plan struct {
	device  *device
	product driver.Product
	closed  atomic.Bool
}

func (d *device) Plan(p driver.Product) (driver.Plan, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if d.driver.WithoutDense {
		return nil, &backend.Absence{Class: backend.ErrUnsupported, Backend: "cuda-emulated", Why: "the emulated device was told to have no dense product"}
	}
	return &plan{device: d, product: p}, nil
}

func (p *plan) Workspace() int64 { return denseWorkspace }
func (p *plan) Name() string     { return "dense product in Go, eight sums" }
func (p *plan) Close() error     { p.closed.Store(true); return nil }

func (s *stream) Multiply(p driver.Plan, rows int, x, w, y, workspace driver.Ptr) error {
	own, ok := p.(*plan)
	if !ok || own.device != s.device {
		return fmt.Errorf("%w: product of a plan of another device", backend.ErrDevice)
	}
	if err := s.usable(); err != nil {
		return err
	}
	if own.closed.Load() {
		return backend.ErrClosed
	}
	if err := own.product.CheckCall(rows, x, w, y, workspace, denseWorkspace); err != nil || rows == 0 {
		return err
	}
	if !s.rec.live() {
		return own.multiply(rows, x, w, y, workspace) // no closure, which would be allocated
	}
	return s.do(func() error { return own.multiply(rows, x, w, y, workspace) })
}

// multiply does what a kernel would: a place that is not there and a byte that
// nobody has written are faults of it.
func (p *plan) multiply(rows int, x, w, y, workspace driver.Ptr) error {
	return p.device.fail("dense product of "+p.product.String(), p.compute(rows, x, w, y, workspace))
}

func (p *plan) compute(rows int, x, w, y, workspace driver.Ptr) error {
	machine := p.device.machine
	if err := machine.Poison(uint64(workspace), denseWorkspace); err != nil {
		return outside(uint64(workspace), denseWorkspace, err)
	}
	all := make([]float32, rows*p.product.K)
	for r := range rows {
		if err := p.row(all[r*p.product.K:(r+1)*p.product.K], x, r, p.product.XStride); err != nil {
			return err
		}
	}
	size := p.product.Y.Size()
	out := make([]byte, rows*p.product.N*size)
	weights := make([]float32, p.product.K)
	for n := range p.product.N {
		if err := p.row(weights, w, n, p.product.WStride); err != nil {
			return err
		}
		for r := range rows {
			p.product.Y.Put(out, r*p.product.N+n, float32(p.product.Alpha*dot(all[r*p.product.K:(r+1)*p.product.K], weights)))
		}
	}
	line := p.product.N * size
	for r := range rows {
		at := uint64(y) + uint64(r)*uint64(p.product.YStride)*uint64(size)
		if err := machine.Write(at, out[r*line:(r+1)*line]); err != nil {
			return outside(at, line, err)
		}
	}
	return nil
}

// row reads row i of x or w.
func (p *plan) row(to []float32, base driver.Ptr, i, stride int) error {
	size := p.product.Type.Size()
	raw := make([]byte, len(to)*size)
	at := uint64(base) + uint64(i)*uint64(stride)*uint64(size)
	if err := p.device.machine.Read(raw, at); err != nil {
		return outside(at, len(raw), err)
	}
	first, err := p.device.machine.Undefined(at, len(raw))
	if err != nil {
		return outside(at, len(raw), err)
	}
	if first >= 0 {
		return fault(ptx.Uninitialised, at+uint64(first), size, "read by a product")
	}
	dtype.Decode(p.product.Type, to, raw)
	return nil
}

// dot adds in one order: eight sums, of which each takes every eighth feature.
func dot(x, w []float32) float32 {
	var s [8]float32
	for k := 0; k+8 <= len(x); k += 8 {
		a, b := (*[8]float32)(x[k:]), (*[8]float32)(w[k:])
		for i := range s {
			s[i] += float32(a[i] * b[i])
		}
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

func outside(at uint64, bytes int, err error) error {
	return fault(ptx.Bounds, at, bytes, err.Error())
}

func fault(kind ptx.Kind, at uint64, bytes int, detail string) error {
	return &ptx.Fault{Kind: kind, Kernel: "dense product", Space: "global", Address: at, Bytes: bytes, Detail: detail}
}
