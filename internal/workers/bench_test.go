package workers

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bitlane/bitlane/internal/topology"
)

// spinFor is the body of the loops: a chain of dependent steps.
type spinFor struct{ steps int }

var sink atomic.Uint64

func (s spinFor) Do(int, int) { sink.Store(chain(s.steps)) }

//go:noinline
func chain(steps int) (x uint64) {
	for range steps {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

// stepsOf is how many steps take so long when nothing disturbs them.
func stepsOf(d time.Duration) int {
	const probe = 20000
	best := time.Hour
	for range 200 {
		t := time.Now()
		sink.Store(chain(probe))
		best = min(best, time.Since(t))
	}
	return int(float64(probe) * float64(d) / float64(best))
}

func newBenchPool(b *testing.B, o Options) *Pool {
	p, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	return p
}

// timeRuns reports the median and the 10th percentile of single Runs, with a
// pause of the caller before each.
func timeRuns(b *testing.B, pause func(), run func()) {
	for range 100 {
		run()
	}
	times := make([]time.Duration, 0, 1<<16)
	for b.Loop() {
		pause()
		t := time.Now()
		run()
		if len(times) < cap(times) {
			times = append(times, time.Since(t))
		}
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/10].Nanoseconds()), "p10-ns")
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(times[len(times)*9/10].Nanoseconds()), "p90-ns")
}

// busy keeps the caller's processor at work, as a program does between layers.
func busy(d time.Duration) func() {
	return func() {
		for t := time.Now(); time.Since(t) < d; {
		}
	}
}

// BenchmarkForkJoin times one Run of as many chunks as threads, on workers that
// the kernel places, and with each thread bound to a CPU.
func BenchmarkForkJoin(b *testing.B) {
	b.Run("placed-by=kernel", func(b *testing.B) { forkJoin(b, nil) })
	b.Run("placed-by=binding", func(b *testing.B) {
		if runtime.GOOS != "linux" {
			b.Skip("threads are bound on Linux only")
		}
		forkJoin(b, topology.Here().CPUs)
	})
}

func forkJoin(b *testing.B, cpus []int) {
	threads := DefaultThreads()
	work := spinFor{stepsOf(20 * time.Microsecond)}
	for _, pause := range []struct {
		name string
		fn   func()
	}{
		{"back-to-back", func() {}},
		{"busy100us", busy(100 * time.Microsecond)},
		{"asleep1ms", func() { time.Sleep(time.Millisecond) }},
		{"asleep20ms", func() { time.Sleep(20 * time.Millisecond) }},
	} {
		for _, task := range []struct {
			name string
			spinFor
		}{{"empty", spinFor{}}, {"20us-each", work}} {
			b.Run(fmt.Sprintf("pause=%s/%s", pause.name, task.name), func(b *testing.B) {
				p, j := newBenchPool(b, Options{CPUs: cpus}), NewJob()
				if cpus != nil {
					runtime.LockOSThread() // never unlocked: the bound thread ends with the goroutine
					if err := bind(cpus[:1]); err != nil {
						b.Fatal(err)
					}
				}
				var body Task = task.spinFor
				b.ReportAllocs()
				timeRuns(b, pause.fn, func() { p.Run(j, body, threads, threads) })
			})
		}
	}
	b.Run("serial", func(b *testing.B) {
		p, j := newBenchPool(b, Options{}), NewJob()
		timeRuns(b, func() {}, func() { p.Run(j, work, threads, 1) })
	})
}

// BenchmarkCallers compares the throughput of 8 callers with that of one on
// the same processors, in pairs, and reports the median ratio.
func BenchmarkCallers(b *testing.B) {
	threads := DefaultThreads()
	for _, chunk := range []time.Duration{2 * time.Microsecond, 20 * time.Microsecond} {
		for _, callers := range []int{2, 8} {
			b.Run(fmt.Sprintf("chunks=16x%v/callers=%d", chunk, callers), func(b *testing.B) {
				p := newBenchPool(b, Options{})
				work := spinFor{stepsOf(chunk)}
				var ratios, one []float64
				for b.Loop() {
					alone := runsPerSecond(p, work, 1, threads)
					one = append(one, alone)
					ratios = append(ratios, runsPerSecond(p, work, callers, threads)/alone)
				}
				slices.Sort(ratios)
				slices.Sort(one)
				b.ReportMetric(ratios[len(ratios)/2], "ratio")
				b.ReportMetric(one[len(one)/2]*16*chunk.Seconds(), "cores-by-one")
			})
		}
	}
}

func runsPerSecond(p *Pool, t Task, callers, threads int) float64 {
	const span = 40 * time.Millisecond
	var done atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			j := NewJob()
			for time.Since(began) < span {
				p.Run(j, t, 16, threads)
				done.Add(1)
			}
		}()
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(began).Seconds()
}

// BenchmarkOthers is how long a goroutine that the caller starts waits for a
// processor, while the caller never blocks and the worker spins between Runs;
// with and without the worker giving way.
func BenchmarkOthers(b *testing.B) {
	threads := DefaultThreads()
	var work Task = spinFor{stepsOf(20 * time.Microsecond)}
	for _, giveWay := range []bool{true, false} {
		b.Run(fmt.Sprintf("give-way=%t", giveWay), func(b *testing.B) {
			h := hostOf(topology.Here())
			if !giveWay {
				h.waiting = noneWaits
			}
			p, err := newPool(Options{}, h)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			j := NewJob()
			waits := make(chan time.Duration, 1<<16)
			var runs []time.Duration
			for b.Loop() {
				began := time.Now()
				go func() {
					select {
					case waits <- time.Since(began):
					default:
					}
				}()
				for range 20 {
					t := time.Now()
					p.Run(j, work, threads, threads)
					if len(runs) < 1<<16 {
						runs = append(runs, time.Since(t))
					}
					busy(50 * time.Microsecond)()
				}
			}
			for len(waits) < min(b.N, cap(waits)) {
				runtime.Gosched()
			}
			close(waits)
			var all []time.Duration
			for w := range waits {
				all = append(all, w)
			}
			slices.Sort(all)
			slices.Sort(runs)
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "wait-p50-us")
			b.ReportMetric(float64(all[len(all)*9/10].Microseconds()), "wait-p90-us")
			b.ReportMetric(float64(runs[len(runs)/2].Microseconds()), "run-p50-us")
			b.ReportMetric(float64(runs[len(runs)*9/10].Microseconds()), "run-p90-us")
		})
	}
}
