package device

import (
	"fmt"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Plan is a dense product with its algorithm, counted as alive until Close. It is
// safe for use by several goroutines, but for Close.
type Plan struct {
	dev    *Device
	plan   driver.Plan
	closed atomic.Bool
}

// Plan chooses the algorithm of a product, as driver.Context has it.
func (d *Device) Plan(p driver.Product) (*Plan, error) {
	if err := d.book.AdmitOther("plan", "plans"); err != nil {
		return nil, err
	}
	made, err := d.context.Plan(p)
	if err != nil {
		d.book.CountOther("plans", -1)
		return nil, d.check(fmt.Errorf("%s: %w", d.name(), err))
	}
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
	p.dev.book.CountOther("plans", -1)
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

// product is a Plan as the contract has it.
type product struct {
	plan *Plan
	t    dtype.DType
	n, k int
	rows int
}

var _ backend.DenseMultiplier = (*Device)(nil)

// PlanDense implements backend.DenseMultiplier.
func (d *Device) PlanDense(t dtype.DType, n, k, rows int) (backend.DenseProduct, error) {
	p, err := d.Plan(driver.Product{Type: t, Y: t, N: n, K: k, XStride: k, WStride: k, YStride: n, Alpha: 1, MaxRows: rows})
	if err != nil {
		return nil, err
	}
	return &product{plan: p, t: t, n: n, k: k, rows: rows}, nil
}

func (p *product) Name() string   { return p.plan.Name() }
func (p *product) Workspace() int { return int(p.plan.Workspace()) }
func (p *product) Close() error   { return p.plan.Close() }

func (p *product) Multiply(s backend.Stream, y, x backend.Tensor, w, ws backend.Span) error {
	st, ok := s.(*Stream)
	if !ok || st.dev != p.plan.dev {
		return quant.Errorf(backend.ErrDevice, "stream", "device", p.plan.dev.info.String(), "another")
	}
	if x.Rows > p.rows || x.Rows != y.Rows {
		return quant.Errorf(backend.ErrShape, "product", "rows", fmt.Sprintf("up to %d, the same of x and y", p.rows), "%d of x, %d of y", x.Rows, y.Rows)
	}
	for _, m := range []struct {
		name string
		of   *backend.Tensor
		cols int
	}{{"x", &x, p.k}, {"y", &y, p.n}} {
		if m.of.DType != p.t || m.of.Cols != m.cols || m.of.Stride != m.cols || m.of.Rows < 0 {
			return quant.Errorf(backend.ErrShape, m.name, "", fmt.Sprintf("%v, %d columns without gaps", p.t, m.cols), "%v, %d columns, stride %d", m.of.DType, m.of.Cols, m.of.Stride)
		}
	}
	var at [4]driver.Ptr
	for i, part := range [...]struct {
		name string
		backend.Span
		need int
	}{{"x", x.Span, 2 * x.Rows * p.k}, {"w", w, 2 * p.n * p.k}, {"y", y.Span, 2 * y.Rows * p.n}, {"workspace", ws, p.Workspace()}} {
		if part.Bytes < part.need {
			return quant.Errorf(backend.ErrShape, part.name, "size", fmt.Sprintf("%d bytes", part.need), "%d bytes", part.Bytes)
		}
		if part.need == 0 {
			continue
		}
		var err error
		if at[i], err = st.at(part.Span, part.name, part.Bytes); err != nil {
			return err
		}
	}
	for _, other := range [...]backend.Span{x.Span, w, ws} {
		if y.Span.Overlaps(other) {
			return quant.Errorf(backend.ErrShape, "y", "", "memory of its own", "over x, w or the workspace")
		}
	}
	return st.Multiply(p.plan, x.Rows, at[0], at[1], at[2], at[3])
}
