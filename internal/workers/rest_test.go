package workers

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func parked(p *Pool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.bench)
}

// TestSpinThenPark follows one worker through its states.
func TestSpinThenPark(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2, Spin: time.Millisecond}), NewJob()
	eventually(t, "parked without any Run", func() bool { return parked(p) == 1 })
	for range 5 {
		runBoth(p, j, nil) // wakes it
		eventually(t, "parked after the spin", func() bool { return parked(p) == 1 })
	}
}

// TestAwakeWhileSpinning checks that a worker whose time to park is far away is
// awake, so that a Run finds it without waking it.
func TestAwakeWhileSpinning(t *testing.T) {
	p, j := newUncrowdedPool(t, Options{Threads: 2, Spin: time.Hour}), NewJob()
	for range 5 {
		runBoth(p, j, nil)
		time.Sleep(10 * time.Millisecond)
		require.Zero(t, p.parked.Load())
	}
}

func TestNoSpinWanted(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 3, Spin: -1}), NewJob()
	for range 5 {
		eventually(t, "parked at once", func() bool { return parked(p) == 2 })
		runBoth(p, j, nil)
	}
}

// TestSpinnersLeaveAProcessor has more workers than processors.
func TestSpinnersLeaveAProcessor(t *testing.T) {
	p, j := newUncrowdedPool(t, Options{Threads: 8, Spin: time.Hour}), NewJob()
	for range 5 {
		eventually(t, "all but one parked", func() bool { return parked(p) == 6 })
		runBoth(p, j, nil)
	}
}

// TestOneProcessor checks that workers do not spin when GOMAXPROCS leaves them
// only the caller's processor, from the start or later.
func TestOneProcessor(t *testing.T) {
	p, j := newTestPool(t, Options{Threads: 2, Spin: time.Hour}), NewJob()
	runBoth(p, j, nil)
	runtime.GOMAXPROCS(1)
	eventually(t, "parked", func() bool { return parked(p) == 1 })
	c := newCounts(2, 100)
	p.Run(j, c, 100, 2)
	c.check(t)
	require.Equal(t, 1, parked(p), "a Run wakes nobody who would have to share its processor")
	runtime.GOMAXPROCS(2)
	runBoth(p, j, nil)
}

// TestSpinnerGivesWay fills the processors with other goroutines: a worker that
// would spin for an hour must park.
func TestSpinnerGivesWay(t *testing.T) {
	for _, cpus := range [][]int{nil, {0, 1}} {
		useProcs(t, 2)
		h := hostOf(machine(1, 2))
		h.bind = func([]int) error { return nil }
		p, err := newPool(Options{Threads: 2, Spin: time.Hour, CPUs: cpus}, h)
		require.NoError(t, err)
		j := NewJob()
		runBoth(p, j, nil)
		var quit atomic.Bool
		var others sync.WaitGroup
		for range 4 {
			others.Add(1)
			go func() {
				defer others.Done()
				for !quit.Load() {
					sink.Store(chain(100))
				}
			}()
		}
		eventually(t, "parked", func() bool { return parked(p) == 1 })
		quit.Store(true)
		others.Wait()
		runBoth(p, j, nil)
		p.Close()
	}
}

// TestChainOfWaking has a Run that needs all of many parked workers, of which
// the caller itself wakes one.
func TestChainOfWaking(t *testing.T) {
	useProcs(t, 8)
	p, err := newPool(Options{Threads: 8, Spin: -1}, hostOf(machine(1, 8)))
	require.NoError(t, err)
	defer p.Close()
	j := NewJob()
	for range 20 {
		eventually(t, "all parked", func() bool { return parked(p) == 7 })
		var inside atomic.Int32
		all := make(chan struct{})
		p.Run(j, taskFunc(func(int, int) {
			if inside.Add(1) == 8 {
				close(all)
			}
			<-all
		}), 8, 8)
	}
}
