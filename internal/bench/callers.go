package bench

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bitlane/bitlane/backend"
)

// A Crowd is several callers of one layer at once beside one caller.
type Crowd struct {
	Shape   string  `json:"shape"`
	M       int     `json:"m"`
	Scheme  string  `json:"scheme"`
	DType   string  `json:"dtype"`
	Kernel  string  `json:"kernel"`
	Threads int     `json:"threads"`
	Callers int     `json:"callers"`
	One     float64 `json:"applies_per_second_one"` // of one caller, median
	All     float64 `json:"applies_per_second_all"` // of all callers together, median
	Ratio   float64 `json:"ratio"`                  // All to One, median of pairs
	Pairs   int     `json:"pairs"`
	Samples int     `json:"samples"`
	Dropped int     `json:"dropped_disturbed"`
	State   string  `json:"state"`
	Why     string  `json:"why,omitempty"`
}

// windows is how many times in the time allowed callers call, each until its
// last Apply ends, and applies how many of one caller are to fit into one: long
// enough that the end, when not all of them are left, does not count.
const windows, applies = 16, 24

// A crowd is callers on threads of their own: the first on the first CPU, as a
// caller alone is, the others wherever the system puts them among the CPUs.
type crowd struct {
	callers []*Caller
	call    func(caller int)
	wake    []chan struct{}
	left    sync.WaitGroup
	ended   sync.WaitGroup
	failed  atomic.Pointer[error]
	window  time.Duration // of a sample
}

func newCrowd(dev backend.Device, st *Stack, n int, cpus []int) (c *crowd, err error) {
	c = &crowd{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
			c = nil
		}
	}()
	there := make(chan struct{})
	for i := range n {
		caller, err := st.Caller(dev)
		if err != nil {
			return c, err
		}
		c.callers = append(c.callers, caller)
		wake := make(chan struct{})
		c.wake = append(c.wake, wake)
		on := cpus
		if i == 0 {
			on = cpus[:1]
		}
		c.ended.Add(1)
		go func() {
			defer c.ended.Done()
			runtime.LockOSThread()
			_ = bindTo(on) // whether threads can be bound was found out when the gang began
			there <- struct{}{}
			for range wake {
				c.call(i)
				c.left.Done()
			}
		}()
		<-there
	}
	return c, nil
}

func (c *crowd) close() error {
	for _, w := range c.wake {
		close(w)
	}
	c.ended.Wait()
	var errs []error
	for _, caller := range c.callers {
		errs = append(errs, caller.Close())
	}
	return errors.Join(errs...)
}

// sample lets the first n callers call for a while, from one moment on. It
// lasts until the last of them is done.
func (c *crowd) sample(ctx context.Context, st *Stack, n, rows int) (sample, error) {
	var calls, next atomic.Int64
	start := time.Now()
	c.call = func(caller int) {
		for first := true; first || time.Since(start) < c.window && ctx.Err() == nil; first = false {
			l := st.copies[int(next.Add(1))%len(st.copies)]
			if err := c.callers[caller].Apply(ctx, l, rows); err != nil {
				c.failed.Store(&err)
				return
			}
			calls.Add(1)
		}
	}
	c.left.Add(n)
	for _, w := range c.wake[:n] {
		w <- struct{}{}
	}
	c.left.Wait()
	s := sample{amount: float64(calls.Load()), seconds: time.Since(start).Seconds()}
	if err := c.failed.Load(); err != nil {
		return s, *err
	}
	return s, nil
}

// crowd measures callers at once beside one.
func (m *machine) crowd(ctx context.Context, dev backend.Device, st *Stack, callers, rows int, cpus []int, budget time.Duration) (out Crowd, err error) {
	out = Crowd{
		Shape: st.Shape.String(), M: rows, Scheme: st.Spec.Scheme(), DType: st.Spec.X.String(), Kernel: st.Kernel.Name(),
		Threads: m.gang.threads, Callers: callers, State: StateOK,
	}
	c, err := newCrowd(dev, st, callers, cpus)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	alone, err := c.sample(ctx, st, 1, rows) // its window is 0: one Apply
	if err != nil {
		return out, err
	}
	c.window = max(budget/windows, time.Duration(applies*alone.seconds*1e9))
	w := newWaiting()
	defer w.close()
	all := work{name: "all", do: func() (sample, error) { return c.sample(ctx, st, callers, rows) }}
	one := work{name: "one", do: func() (sample, error) {
		// A caller alone waits for no other; what it waits is not of its making.
		waited := w.seconds()
		s, err := c.sample(ctx, st, 1, rows)
		s.waited = w.seconds() - waited
		return s, err
	}}
	if u := m.unitOf(st, rows, dev.Info().Tier); u != nil {
		all.wide = u.Wide
	}
	t, err := m.meter.run(ctx, []work{all, one}, budget)
	if err != nil {
		return out, err
	}
	out.fill(t.reduce())
	return out, nil
}

func (c *Crowd) fill(o outcome) {
	c.Samples, c.Dropped, c.Pairs = o.works[0].total(), o.works[0].disturbed, len(o.pairs[1])
	if c.Pairs < min(leastRounds, c.Samples) {
		c.State, c.Why = StateDisturbed, fewText
		if c.Pairs == 0 {
			return
		}
	}
	c.All, c.One = 1/median(o.works[0].seconds), 1/median(o.works[1].seconds)
	c.Ratio = median(o.pairs[1])
}
