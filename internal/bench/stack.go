package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/peak"
)

// A Stack is copies of one layer that take turns, so that each Apply reads
// weights that no cache holds. It is used by one goroutine at a time.
type Stack struct {
	Kernel backend.Kernel
	Spec   backend.Spec
	Shape  Shape
	Form   Form
	Cold   bool // the copies together are larger than what was asked for
	copies []backend.Layer
	next   int
}

// coldCaches is how many last-level caches the copies of a layer fill, and
// mostCopies how many there are at most, however small they are.
const coldCaches, mostCopies = 4, 1024

// NewStack prepares copies of a synthetic layer for up to rows rows on dev, at
// least cold bytes of them together, or as many as half of the free memory
// holds or mostCopies allows, and at least one. kernel is the name of the one to use, "" for the
// best. Errors are those of bitlane.Choose and Kernel.Prepare.
func NewStack(ctx context.Context, dev backend.Device, s Shape, f Form, kernel string, rows int, cold int64) (*Stack, error) {
	l, err := f.Linear(s, 1)
	if err != nil {
		return nil, err
	}
	spec, err := backend.NewSpec(l, backend.Request{X: f.X, MaxRows: rows})
	if err != nil {
		return nil, err
	}
	k, _, err := bitlane.Choose(dev, spec, bitlane.ChooseOptions{Kernel: kernel})
	if err != nil {
		return nil, onlyOf(kernel, err)
	}
	st := &Stack{Kernel: k, Spec: spec, Shape: s, Form: f}
	each := max(1, k.Footprint(dev.Info(), spec).Weights)
	want := (cold + each - 1) / each
	if free, _, err := dev.Mem(); err == nil {
		want = min(want, free/2/each)
	}
	want = max(1, min(want, mostCopies))
	for range want {
		copied, err := k.Prepare(ctx, dev, l, spec)
		if err != nil {
			return nil, errors.Join(err, st.Close())
		}
		st.copies = append(st.copies, copied)
	}
	st.Cold = each*want >= cold
	return st, nil
}

// onlyOf returns what a kernel that was asked for has against a layer, without
// the others' reasons.
func onlyOf(kernel string, err error) error {
	var none *bitlane.NoKernelError
	if errors.As(err, &none) {
		for _, v := range none.Report.Verdicts {
			if v.Kernel == kernel && v.Refusal != nil {
				return v.Refusal
			}
		}
	}
	return err
}

// Copies returns how many layers take turns.
func (s *Stack) Copies() int { return len(s.copies) }

// turn returns the copy whose turn it is.
func (s *Stack) turn() backend.Layer {
	l := s.copies[s.next]
	s.next = (s.next + 1) % len(s.copies)
	return l
}

// Close closes the copies.
func (s *Stack) Close() error {
	var errs []error
	for _, l := range s.copies {
		errs = append(errs, l.Close())
	}
	s.copies = nil
	return errors.Join(errs...)
}

// A Caller has what one caller of Apply needs: a stream, x with random numbers,
// room for y, a workspace. It is used by one goroutine at a time.
type Caller struct {
	st      backend.Stream
	x, y    backend.Tensor
	ws      backend.Span
	buffers []backend.Buffer
}

// NewCaller allocates for layers of up to spec.MaxRows rows with a workspace of
// at most so many bytes.
func NewCaller(dev backend.Device, spec *backend.Spec, workspace int) (c *Caller, err error) {
	c = &Caller{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
			c = nil
		}
	}()
	if c.st, err = dev.NewStream(); err != nil {
		return c, err
	}
	rows := spec.MaxRows
	var spans [3]backend.Span
	for i, bytes := range []int{rows * spec.K * spec.X.Size(), rows * spec.N * spec.Y.Size(), workspace} {
		b, err := dev.Alloc(bytes)
		if err != nil {
			return c, err
		}
		c.buffers = append(c.buffers, b)
		spans[i] = backend.Whole(b)
	}
	c.x = backend.Dense(spans[0], spec.X, rows, spec.K)
	c.y = backend.Dense(spans[1], spec.Y, rows, spec.N)
	c.ws = spans[2]
	host := make([]byte, spans[0].Bytes)
	rng := rand.New(rand.NewPCG(2, 2))
	row := make([]float32, spec.K)
	for i := range rows {
		for j := range row {
			row[j] = float32(rng.NormFloat64())
		}
		dtype.Encode(spec.X, host[i*spec.K*spec.X.Size():], row)
	}
	return c, c.st.Upload(spans[0], host)
}

// Caller returns a Caller for the layers of s.
func (s *Stack) Caller(dev backend.Device) (*Caller, error) {
	return NewCaller(dev, &s.Spec, s.copies[0].Workspace(s.Spec.MaxRows))
}

// warm brings x into the caches, as the layer before has left it in a model.
func (c *Caller) warm(rows int) {
	x := c.x.Host()
	peak.Read(x[:min(len(x), rows*c.x.Stride*c.x.DType.Size(), warmest)])
}

// warmest is how much of x can be expected in a cache.
const warmest = 1 << 19

// Apply applies l to the first rows of x, and waits for it.
func (c *Caller) Apply(ctx context.Context, l backend.Layer, rows int) error {
	x, y := c.x, c.y
	x.Rows, y.Rows = rows, rows
	if err := l.Apply(c.st, y, x, c.ws); err != nil {
		return err
	}
	return c.st.Sync(ctx)
}

// Turn applies the layer of s whose turn it is.
func (c *Caller) Turn(ctx context.Context, s *Stack, rows int) error {
	return c.Apply(ctx, s.turn(), rows)
}

// Close frees what the caller has.
func (c *Caller) Close() error {
	var errs []error
	if c.st != nil {
		errs = append(errs, c.st.Close())
	}
	for _, b := range slices.Backward(c.buffers) {
		errs = append(errs, b.Close())
	}
	c.st, c.buffers = nil, nil
	return errors.Join(errs...)
}
