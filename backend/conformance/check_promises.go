package conformance

import (
	"runtime"

	"github.com/bitlane/bitlane/backend"
)

func promiseChecks() []check {
	return []check{
		{Info{"repeat", "The same call gives the same bits every time, on every stream, and on a device opened with other threads.", false}, checkRepeat},
		{Info{"batch", "Where a kernel promises batch invariance, a row of y has the same bits whatever other rows are in the call.", false}, checkBatch},
		{Info{"concurrent", "A layer may run on several streams at once with distinct dst and workspace, and each result is that of a single run.", false}, checkConcurrent},
		{Info{"allocations", "Apply allocates nothing, neither in Go nor on the device.", false}, checkAllocations},
	}
}

func checkRepeat(r *rig) {
	r.samples(func(s *subject) {
		c := call{m: s.m, x: s.input(s.linear, s.m)}
		first, err := r.apply(s.layer, c)
		if err != nil {
			r.fail(s, "%v", err)
			return
		}
		for range 3 {
			again, err := r.apply(s.layer, c)
			r.wantNil(s, "the same call again", err)
			r.sameBits(s, "the same call again", again.bits, first.bits)
		}
		c.stream = r.stream(r.dev)
		defer func() { _ = c.stream.Close() }()
		again, err := r.apply(s.layer, c)
		r.wantNil(s, "another stream", err)
		r.sameBits(s, "another stream", again.bits, first.bits)
		for _, threads := range []int{1, 3} {
			r.otherThreads(s, c, threads, first.bits)
		}
	})
}

// otherThreads runs c on a device of its own.
func (r *rig) otherThreads(s *subject, c call, threads int, want []byte) {
	dev, stop := r.open(backend.OpenOptions{Threads: threads})
	defer func() { _ = stop() }()
	if s.kernel.Supports(dev.Info(), s.spec) != nil {
		return
	}
	layer, err := s.kernel.Prepare(r.ctx, dev, s.linear, s.spec)
	if err != nil {
		r.fail(s, "Prepare on a device of %d threads: %v", threads, err)
		return
	}
	defer func() { _ = layer.Close() }()
	c.stream = r.stream(dev)
	defer func() { _ = c.stream.Close() }()
	out, err := r.applyOn(dev, layer, c)
	if err != nil {
		r.fail(s, "on a device of %d threads: %v", threads, err)
		return
	}
	r.sameBits(s, "on a device of other threads", out.bits, want)
}

func checkBatch(r *rig) {
	promised := 0
	r.samples(func(s *subject) {
		if !s.num.BatchInvariant {
			return
		}
		promised++
		x := s.input(s.linear, s.m)
		all, err := r.apply(s.layer, call{m: s.m, x: x})
		if err != nil {
			r.fail(s, "%v", err)
			return
		}
		row := len(all.bits) / s.m
		for _, part := range [][2]int{{0, 1}, {1, 2}, {3, 4}, {s.m - 1, s.m}, {0, 2}, {2, 5}, {1, s.m}} {
			lo, hi := part[0], part[1]
			out, err := r.apply(s.layer, call{m: hi - lo, x: x[lo*s.k : hi*s.k]})
			r.wantNil(s, "some of the rows", err)
			r.sameBits(s, "some of the rows alone", out.bits, all.bits[lo*row:hi*row])
		}
	})
	clean := false
	r.tally(func(c *Result) { clean = c.Ran > 0 && len(c.Failures) == 0 })
	if promised == 0 && clean {
		r.skip("no kernel promises batch invariance")
	}
}

func checkConcurrent(r *rig) {
	const goroutines, repeats = 4, 5
	r.samples(func(s *subject) {
		inputs := make([]call, goroutines)
		wants := make([][]byte, goroutines)
		streams := make([]backend.Stream, goroutines)
		for i := range inputs {
			m := 1 + i*(s.m-1)/(goroutines-1)
			inputs[i] = call{m: m, x: s.input(s.linear, m)}
			out, err := r.apply(s.layer, inputs[i])
			if err != nil {
				r.fail(s, "%v", err)
				return
			}
			wants[i] = out.bits
			streams[i] = r.stream(r.dev)
			defer func() { _ = streams[i].Close() }()
		}
		r.together(goroutines, func(i int) {
			c := inputs[i]
			c.stream = streams[i]
			for range repeats {
				out, err := r.apply(s.layer, c)
				if err != nil {
					r.failf(s.String(), "M %d, with others at once: %v", c.m, err)
					return
				}
				if string(out.bits) != string(wants[i]) {
					r.failf(s.String(), "M %d: the bits differ from those of a single run", c.m)
					return
				}
			}
		})
	})
}

// checkAllocations counts what the whole process allocates meanwhile, so that
// it looks for one quiet trial among many: an Apply that allocates has none.
func checkAllocations(r *rig) {
	const applies = 2
	trials := 500
	fault, counts := r.dev.(backend.FaultInjector)
	if r.info.Emulated {
		trials = 1
	}
	r.samples(func(s *subject) {
		c := call{m: 3, x: s.input(s.linear, 3)}
		o, err := r.operands(r.dev, r.st, s.layer, c)
		r.must(err, "memory")
		defer o.close()
		apply := func() error { return s.layer.Apply(r.st, o.dst.tensor, o.x.tensor, o.ws.span) }
		r.wantNil(s, "Apply", apply()) // the first one may fill a pool
		if counts {
			fault.FailAlloc(-1)
		}
		least := ^uint64(0)
		var before, after runtime.MemStats
		for i := 0; i < trials && least > 0; i++ {
			runtime.ReadMemStats(&before)
			for range applies {
				err = apply()
			}
			runtime.ReadMemStats(&after)
			least = min(least, after.Mallocs-before.Mallocs)
			if i%16 == 15 {
				runtime.Gosched()
			}
		}
		r.wantNil(s, "Apply", err)
		if least > 0 && !r.info.Emulated {
			r.fail(s, "%d Applies make at least %d Go allocations", applies, least)
		}
		if counts {
			if n := fault.FailAlloc(-1); n > 0 {
				r.fail(s, "Apply makes device allocations: %d", n)
			}
		}
	})
	if r.info.Emulated {
		r.skip("Go's allocations are the emulator's as well: only the device's were looked at")
	}
}
