package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
)

// DeviceOptions say what RunDevice measures.
type DeviceOptions struct {
	Shapes  []Shape
	Rows    []int
	Forms   []Form
	Kernels []string // by name; empty: the best for each layer; AllKernels
	Budget  time.Duration
	Cold    int64 // bytes that no cache of the device holds; 0: coldDevice
}

// coldDevice is eight times the second-level cache of an H200.
const coldDevice = 512 << 20

// A DeviceReport is what RunDevice measured. Its JSON names are stable.
type DeviceReport struct {
	Device   backend.DeviceInfo `json:"device"`
	Budget   float64            `json:"seconds"`    // wanted for each cell
	CopyGBps float64            `json:"copy_gbps"`  // read and written, median of all
	CopySize int64              `json:"copy_bytes"` // of each copy
	Cells    []DeviceCell       `json:"cells"`
	Complete bool               `json:"completed"`
}

// OK reports whether everything that was asked for was measured.
func (r *DeviceReport) OK() bool { return r.Complete && r.tally().ok() }

func (r *DeviceReport) tally() (t tally) {
	for i := range r.Cells {
		t.add(r.Cells[i].State)
	}
	return t
}

// A DeviceCell is one layer at one number of rows, by the device's own clock.
type DeviceCell struct {
	Shape   string `json:"shape"`
	K       int    `json:"k"`
	N       int    `json:"n"`
	M       int    `json:"m"`
	Bits    int    `json:"bits"` // 16: plain weights
	Group   int    `json:"group"`
	DType   string `json:"dtype"`
	Scheme  string `json:"scheme"`
	Kernel  string `json:"kernel"`
	Copies  int    `json:"copies"`  // that took turns
	Cold    bool   `json:"cold"`    // the copies were larger than the caches
	Applies int    `json:"applies"` // in a sample
	Graph   bool   `json:"graph"`   // a sample was recorded work: the host takes no time

	Bytes  int64   `json:"bytes"` // codes, scales and zero points as checkpoints have them
	Ops    float64 `json:"ops"`   // 2·M·N·K
	P50    float64 `json:"seconds_p50"`
	P10    float64 `json:"seconds_p10"`
	GBps   float64 `json:"gbps"`
	Tflops float64 `json:"tflops"`
	Copy   float64 `json:"copy_gbps"` // meanwhile, median
	OfCopy float64 `json:"of_copy"`   // median of pairs: GBps by the copy next to it

	// Beside a dense product of as many 16-bit weights by the device's vendor,
	// where it can be reached (backend.DenseMultiplier).
	Dense    string  `json:"dense,omitempty"`     // whose product, and how it is made
	DenseWhy string  `json:"dense_why,omitempty"` // why there is none
	DenseP50 float64 `json:"dense_seconds_p50,omitempty"`
	OfDense  float64 `json:"of_dense,omitempty"` // median of pairs: its time by the layer's

	Samples int    `json:"samples"`
	State   string `json:"state"`
	Why     string `json:"why,omitempty"`
}

// A DeviceWatcher is told what RunDevice does. Any of it may be nil.
type DeviceWatcher struct {
	Begin func(*DeviceReport)
	Cell  func(*DeviceCell)
}

// RunDevice times layers on a device with a clock of its own, beside copies of
// its memory in turns. Its streams must implement backend.EventTimer. Where they
// record work, a sample is launched as one, so that it is the device that is
// timed. What goes wrong with one layer stands in its cell; the error is the
// context's or says why nothing can be measured.
func RunDevice(ctx context.Context, dev backend.Device, o DeviceOptions, w DeviceWatcher) (r *DeviceReport, err error) {
	if o.Cold == 0 {
		o.Cold = coldDevice
	}
	r = &DeviceReport{Device: dev.Info(), Budget: o.Budget.Seconds(), Cells: []DeviceCell{}}
	d := &deviceRun{dev: dev, o: o}
	if err := d.open(ctx); err != nil {
		return r, errors.Join(err, d.close())
	}
	defer func() { err = errors.Join(err, d.close()) }()
	r.CopySize = int64(d.from.Bytes)
	if w.Begin != nil {
		w.Begin(r)
	}
	kernels := o.Kernels
	if len(kernels) == 0 {
		kernels = []string{""}
	}
	for _, shape := range o.Shapes {
		for _, form := range o.Forms {
			for _, kernel := range d.expand(shape, form, kernels) {
				err := d.layer(ctx, shape, form, kernel, func(c *DeviceCell) {
					r.Cells = append(r.Cells, *c)
					if w.Cell != nil {
						w.Cell(c)
					}
				})
				if err != nil {
					return r, err
				}
			}
		}
	}
	if len(d.copies) > 0 {
		r.CopyGBps = median(d.copies)
	}
	r.Complete = true
	return r, nil
}

// expand puts the kernels that can run a layer in the place of AllKernels.
func (d *deviceRun) expand(s Shape, f Form, kernels []string) (names []string) {
	b, ok := backend.Lookup(d.dev.Info().Backend)
	for _, name := range kernels {
		if name != AllKernels || !ok {
			names = append(names, name)
			continue
		}
		l, err := f.Linear(s, 1)
		if err != nil {
			return append(names, "") // which says what is wrong
		}
		spec, err := backend.NewSpec(l, backend.Request{X: f.X, MaxRows: slices.Max(d.o.Rows)})
		if err != nil {
			return append(names, "")
		}
		for _, k := range b.Kernels() {
			if k.Supports(d.dev.Info(), spec) == nil {
				names = append(names, k.Name())
			}
		}
	}
	return names
}

// deviceRun is one RunDevice.
type deviceRun struct {
	dev      backend.Device
	o        DeviceOptions
	st       backend.Stream
	timer    backend.EventTimer
	buffers  []backend.Buffer
	from, to backend.Span
	copies   []float64 // GB/s, all samples

	vendor    *vendor // of the last shape and type
	vendorWhy string  // why it has none
}

// open allocates what is copied.
func (d *deviceRun) open(ctx context.Context) (err error) {
	if d.st, err = d.dev.NewStream(); err != nil {
		return err
	}
	timer, ok := d.st.(backend.EventTimer)
	if !ok {
		return fmt.Errorf("%w: %v has no clock of its own (backend.EventTimer); bitlane run times with the host's", backend.ErrUnsupported, d.dev.Info())
	}
	d.timer = timer
	for range 2 {
		b, err := d.dev.Alloc(int(d.o.Cold / 2))
		if err != nil {
			return err
		}
		d.buffers = append(d.buffers, b)
	}
	d.from, d.to = backend.Whole(d.buffers[0]), backend.Whole(d.buffers[1])
	if err := d.st.Upload(d.from, make([]byte, d.from.Bytes)); err != nil {
		return err
	}
	_, err = d.copySample(ctx) // the first one may be slow
	return err
}

func (d *deviceRun) close() error {
	var errs []error
	if d.vendor != nil {
		errs = append(errs, d.vendor.close())
	}
	if d.st != nil {
		errs = append(errs, d.st.Close())
	}
	for _, b := range d.buffers {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

// timed returns the seconds that the device takes for what do enqueues.
func (d *deviceRun) timed(ctx context.Context, do func() error) (seconds float64, err error) {
	start, err := d.st.Record()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, start.Close()) }()
	if err := do(); err != nil {
		return 0, err
	}
	end, err := d.st.Record()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end.Close()) }()
	if err := d.st.Sync(ctx); err != nil {
		return 0, err
	}
	t, err := d.timer.Elapsed(start, end)
	return t.Seconds(), err
}

// copySample returns the GB/s, read and written, of one copy.
func (d *deviceRun) copySample(ctx context.Context) (float64, error) {
	t, err := d.timed(ctx, func() error { return d.st.Copy(d.to, d.from) })
	return 2 * float64(d.from.Bytes) / t / 1e9, err
}

// layer measures a layer at all numbers of rows.
func (d *deviceRun) layer(ctx context.Context, shape Shape, form Form, kernel string, done func(*DeviceCell)) (err error) {
	most := slices.Max(d.o.Rows)
	cell := DeviceCell{
		Shape: shape.String(), K: shape.K, N: shape.N, Bits: form.Bits, Group: form.Group, DType: form.X.String(),
		Kernel: kernel, Bytes: form.Bytes(shape), State: StateOK,
	}
	fail := func(c DeviceCell, err error) error {
		if final(ctx, err) != nil {
			return err
		}
		c.State, c.Why = StateFailed, err.Error()
		done(&c)
		return nil
	}
	stack, err := NewStack(ctx, d.dev, shape, form, kernel, most, d.o.Cold)
	if err != nil {
		return fail(cell, err)
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	c, err := stack.Caller(d.dev)
	if err != nil {
		return fail(cell, err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	timer, ok := c.st.(backend.EventTimer)
	if !ok {
		return fail(cell, fmt.Errorf("%w: a stream without a clock", backend.ErrUnsupported))
	}
	own, ownTimer := d.st, d.timer
	d.st, d.timer = c.st, timer
	defer func() { d.st, d.timer = own, ownTimer }()
	cell.Kernel, cell.Scheme, cell.Copies, cell.Cold = stack.Kernel.Name(), stack.Spec.Scheme(), stack.Copies(), stack.Cold
	if err := d.vendorOf(ctx, shape, form.X); err != nil {
		return fail(cell, err)
	}
	for _, m := range d.o.Rows {
		one := cell
		one.M, one.Ops = m, shape.Ops(m)
		if err := d.rows(ctx, stack, c, &one); err != nil {
			if err := fail(one, err); err != nil {
				return err
			}
			continue
		}
		done(&one)
	}
	return nil
}

// leastTime is about how long a sample takes at least, leastSamples how many
// there are.
const leastTime, leastSamples = 2e-3, 7

// vendorOf makes d.vendor that of a shape and type, or says in d.vendorWhy what
// it lacks. Its error is one that ends everything.
func (d *deviceRun) vendorOf(ctx context.Context, s Shape, t dtype.DType) error {
	if v := d.vendor; v != nil {
		if v.shape == s && v.t == t {
			return nil
		}
		d.vendor = nil
		if err := v.close(); err != nil {
			return err
		}
	}
	var err error
	if d.vendor, err = newVendor(ctx, d.dev, d.st, t, s, d.o.Cold); err != nil {
		d.vendor, d.vendorWhy = nil, err.Error()
	}
	return final(ctx, err)
}

// final is err where nothing can be measured after it.
func final(ctx context.Context, err error) error {
	if errors.Is(err, backend.ErrDeviceLost) {
		return err
	}
	return ctx.Err()
}

// besides makes a sample of the vendor's product for the cell, which says why
// where there is none.
func (d *deviceRun) besides(ctx context.Context, c *Caller, cell *DeviceCell) (*product, *deviceSample, error) {
	if d.vendor == nil {
		cell.DenseWhy = d.vendorWhy
		return nil, nil, nil
	}
	p, err := d.vendor.product(cell.M)
	if err != nil {
		cell.DenseWhy = err.Error()
		return nil, nil, final(ctx, err)
	}
	s, err := d.sample(ctx, c.st, len(d.vendor.w), func() error { return p.enqueue(c) })
	if err != nil {
		cell.DenseWhy = err.Error()
		return nil, nil, errors.Join(final(ctx, err), p.close())
	}
	cell.Dense = p.Name()
	return p, s, nil
}

// rows measures one number of rows.
func (d *deviceRun) rows(ctx context.Context, s *Stack, c *Caller, cell *DeviceCell) (err error) {
	own, err := d.sample(ctx, c.st, s.Copies(), func() error { return c.enqueue(s.turn(), cell.M) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	cell.Applies, cell.Graph = own.times, own.graph != nil
	p, theirs, err := d.besides(ctx, c, cell)
	if err != nil {
		return err
	}
	if p != nil {
		defer func() { err = errors.Join(err, theirs.close(), p.close()) }()
	}
	var seconds, copies, dense []float64
	for begin := time.Now(); len(seconds) < leastSamples || time.Since(begin) < d.o.Budget; {
		t, err := own.take(ctx)
		if err != nil {
			return err
		}
		speed, err := d.copySample(ctx)
		if err != nil {
			return err
		}
		seconds, copies = append(seconds, t), append(copies, speed)
		if theirs != nil {
			by, err := theirs.take(ctx)
			if err != nil {
				return err
			}
			dense = append(dense, by)
		}
	}
	d.copies = append(d.copies, copies...)
	cell.fill(seconds, copies, dense)
	return nil
}

// fill turns samples that were taken next to each other into figures: of the layer, of
// copies in GB/s, and of the dense product where there is one.
func (c *DeviceCell) fill(seconds, copies, dense []float64) {
	var ofCopy, ofDense []float64
	for i, t := range seconds {
		ofCopy = append(ofCopy, float64(c.Bytes)/t/1e9/copies[i])
		if dense != nil {
			ofDense = append(ofDense, dense[i]/t)
		}
	}
	c.Samples = len(seconds)
	c.P50, c.P10 = median(seconds), quantile(seconds, 0.1)
	c.GBps, c.Tflops = float64(c.Bytes)/c.P50/1e9, c.Ops/c.P50/1e12
	c.Copy, c.OfCopy = median(copies), median(ofCopy)
	if dense != nil {
		c.DenseP50, c.OfDense = median(dense), median(ofDense)
	}
}
