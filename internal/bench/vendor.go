package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
)

// vendor is the dense product of a shape by the device's vendor, on copies of the
// weights that take turns: what 16-bit weights would cost. It is used by one
// goroutine at a time.
type vendor struct {
	dev   backend.Device
	of    backend.DenseMultiplier
	shape Shape
	t     dtype.DType
	w     []backend.Buffer
	next  int
}

// newVendor makes weights of a shape; at least cold bytes of them take turns, if
// a quarter of the free memory holds them.
func newVendor(ctx context.Context, dev backend.Device, st backend.Stream, t dtype.DType, s Shape, cold int64) (_ *vendor, err error) {
	v := &vendor{dev: dev, shape: s, t: t}
	var ok bool
	if v.of, ok = dev.(backend.DenseMultiplier); !ok {
		return nil, fmt.Errorf("%w: the device reaches no library of its vendor (backend.DenseMultiplier)", backend.ErrUnsupported)
	}
	p, err := v.of.PlanDense(t, s.N, s.K, 1) // before memory is filled for nothing
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, p.Close()); err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	each := int64(2 * s.N * s.K)
	want := (cold + each - 1) / each
	if free, _, err := dev.Mem(); err == nil {
		want = min(want, free/4/each)
	}
	for range max(1, min(want, mostCopies)) {
		b, err := dev.Alloc(int(each))
		if err != nil {
			return nil, err
		}
		if v.w = append(v.w, b); len(v.w) > 1 {
			if err := st.Copy(backend.Whole(b), backend.Whole(v.w[0])); err != nil {
				return nil, err
			}
			continue
		}
		// Numbers like those of weights: of zeros, a device does more in a second.
		row, host := make([]float32, s.K), make([]byte, each)
		rng := rand.New(rand.NewPCG(3, 3))
		for n := range s.N {
			for i := range row {
				row[i] = float32(rng.NormFloat64() / 16)
			}
			dtype.Encode(t, host[2*n*s.K:], row)
		}
		if err := st.Upload(backend.Whole(b), host); err != nil {
			return nil, err
		}
	}
	return v, st.Sync(ctx)
}

// product is the vendor's product for one number of rows, and its workspace. It
// is planned for these rows alone.
type product struct {
	backend.DenseProduct
	v    *vendor
	rows int
	ws   backend.Buffer
}

func (v *vendor) product(rows int) (*product, error) {
	p, err := v.of.PlanDense(v.t, v.shape.N, v.shape.K, rows)
	if err != nil {
		return nil, err
	}
	ws, err := v.dev.Alloc(p.Workspace())
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &product{DenseProduct: p, v: v, rows: rows, ws: ws}, nil
}

// enqueue multiplies the first rows of the caller's x.
func (p *product) enqueue(c *Caller) error {
	x, y := c.x, c.y
	x.Rows, y.Rows = p.rows, p.rows
	w := p.v.w[p.v.next]
	p.v.next = (p.v.next + 1) % len(p.v.w)
	return p.Multiply(c.st, y, x, backend.Whole(w), backend.Whole(p.ws))
}

func (p *product) close() error { return errors.Join(p.DenseProduct.Close(), p.ws.Close()) }

func (v *vendor) close() error {
	var errs []error
	for _, b := range v.w {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}
