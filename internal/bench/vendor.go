package bench

import (
	"errors"
	"math/rand/v2"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
)

// vendor is the dense product of a shape by the device's vendor, on copies of the
// weights that take turns: what 16-bit weights would cost. It is used by one
// goroutine at a time.
type vendor struct {
	product backend.DenseProduct
	rows    int // at most
	w       []backend.Span
	ws      backend.Span
	next    int
	buffers []backend.Buffer
}

// newVendor plans for up to rows rows; at least cold bytes of weights take
// turns, if a quarter of the free memory holds them.
func newVendor(dev backend.Device, st backend.Stream, t dtype.DType, s Shape, rows int, cold int64) (_ *vendor, err error) {
	m, ok := dev.(backend.DenseMultiplier)
	if !ok {
		return nil, backend.ErrUnsupported
	}
	v := &vendor{rows: rows}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	if v.product, err = m.PlanDense(t, s.N, s.K, rows); err != nil {
		return nil, err
	}
	alloc := func(bytes int) (backend.Span, error) {
		b, err := dev.Alloc(bytes)
		if err != nil {
			return backend.Span{}, err
		}
		v.buffers = append(v.buffers, b)
		return backend.Whole(b), nil
	}
	if v.ws, err = alloc(v.product.Workspace()); err != nil {
		return nil, err
	}
	each := int64(2 * s.N * s.K)
	want := (cold + each - 1) / each
	if free, _, err := dev.Mem(); err == nil {
		want = min(want, free/4/each)
	}
	for range max(1, min(want, mostCopies)) {
		w, err := alloc(int(each))
		if err != nil {
			return nil, err
		}
		if v.w = append(v.w, w); len(v.w) > 1 {
			if err := st.Copy(w, v.w[0]); err != nil {
				return nil, err
			}
			continue
		}
		// Numbers like those of weights: of zeros, a device does more in a second.
		row, host := make([]float32, s.N*s.K), make([]byte, each)
		rng := rand.New(rand.NewPCG(3, 3))
		for i := range row {
			row[i] = float32(rng.NormFloat64() / 16)
		}
		dtype.Encode(t, host, row)
		if err := st.Upload(w, host); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// enqueue multiplies the first rows of the caller's x.
func (v *vendor) enqueue(c *Caller, rows int) error {
	x, y := c.x, c.y
	x.Rows, y.Rows = rows, rows
	w := v.w[v.next]
	v.next = (v.next + 1) % len(v.w)
	return v.product.Multiply(c.st, y, x, w, v.ws)
}

func (v *vendor) close() error {
	var errs []error
	if v.product != nil {
		errs = append(errs, v.product.Close())
	}
	for _, b := range v.buffers {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}
