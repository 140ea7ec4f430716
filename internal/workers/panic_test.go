package workers

import (
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// recovered returns what f panics with.
func recovered(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func checkUsable(t *testing.T, p *Pool, j *Job) {
	t.Helper()
	require.Zero(t, runs(p.board.notice.Load()))
	for range 20 {
		byWorker := 0
		runBoth(p, j, func() { byWorker++ })
		require.Equal(t, 1, byWorker)
		c := newCounts(p.Threads(), 50)
		p.Run(j, c, 50, p.Threads())
		c.check(t)
	}
}

func TestPanicOnWorker(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2}), NewJob()
	for range 20 {
		value := recovered(func() { runBoth(p, j, func() { panic(io.ErrUnexpectedEOF) }) })
		failed, ok := value.(*TaskPanic)
		require.True(t, ok, "%v", value)
		require.ErrorIs(t, failed, io.ErrUnexpectedEOF)
		require.Contains(t, failed.Error(), "unexpected EOF")
		require.Contains(t, failed.Error(), "TestPanicOnWorker", "where it was raised")
		checkUsable(t, p, j)
	}
}

func TestPanicOnWorkerDropsTheRest(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2}), NewJob()
	var ran atomic.Int32
	value := recovered(func() {
		p.Run(j, taskFunc(func(worker, _ int) {
			ran.Add(1)
			if worker > 0 {
				eventually(t, "the caller has a chunk, too", func() bool { return ran.Load() == 2 })
				panic("from the worker")
			}
			eventually(t, "nothing is left to claim", func() bool { return !j.hasChunks() })
		}), 100, 2)
	})
	failed, ok := value.(*TaskPanic)
	require.True(t, ok, "%v", value)
	require.Equal(t, "from the worker", failed.Value)
	require.EqualValues(t, 2, ran.Load())
	checkUsable(t, p, j)
}

func TestPanicOnCaller(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2}), NewJob()
	for range 20 {
		// Chunk 1 is begun on a worker and ends only when the caller is about
		// to leave; the rest must be dropped.
		c := newCounts(2, 100)
		begun, finished := make(chan struct{}), false
		value := recovered(func() {
			p.Run(j, taskFunc(func(worker, chunk int) {
				c.Do(worker, chunk)
				if worker == 0 {
					<-begun
					panic("from the caller")
				}
				close(begun)
				for j.hasChunks() {
					runtime.Gosched()
				}
				finished = true
			}), 100, 2)
		})
		require.Equal(t, "from the caller", value)
		require.True(t, finished, "a chunk that had begun was not waited for")
		ran := 0
		for i := range c.chunks {
			ran += int(c.chunks[i].Load())
		}
		require.Equal(t, 2, ran)
		checkUsable(t, p, j)
	}
}

func TestGoexitOnWorker(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2}), NewJob()
	for range 5 {
		value := recovered(func() { runBoth(p, j, runtime.Goexit) })
		var failed *TaskPanic
		err, _ := value.(error)
		require.True(t, errors.As(err, &failed), "%v", value)
		require.Nil(t, failed.Value)
		require.NoError(t, failed.Unwrap())
		require.Contains(t, failed.Error(), "Goexit")
		checkUsable(t, p, j) // with another goroutine in its place
	}
}

func TestGoexitOnCaller(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2}), NewJob()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(j, taskFunc(func(worker, _ int) {
			if worker == 0 {
				runtime.Goexit()
			}
		}), 1000, 2)
	}()
	<-done
	checkUsable(t, p, j)
}

func TestPanicInSerialRun(t *testing.T) {
	p := newTestPool(t, Options{Threads: 1})
	require.Equal(t, "x", recovered(func() { p.Run(NewJob(), taskFunc(func(int, int) { panic("x") }), 3, 8) }))
}
