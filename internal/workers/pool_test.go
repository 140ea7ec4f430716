package workers

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counts notes how often each chunk ran and which workers were in it at once.
type counts struct {
	chunks []atomic.Int32
	inside []atomic.Int32
	shared atomic.Int32
	pause  time.Duration
}

func (c *counts) Do(worker, chunk int) {
	if c.inside[worker].Add(1) != 1 {
		c.shared.Add(1)
	}
	c.chunks[chunk].Add(1)
	time.Sleep(c.pause)
	c.inside[worker].Add(-1)
}

func newCounts(threads, chunks int) *counts {
	return &counts{chunks: make([]atomic.Int32, chunks), inside: make([]atomic.Int32, threads)}
}

func (c *counts) check(t *testing.T) {
	t.Helper()
	for i := range c.chunks {
		require.EqualValues(t, 1, c.chunks[i].Load(), "chunk %d", i)
	}
	require.Zero(t, c.shared.Load(), "two goroutines had the same worker number at once")
}

func TestEveryChunkRunsOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p, err := New(Options{Threads: threads})
		require.NoError(t, err)
		require.Equal(t, threads, p.Threads())
		j := NewJob()
		for _, chunks := range []int{0, 1, 2, 7, 100, 1000} {
			for range 20 {
				c := newCounts(threads, chunks)
				p.Run(j, c, chunks, threads)
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

func TestConcurrentRuns(t *testing.T) {
	p, err := New(Options{Threads: 3})
	require.NoError(t, err)
	defer p.Close()
	var callers sync.WaitGroup
	for range 4 {
		callers.Add(1)
		go func() {
			defer callers.Done()
			j := NewJob()
			for i := range 200 {
				c := newCounts(3, 1+i%17)
				p.Run(j, c, len(c.chunks), 3)
				c.check(t)
			}
		}()
	}
	callers.Wait()
}

// TestWorkersTakePart fails when the caller does all the work alone.
func TestWorkersTakePart(t *testing.T) {
	p, err := New(Options{Threads: 2})
	require.NoError(t, err)
	defer p.Close()
	var byWorker atomic.Int32
	both := make(chan struct{})
	p.Run(NewJob(), taskFunc(func(worker, _ int) {
		if worker == 1 && byWorker.Add(1) == 1 {
			close(both)
		}
		<-both // the caller's chunk is not done before the worker has one
	}), 2, 2)
	require.EqualValues(t, 1, byWorker.Load())
}

type taskFunc func(worker, chunk int)

func (f taskFunc) Do(worker, chunk int) { f(worker, chunk) }

// TestBusyWorkerIsNotWaitedFor runs a loop while the only worker is stuck in
// another one.
func TestBusyWorkerIsNotWaitedFor(t *testing.T) {
	p, err := New(Options{Threads: 2})
	require.NoError(t, err)
	defer p.Close()
	stuck, release, first := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(first)
		p.Run(NewJob(), taskFunc(func(worker, _ int) {
			if worker == 1 {
				close(stuck)
			}
			<-release
		}), 2, 2)
	}()
	<-stuck
	j := NewJob()
	for range 10 { // more than the pool queues calls for
		c := newCounts(2, 8)
		p.Run(j, c, 8, 2)
		c.check(t)
	}
	close(release)
	<-first
}

func TestRunAllocatesNothing(t *testing.T) {
	p, err := New(Options{Threads: 2})
	require.NoError(t, err)
	defer p.Close()
	j, c := NewJob(), newCounts(2, 16)
	require.Zero(t, testing.AllocsPerRun(200, func() { p.Run(j, c, 16, 2) }))
}

func TestDefaultThreads(t *testing.T) {
	p, err := New(Options{})
	require.NoError(t, err)
	require.Equal(t, runtime.GOMAXPROCS(0), p.Threads())
	p.Close()
	p, err = New(Options{CPUs: []int{0}})
	require.NoError(t, err)
	require.Equal(t, 1, p.Threads())
	p.Close()
}
