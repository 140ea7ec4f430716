package conformance

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
)

func lifetimeChecks() []check {
	return []check{
		{Info{"close-twice", "Close of a layer, buffer, event, stream and device is idempotent.", true}, checkCloseTwice},
		{Info{"use-after-close", "Using a layer, buffer, stream or device after its Close is ErrClosed, never a crash.", true}, checkUseAfterClose},
		{Info{"busy", "Close of a device is ErrBusy, and closes nothing, while layers, buffers or streams of it live.", true}, checkBusy},
		{Info{"close-under-load", "Close of a layer refuses new Applies and waits for those that run: each one is right, or ErrClosed.", true}, checkCloseUnderLoad},
		{Info{"context", "Prepare with an ended context gives the context's error and leaves nothing allocated.", false}, checkContext},
		{Info{"out-of-memory", "When any one allocation of Prepare fails it gives ErrOutOfMemory and leaves nothing allocated, and the next Prepare works.", false}, checkOutOfMemory},
		{Info{"leaks", "After everything is closed nothing is alive, and the device closes.", true}, checkLeaks},
	}
}

// inRoom runs f with the first sample on a device of its own.
func (r *rig) inRoom(f func(room *rig, s *subject)) {
	dev, stop := r.open(backend.OpenOptions{})
	defer func() { _ = stop() }()
	outer, outerStream := r.dev, r.st
	defer func() { r.dev, r.st = outer, outerStream }()
	r.dev = dev
	r.st = r.stream(dev)
	defer func() { _ = r.st.Close() }()
	r.one(func(s *subject) { f(r, s) })
}

func checkCloseTwice(r *rig) {
	r.inRoom(func(r *rig, s *subject) {
		buf, err := r.dev.Alloc(100)
		r.must(err, "Alloc")
		st := r.stream(r.dev)
		e, err := st.Record()
		r.must(err, "Record")
		for _, c := range []struct {
			what  string
			close func() error
		}{
			{"a layer", s.layer.Close}, {"a buffer", buf.Close}, {"an event", e.Close}, {"a stream", st.Close},
			{"the other stream", r.st.Close}, {"the device", r.dev.Close},
		} {
			r.wantNil(s, "Close of "+c.what, c.close())
			r.wantNil(s, "the second Close of "+c.what, c.close())
		}
	})
}

func checkUseAfterClose(r *rig) {
	r.inRoom(func(r *rig, s *subject) {
		c := call{m: 2, x: s.input(s.linear, 2)}
		o, err := r.operands(r.dev, r.st, s.layer, c)
		r.must(err, "memory")
		defer o.close()
		apply := func() error { return s.layer.Apply(r.st, o.dst.tensor, o.x.tensor, o.ws.span) }
		r.wantNil(s, "Apply", apply())
		r.must(r.st.Sync(r.ctx), "Sync")

		r.must(o.x.buf.Close(), "Close of a buffer")
		if !o.x.buf.Closed() {
			r.fail(s, "Closed of a closed buffer is false")
		}
		r.wantErr(s, "Apply with a closed buffer", apply(), backend.ErrClosed)
		r.wantErr(s, "Upload to a closed buffer", r.st.Upload(backend.Whole(o.x.buf), make([]byte, o.x.buf.Len())), backend.ErrClosed)
		o.close()
		r.layerAfterClose(s)

		r.must(r.st.Close(), "Close of a stream")
		if !r.st.Closed() {
			r.fail(s, "Closed of a closed stream is false")
		}
		buf, err := r.dev.Alloc(4)
		r.must(err, "Alloc")
		r.wantErr(s, "Upload on a closed stream", r.st.Upload(backend.Whole(buf), make([]byte, 4)), backend.ErrClosed)
		r.wantErr(s, "Sync of a closed stream", r.st.Sync(r.ctx), backend.ErrClosed)
		_, err = r.st.Record()
		r.wantErr(s, "Record on a closed stream", err, backend.ErrClosed)
		r.must(buf.Close(), "Close of a buffer")

		r.wantNil(s, "Close of the device", r.dev.Close())
		r.deviceAfterClose(s)
	})
	r.samples(func(s *subject) { r.layerAfterClose(s) })
}

// layerAfterClose closes the layer of s and uses it.
func (r *rig) layerAfterClose(s *subject) {
	c := call{m: 2, x: s.input(s.linear, 2)}
	o, err := r.operands(r.dev, r.st, s.layer, c)
	r.must(err, "memory")
	defer o.close()
	r.must(s.layer.Close(), "Close of a layer")
	r.wantErr(s, "Apply of a closed layer", s.layer.Apply(r.st, o.dst.tensor, o.x.tensor, o.ws.span), backend.ErrClosed)
	if coder, ok := s.layer.(backend.Coder); ok {
		act := s.spec.Recipe.ActGroups(s.linear.Weight.Groups())
		err := coder.Codes(r.st, o.x.tensor, make([]int8, 2*s.spec.K), make([]float32, 2*act.Count()), make([]int32, 2))
		r.wantErr(s, "Codes of a closed layer", err, backend.ErrClosed)
	}
}

func (r *rig) deviceAfterClose(s *subject) {
	if b, err := r.dev.Alloc(8); true {
		if err == nil {
			_ = b.Close()
		}
		r.wantErr(s, "Alloc on a closed device", err, backend.ErrClosed)
	}
	st, err := r.dev.NewStream()
	if err == nil {
		_ = st.Close()
	}
	r.wantErr(s, "NewStream on a closed device", err, backend.ErrClosed)
	layer, err := s.kernel.Prepare(r.ctx, r.dev, s.linear, s.spec)
	if err == nil {
		_ = layer.Close()
	}
	r.wantErr(s, "Prepare on a closed device", err, backend.ErrClosed)
}

func checkBusy(r *rig) {
	r.inRoom(func(r *rig, s *subject) {
		_ = r.st.Close()
		r.wantErr(s, "Close of a device with a layer", r.dev.Close(), backend.ErrBusy)
		st, err := r.dev.NewStream()
		if err != nil {
			r.fail(s, "NewStream after a Close that was ErrBusy: %v", err)
			return
		}
		r.st = st
		r.works(s, "after a Close of the device that was ErrBusy")
		r.must(s.layer.Close(), "Close of a layer")
		r.wantErr(s, "Close of a device with a stream", r.dev.Close(), backend.ErrBusy)
		r.must(r.st.Close(), "Close of a stream")
		buf, err := r.dev.Alloc(10)
		r.must(err, "Alloc after a Close that was ErrBusy")
		r.wantErr(s, "Close of a device with a buffer", r.dev.Close(), backend.ErrBusy)
		r.must(buf.Close(), "Close of a buffer")
		r.wantNil(s, "Close of the device when nothing lives", r.dev.Close())
	})
}

func checkCloseUnderLoad(r *rig) {
	const goroutines = 3
	repeats := 4
	if r.o.Small {
		repeats = 2
	}
	for range repeats {
		r.samples(func(s *subject) {
			c := call{m: 2, x: s.input(s.linear, 2)}
			want, err := r.apply(s.layer, c)
			if err != nil {
				r.fail(s, "%v", err)
				return
			}
			load := load{call: c, want: want.bits}
			load.began.Add(goroutines)
			r.together(goroutines+1, func(i int) {
				if i < goroutines {
					r.untilClosed(s, &load)
					return
				}
				load.began.Wait()
				if err := s.layer.Close(); err != nil {
					r.failf(s.String(), "Close while Applies run: %v", err)
				}
				load.closed.Store(true)
			})
		})
	}
}

// load is what goroutines do to a layer that is closed meanwhile.
type load struct {
	call
	want   []byte
	began  sync.WaitGroup // each has applied once
	closed atomic.Bool    // Close has returned
}

// untilClosed applies until the layer is closed.
func (r *rig) untilClosed(s *subject, load *load) {
	began := sync.OnceFunc(load.began.Done)
	defer began()
	st, err := r.dev.NewStream()
	if err != nil {
		r.failf(s.String(), "NewStream: %v", err)
		return
	}
	defer func() { _ = st.Close() }()
	c := load.call
	c.stream = st
	for r.ctx.Err() == nil {
		late := load.closed.Load()
		out, err := r.apply(s.layer, c)
		began()
		switch {
		case errors.Is(err, backend.ErrClosed):
			return
		case err != nil:
			r.failf(s.String(), "Apply while Close runs: %v, want nil or ErrClosed", err)
			return
		case late:
			r.failf(s.String(), "Apply works after Close has returned")
			return
		case !bytes.Equal(out.bits, load.want):
			r.failf(s.String(), "an Apply that ran while Close was called has other bits")
			return
		}
	}
}

func checkContext(r *rig) {
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	for _, c := range sampleCells(r.o) {
		r.plan(c, func(s *subject) {
			r.failedPrepare(s, ctx, context.Canceled, "with an ended context")
		})
	}
}

// failedPrepare makes a Prepare that must fail and looks for what it leaves.
func (r *rig) failedPrepare(s *subject, ctx context.Context, class error, how string) {
	counter, counts := r.dev.(backend.Counter)
	var before backend.Alive
	if counts {
		before = counter.Alive()
	}
	layer, err := s.kernel.Prepare(ctx, r.dev, s.linear, s.spec)
	if err == nil {
		_ = layer.Close()
	}
	r.wantErr(s, "Prepare "+how, err, class)
	if counts && err != nil {
		if after := counter.Alive(); after != before {
			r.fail(s, "Prepare %s leaves %+v alive, there was %+v", how, after, before)
		}
	}
}

func checkOutOfMemory(r *rig) {
	fault, ok := r.dev.(backend.FaultInjector)
	if !ok {
		r.skip("the device does not implement backend.FaultInjector")
	}
	defer fault.FailAlloc(-1)
	for i, c := range sampleCells(r.o) {
		fault.FailAlloc(-1)
		r.firstType(c, i, func(s *subject) {
			_ = s.layer.Close()
			fault.FailAlloc(-1) // counts from here
			if !r.prepare(s) {
				return
			}
			held := s.layer.Bytes()
			n := fault.FailAlloc(-1)
			_ = s.layer.Close()
			if n == 0 && held > 0 {
				r.fail(s, "Prepare holds %d bytes of the device, but no allocation was counted", held)
			}
			for i := range n {
				fault.FailAlloc(i)
				r.failedPrepare(s, r.ctx, backend.ErrOutOfMemory, "with a failing allocation")
			}
			fault.FailAlloc(-1)
			if r.prepare(s) {
				r.works(s, "after failed Prepares")
			}
		})
	}
}

func checkLeaks(r *rig) {
	dev, stop := r.open(backend.OpenOptions{})
	outer, outerStream := r.dev, r.st
	defer func() { r.dev, r.st = outer, outerStream }()
	r.dev = dev
	counter, counts := dev.(backend.Counter)
	func() {
		r.st = r.stream(dev)
		defer func() { _ = r.st.Close() }()
		r.samples(func(s *subject) {
			r.works(s, "in a whole life")
			e, err := r.st.Record()
			r.must(err, "Record")
			r.must(e.Close(), "Close of an event")
			if grouper, ok := dev.(backend.Grouper); ok {
				g, err := grouper.Group(s.layer, s.layer)
				if err == nil {
					r.wantNil(s, "Close of a group", g.Close())
				}
			}
		})
	}()
	if counts {
		if alive := counter.Alive(); alive != (backend.Alive{}) {
			r.fail(nil, "after everything is closed there is alive: %+v", alive)
		}
	}
	r.wantNil(nil, "Close of the device after everything else", stop())
}
