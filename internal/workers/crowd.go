package workers

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// A spinning goroutine holds one of the GOMAXPROCS processors of the Go
// scheduler, which then cannot run others: the goroutines of the program, and
// the other callers of the pool. The scheduler's own remedy takes 10 ms.
// runtime.Gosched now and then is none: it looks at two of the queues only, and
// while a processor is idle it wakes a thread each time for nothing. So one of
// those that spin asks the runtime, now and then, how many goroutines wait for
// a processor, and that many give way.

// crowd is what was last seen of the goroutines that wait.
type crowd struct {
	look    atomic.Int64 // when to look again, by Pool.now
	waiting atomic.Int64 // goroutines for which nobody has given way yet
}

// newSample returns what goroutinesWaiting needs, for one goroutine at a time.
func newSample() []metrics.Sample {
	return []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}, {Name: "/sched/goroutines/running:goroutines"}}
}

// goroutinesWaiting is how many goroutines could run at once with more
// processors than GOMAXPROCS. It costs about 0.15 µs on 2 processors and the
// more the more there are.
func goroutinesWaiting(s []metrics.Sample, procs int) int64 {
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 || s[1].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	idle := max(int64(procs)-int64(s[1].Value.Uint64()), 0)
	return int64(s[0].Value.Uint64()) - idle
}

// crowded reports whether the goroutine that asks should stop spinning, for
// another one.
func (p *Pool) crowded(now time.Duration, s []metrics.Sample) bool {
	c := &p.crowd
	if look := c.look.Load(); int64(now) >= look {
		procs := runtime.GOMAXPROCS(0)
		p.procs.Store(int32(min(procs, p.cpus)))
		pause := max(5*time.Microsecond, time.Duration(procs)*2*time.Microsecond)
		if c.look.CompareAndSwap(look, int64(now+pause)) {
			c.waiting.Store(p.host.waiting(s, procs))
		}
	}
	return c.waiting.Load() > 0 && c.waiting.Add(-1) >= 0
}
