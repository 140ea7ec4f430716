package workers

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryChunkRunsOnce(t *testing.T) {
	for _, spin := range []time.Duration{0, -1} {
		for _, threads := range []int{1, 2, 4, 8} {
			p := newTestPool(t, Options{Threads: threads, Spin: spin})
			require.Equal(t, threads, p.Threads())
			require.Equal(t, 1, p.Nodes())
			j := NewJob()
			for _, chunks := range []int{0, 1, 2, 7, 100, 1000} {
				for i := range 20 {
					c := newCounts(threads, chunks)
					p.Run(j, c, chunks, 1+i%(threads+1))
					c.check(t)
				}
			}
			p.Close()
			p.Close()
			c := newCounts(threads, 9)
			p.Run(j, c, 9, threads)
			c.check(t)
		}
	}
}

// TestRandomLoad has several callers with chunks of random length, widths and
// numbers, on pools that spin for long, shortly and not at all.
func TestRandomLoad(t *testing.T) {
	for _, spin := range []time.Duration{time.Hour, 20 * time.Microsecond, -1} {
		for _, threads := range []int{2, 4, 8} {
			p := newTestPool(t, Options{Threads: threads, Spin: spin})
			var callers sync.WaitGroup
			for seed := range 8 {
				callers.Add(1)
				go func() {
					defer callers.Done()
					r := rand.New(rand.NewPCG(uint64(seed), 1))
					j := NewJob()
					for range 60 {
						c := newCounts(threads, r.IntN(30))
						long, kind := r.IntN(2000), r.IntN(10)
						c.work = func(chunk int) {
							switch kind {
							case 0:
								time.Sleep(time.Duration(long) * time.Nanosecond)
							case 1:
								runtime.Gosched()
							default:
								sink.Store(chain(long * (chunk % 7)))
							}
						}
						p.Run(j, c, len(c.chunks), 1+r.IntN(threads))
						c.check(t)
						if r.IntN(20) == 0 {
							time.Sleep(100 * time.Microsecond)
						}
					}
				}()
			}
			callers.Wait()
			p.Close()
		}
	}
}

func TestWorkersTakePart(t *testing.T) {
	for _, spin := range []time.Duration{0, -1, time.Hour} {
		p, j := newTestPool(t, Options{Threads: 2, Spin: spin}), NewJob()
		for range 50 {
			byWorker := 0
			runBoth(p, j, func() { byWorker++ })
			require.Equal(t, 1, byWorker)
		}
	}
}

// TestBusyWorkerIsNotWaitedFor runs loops while the only worker is stuck in
// another one.
func TestBusyWorkerIsNotWaitedFor(t *testing.T) {
	p := newTestPool(t, Options{Threads: 2})
	stuck, release, first := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(first)
		runBoth(p, NewJob(), func() { close(stuck); <-release })
	}()
	<-stuck
	j := NewJob()
	for range 100 {
		c := newCounts(2, 8)
		p.Run(j, c, 8, 2)
		c.check(t)
	}
	close(release)
	<-first
}

// TestMoreCallersThanSlots keeps more Runs going at once than the board shows.
func TestMoreCallersThanSlots(t *testing.T) {
	p := newTestPool(t, Options{Threads: 3})
	const callers = slots + 8
	var inside atomic.Int32
	all, done := make(chan struct{}), make(chan struct{})
	for range callers {
		go func() {
			j, first := NewJob(), atomic.Bool{}
			c := newCounts(3, 12)
			c.work = func(int) {
				if first.CompareAndSwap(false, true) { // all callers are in a Run at once
					if inside.Add(1) == callers {
						close(all)
					}
				}
			}
			p.Run(j, taskFunc(func(worker, chunk int) {
				c.Do(worker, chunk)
				if worker == 0 {
					<-all
				}
			}), 12, 3)
			c.check(t)
			done <- struct{}{}
		}()
	}
	for range callers {
		<-done
	}
	require.Zero(t, runs(p.board.notice.Load()))
	require.Zero(t, wanted(p.board.notice.Load()))
}

func TestRunWithinTask(t *testing.T) {
	p := newTestPool(t, Options{Threads: 4})
	c := newCounts(4, 20)
	p.Run(NewJob(), taskFunc(func(_, chunk int) {
		inner := newCounts(4, 10)
		p.Run(NewJob(), inner, 10, 4)
		inner.check(t)
		c.chunks[chunk].Add(1)
	}), 20, 4)
	c.check(t)
}

func TestRunAllocatesNothing(t *testing.T) {
	for _, spin := range []time.Duration{0, -1} {
		p := newTestPool(t, Options{Threads: 2, Spin: spin})
		j, c := NewJob(), newCounts(2, 16)
		parts := []int{9, 0, 7}
		require.Zero(t, testing.AllocsPerRun(200, func() {
			p.Run(j, c, 16, 2)
			p.RunParts(j, c, parts, 2)
		}))
	}
}

func TestJobOfAnotherPool(t *testing.T) {
	j := NewJob()
	c := newCounts(2, 4)
	newTestPool(t, Options{Threads: 2}).Run(j, c, 4, 2)
	require.Panics(t, func() { newTestPool(t, Options{Threads: 2}).Run(j, c, 4, 2) })
}

func TestDefaultThreads(t *testing.T) {
	useProcs(t, 3)
	m := machine(1, 4)
	threads := func(o Options) int {
		h := hostOf(m)
		h.bind = func([]int) error { return nil }
		p, err := newPool(o, h)
		require.NoError(t, err)
		defer p.Close()
		return p.Threads()
	}
	require.Equal(t, 3, threads(Options{}))
	require.Equal(t, 2, threads(Options{CPUs: []int{1, 3, 1}}))
	require.Equal(t, 6, threads(Options{Threads: 6}))
	m.Quota = 1.2
	require.Equal(t, 2, threads(Options{}))
	m = machine(1, 1)
	require.Equal(t, 1, threads(Options{}))
	require.LessOrEqual(t, DefaultThreads(), 3)
}

func TestClose(t *testing.T) {
	for _, spin := range []time.Duration{time.Hour, -1} {
		p, j := newTestPool(t, Options{Threads: 4, Spin: spin}), NewJob()
		before := runtime.NumGoroutine()
		inside, release, closed := make(chan struct{}, 8), make(chan struct{}), make(chan struct{})
		done := make(chan struct{})
		c := newCounts(4, 8)
		c.work = func(int) { inside <- struct{}{}; <-release }
		go func() {
			defer close(done)
			p.Run(j, c, 8, 4)
		}()
		<-inside
		go func() {
			p.Close()
			close(closed)
		}()
		eventually(t, "Close has begun", p.quit.Load)
		close(release)
		<-closed
		<-done
		c.check(t)
		eventually(t, "the workers have ended", func() bool { return runtime.NumGoroutine() <= before-3 })
		c = newCounts(4, 50)
		p.Run(j, c, 50, 4)
		c.check(t)
	}
}

// TestCloseWhileRunning closes pools at random moments of a stream of Runs.
func TestCloseWhileRunning(t *testing.T) {
	for i := range 60 {
		p, j := newTestPool(t, Options{Threads: 1 + i%5, Spin: time.Duration(i%3-1) * 10 * time.Microsecond}), NewJob()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 30 {
				c := newCounts(p.Threads(), 10)
				c.work = func(int) { sink.Store(chain(200)) }
				p.Run(j, c, 10, p.Threads())
				c.check(t)
			}
		}()
		time.Sleep(time.Duration(i) * 5 * time.Microsecond)
		p.Close()
		<-done
	}
}
