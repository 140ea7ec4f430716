package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// maxFailures ends a check: more of the same tells nothing.
const maxFailures = 5

// rig is what one check works with: a device of its own, a stream, and the
// record of what it finds. Its methods are for the goroutine of the check,
// except failf.
type rig struct {
	run     context.Context // of the whole run
	ctx     context.Context // of this check: run with a deadline
	target  Target
	o       Options
	kernels []backend.Kernel
	info    backend.DeviceInfo
	dev     backend.Device
	st      backend.Stream
	bases   []*quant.Linear // what acceptedBase has built, for every kernel

	mu     sync.Mutex
	result Result
	late   bool // the check was given up: nothing more is recorded
}

// halt is panicked with to end a check whose outcome is recorded.
type halt struct{}

// runCheck runs one check on a device of its own and turns a panic or a hang
// into a failure. A check that ends after run did is not run.
func runCheck(run context.Context, c check, t Target, o Options) Result {
	ctx, cancel := context.WithTimeout(run, o.timeout())
	defer cancel()
	r := &rig{run: run, ctx: ctx, target: t, o: o, result: Result{Info: c.Info}}
	start := time.Now()
	done := make(chan error, 1) // what run's error was at the end of the check
	go func() {
		r.protect(func() { r.runOpen(c.run) })
		done <- run.Err()
	}()
	var ended error
	select {
	case ended = <-done:
	case <-ctx.Done():
		// A backend that heeds the context ends now by itself.
		select {
		case ended = <-done:
		case <-time.After(time.Second):
			ended = run.Err()
		}
		if run.Err() == nil {
			r.failf("", "no answer within %v: it hangs, or Options.Timeout is too short", o.timeout())
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = true
	r.result.Time = time.Since(start)
	if ended != nil && len(r.result.Failures) == 0 {
		r.result.Status, r.result.Reason = NotRun, "given up: "+ended.Error()
		return r.result
	}
	r.result.settle()
	return r.result
}

// settle decides the status of a check that has ended.
func (c *Result) settle() {
	switch {
	case len(c.Failures) > 0:
		c.Status, c.Reason = Failed, ""
	case c.Reason != "":
		c.Status = Skipped
	case c.Ran == 0 && c.Refused > 0:
		c.Status, c.Reason = Skipped, fmt.Sprintf("every kernel refused all %d cells", c.Refused)
	default:
		c.Status = Passed
	}
	if c.Floor && c.Status == Skipped {
		c.Status = Failed
		c.Failures = []Failure{{Text: "it is of the floor, but was not run: " + c.Reason}}
		c.Reason = ""
	}
}

// protect runs f and records a panic as a failure.
func (r *rig) protect(f func()) {
	defer func() {
		switch p := recover(); p.(type) {
		case nil, halt:
		default:
			r.record("", fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	f()
}

// runOpen runs a check between opening the device and letting it go. Whether
// letting go works is the matter of the lifetime checks alone.
func (r *rig) runOpen(run func(*rig)) {
	for _, k := range r.target.Backend.Kernels() {
		if r.o.Kernel == "" || k.Name() == r.o.Kernel {
			r.kernels = append(r.kernels, k)
		}
	}
	dev, stop := r.open(backend.OpenOptions{})
	defer func() { _ = stop() }()
	r.dev, r.info = dev, dev.Info()
	r.st = r.stream(dev)
	defer func() { _ = r.st.Close() }()
	run(r)
}

// open opens another device. The check ends where that fails.
func (r *rig) open(o backend.OpenOptions) (backend.Device, func() error) {
	open := r.target.Open
	if open == nil {
		open = func(ctx context.Context, o backend.OpenOptions) (backend.Device, func() error, error) {
			d, err := r.target.Backend.Open(ctx, "", o)
			if err != nil {
				return nil, nil, err
			}
			return d, d.Close, nil
		}
	}
	dev, stop, err := open(r.ctx, o)
	r.must(err, "Open")
	if stop == nil {
		stop = dev.Close
	}
	return dev, stop
}

func (r *rig) stream(dev backend.Device) backend.Stream {
	s, err := dev.NewStream()
	r.must(err, "NewStream")
	return s
}

// record keeps a failure and reports whether there is room for another. What
// fails after the end of the run may fail because of it.
func (r *rig) record(cell, text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.late && r.run.Err() == nil {
		r.result.Failures = append(r.result.Failures, Failure{Cell: cell, Text: text})
	}
	return len(r.result.Failures) < maxFailures
}

// tally reads or changes the result under its lock: a check that was given up
// may still be running while its result is on the way out.
func (r *rig) tally(f func(*Result)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.late {
		f(&r.result)
	}
}

// failf records a failure; it may be called by any goroutine of the check.
func (r *rig) failf(cell, format string, args ...any) bool {
	return r.record(cell, fmt.Sprintf(format, args...))
}

// fail records a failure and ends the check when there are enough of them.
func (r *rig) fail(at fmt.Stringer, format string, args ...any) {
	cell := ""
	if at != nil {
		cell = at.String()
	}
	if !r.failf(cell, format, args...) {
		panic(halt{})
	}
}

// must ends the check with a failure where err is not nil.
func (r *rig) must(err error, what string) {
	if err != nil {
		r.failf("", "%s: %v", what, err)
		panic(halt{})
	}
}

// skip ends the check, skipped for a reason.
func (r *rig) skip(format string, args ...any) {
	r.tally(func(c *Result) { c.Reason = fmt.Sprintf(format, args...) })
	panic(halt{})
}

// subject is a layer that a kernel accepted, on its way through a check.
type subject struct {
	cell
	kernel backend.Kernel
	linear *quant.Linear
	spec   backend.Spec
	num    backend.Numerics
	layer  backend.Layer
}

// String is the description of the cell in failures.
func (s *subject) String() string { return describe(s.kernel.Name(), &s.cell, &s.spec) }

// plan calls f for each kernel that accepts c, before Prepare. A cell that all
// refuse is counted.
func (r *rig) plan(c cell, f func(*subject)) {
	r.planLinear(c, c.build(), f)
}

func (r *rig) planLinear(c cell, l *quant.Linear, f func(*subject)) {
	r.heed()
	spec, err := backend.NewSpec(l, c.request())
	r.must(err, "NewSpec of "+c.short())
	accepted := false
	for _, k := range r.kernels {
		if k.Supports(r.info, spec) != nil {
			continue
		}
		accepted = true
		r.tally(func(c *Result) { c.Ran++ })
		f(&subject{cell: c, kernel: k, linear: l, spec: spec, num: k.Numerics(spec)})
	}
	if !accepted {
		r.tally(func(c *Result) { c.Refused++ })
	}
}

// heed ends a check whose time is up.
func (r *rig) heed() {
	if r.ctx.Err() != nil {
		panic(halt{})
	}
}

// each is plan with the layer prepared, and closed afterwards.
func (r *rig) each(c cell, f func(*subject)) { r.eachLinear(c, c.build(), f) }

func (r *rig) eachLinear(c cell, l *quant.Linear, f func(*subject)) {
	r.planLinear(c, l, func(s *subject) {
		if !r.prepare(s) {
			return
		}
		defer func() { _ = s.layer.Close() }()
		f(s)
	})
}

// prepare makes the layer of s on the device of r.
func (r *rig) prepare(s *subject) bool {
	layer, err := s.kernel.Prepare(r.ctx, r.dev, s.linear, s.spec)
	if err != nil {
		r.fail(s, "Supports accepts it, but Prepare gives: %v", err)
		return false
	}
	s.layer = layer
	return true
}

// firstType calls f for c in the first activation type that some kernel
// accepts, beginning with start, and for no other.
func (r *rig) firstType(c cell, start int, f func(*subject)) {
	r.firstTypeLinear(c, start, (*cell).build, f)
}

func (r *rig) firstTypeLinear(c cell, start int, build func(*cell) *quant.Linear, f func(*subject)) {
	refused := 0
	r.tally(func(c *Result) { refused = c.Refused })
	for i := range types {
		c.x = types[(start+i)%len(types)]
		c.y = c.x
		accepted := false
		r.eachLinear(c, build(&c), func(s *subject) {
			accepted = true
			f(s)
		})
		if accepted {
			r.tally(func(c *Result) { c.Refused = refused })
			return
		}
	}
	r.tally(func(c *Result) { c.Refused = refused + 1 })
}

// samples calls f for one cell of every kind, with M up to 8 rows.
func (r *rig) samples(f func(*subject)) {
	for i, c := range sampleCells(r.o) {
		r.firstType(c, i, f)
	}
}

// one calls f for the first sample that is accepted, with its layer, and for no
// other: f may close the device.
func (r *rig) one(f func(*subject)) {
	for i, c := range sampleCells(r.o) {
		for j := range types {
			c.x = types[(i+j)%len(types)]
			c.y = c.x
			s := &subject{cell: c, linear: c.build()}
			var err error
			s.spec, err = backend.NewSpec(s.linear, c.request())
			r.must(err, "NewSpec of "+c.short())
			for _, s.kernel = range r.kernels {
				if s.kernel.Supports(r.info, s.spec) != nil {
					continue
				}
				r.tally(func(c *Result) { c.Ran++ })
				s.num = s.kernel.Numerics(s.spec)
				if r.prepare(s) {
					defer func() { _ = s.layer.Close() }()
					f(s)
				}
				return
			}
		}
	}
	r.tally(func(c *Result) { c.Refused++ })
}

// works checks that the layer still runs; what it gives is for others to judge.
func (r *rig) works(s *subject, when string) {
	_, err := r.apply(s.layer, call{m: 2, x: s.input(s.linear, 2)})
	r.wantNil(s, "Apply "+when, err)
}

// wantErr checks that err is of a class.
func (r *rig) wantErr(at fmt.Stringer, what string, err, class error) {
	switch {
	case err == nil:
		r.fail(at, "%s succeeds, want: %v", what, class)
	case !errors.Is(err, class):
		r.fail(at, "%s gives %q, want an error of class %q", what, err, class)
	}
}

// wantNil checks that err is nil.
func (r *rig) wantNil(at fmt.Stringer, what string, err error) {
	if err != nil {
		r.fail(at, "%s gives: %v", what, err)
	}
}

// together runs n functions at once and waits for them; panics are failures.
func (r *rig) together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { r.protect(func() { f(i) }) })
	}
	wg.Wait()
	r.heed()
}
