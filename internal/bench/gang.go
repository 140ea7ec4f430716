package bench

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A gang is threads, each bound to one CPU, that do the same thing at once. The
// goroutine that makes a gang is its first thread: it must be locked to its
// thread, and is the only one that may use the gang. Between runs the others
// sleep, so that the threads of a device have the CPUs to themselves.
type gang struct {
	threads int
	call    func(thread int)
	arrived atomic.Int64 // threads that are there, of all runs
	runs    int64
	wake    []chan struct{}
	left    sync.WaitGroup // of this run, but for the first thread
	ended   sync.WaitGroup
}

// newGang binds the calling thread and starts one more for each CPU after the
// first. Where the system binds no threads, bound is false and they run where
// it puts them.
func newGang(cpus []int) (g *gang, bound bool) {
	g = &gang{threads: len(cpus)}
	bound = bind(cpus[0]) == nil
	all := make(chan bool)
	for i, cpu := range cpus[1:] {
		g.wake = append(g.wake, make(chan struct{}))
		g.ended.Add(1)
		go g.serve(i+1, cpu, all)
	}
	for range g.wake {
		bound = <-all && bound
	}
	return g, bound
}

func (g *gang) serve(thread, cpu int, bound chan<- bool) {
	defer g.ended.Done()
	runtime.LockOSThread() // never unlocked: the bound thread ends with the goroutine
	err := bind(cpu)
	// A thread of the device may spin on this CPU, and is to make room at once.
	goFirst()
	bound <- err == nil
	for range g.wake[thread-1] {
		g.arrive()
		g.call(thread)
		g.left.Done()
	}
}

// arrive waits until all threads of this run are there.
func (g *gang) arrive() {
	g.arrived.Add(1)
	for goal := g.runs * int64(g.threads); g.arrived.Load() < goal; { // spins: a sleeper would come late
	}
}

// run calls f on all threads at once and returns when all have.
func (g *gang) run(f func(thread int)) {
	g.runs++
	g.call = f
	g.left.Add(len(g.wake))
	for _, w := range g.wake {
		w <- struct{}{}
	}
	g.arrive()
	f(0)
	g.left.Wait()
}

func (g *gang) close() {
	for _, w := range g.wake {
		close(w)
	}
	g.ended.Wait()
}

// stopwatch returns the seconds that f takes on the calling thread.
func stopwatch(f func()) float64 {
	start := time.Now()
	f()
	return time.Since(start).Seconds()
}
