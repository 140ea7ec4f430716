package workers

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLateWorker lets a worker join a Run, and come to its first claim only
// when that Run has ended and the next one of the same Job is under way.
func TestLateWorker(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2}), NewJob()
	p.Close() // the worker is played by the test
	var late uint32
	p.Run(j, taskFunc(func(_, chunk int) {
		if chunk == 0 {
			epoch, ok := j.join()
			require.True(t, ok)
			late = epoch
		}
	}), 3, 2)

	c := newCounts(2, 5)
	c.work = func(int) {
		var claimed int64
		j.take(1, 0, late, &claimed)
		require.Zero(t, claimed)
	}
	p.Run(j, c, 5, 2)
	c.check(t)
	j.help(&worker{number: 1}, late) // and when that one has ended too
	c.check(t)
	require.Empty(t, j.finished, "nobody waits for the end of a Run that is over")
}

// TestLateWorkerJoins lets a worker find a Job on the board and join only in
// its next Run: it must be a full member of that one.
func TestLateWorkerJoins(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2}), NewJob()
	p.Close()
	p.Run(j, newCounts(2, 3), 3, 2)
	_, ok := j.join()
	require.False(t, ok, "a Run without chunks")
	c := newCounts(2, 6)
	joined := false
	p.Run(j, taskFunc(func(worker, chunk int) {
		c.Do(worker, chunk)
		if !joined {
			joined = true
			epoch, ok := j.join()
			require.True(t, ok)
			j.help(&worker1, epoch)
		}
	}), 6, 2)
	c.check(t)
}

var worker1 = worker{number: 1}

// TestSeats counts who may join Runs of every width.
func TestSeats(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 5}), NewJob()
	p.Close()
	for width := 2; width <= 5; width++ {
		first := true
		p.Run(j, taskFunc(func(int, int) {
			if !first {
				return
			}
			first = false
			joined := 0
			for range 4 { // there are no more workers
				if _, ok := j.join(); ok {
					joined++
				}
			}
			require.Equal(t, width-1, joined)
		}), 9, width)
	}
}

// TestWidth checks that no more goroutines take part than a Run allows.
func TestWidth(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 8}), NewJob()
	for width := 2; width <= 8; width++ {
		for range 30 {
			var present [8]atomic.Bool
			p.Run(j, taskFunc(func(worker, _ int) {
				present[worker].Store(true)
				sink.Store(chain(300))
			}), 40, width)
			n := 0
			for i := range present {
				if present[i].Load() {
					n++
				}
			}
			require.LessOrEqual(t, n, width)
		}
	}
}

// TestBlockedCaller makes the caller wait so long that it blocks, and again in
// a Run whose worker is done before.
func TestBlockedCaller(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2}), NewJob()
	p.join = 0
	for range 50 {
		runBoth(p, j, func() {
			for j.left.Load() < blocked { // until the caller has given up spinning
				pause()
			}
		})
		require.Zero(t, j.left.Load()-blocked)
		require.Empty(t, j.finished)
		c := newCounts(2, 10)
		p.Run(j, c, 10, 2)
		c.check(t)
		require.Empty(t, j.finished)
	}
}
