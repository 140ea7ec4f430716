package workers

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/bitlane/bitlane/internal/topology"
)

// DefaultSpin is how long an idle worker spins before it parks.
const DefaultSpin = 2 * time.Millisecond

// Options say how many threads work, where, and how long they stay awake.
type Options struct {
	Threads int           // the caller of Run among them; 0: DefaultThreads, and at most len(CPUs) when those are given
	CPUs    []int         // logical CPUs that the workers are bound to, see the package; nil: any
	Spin    time.Duration // how long an idle worker spins before it parks; 0: DefaultSpin; negative: nobody spins, callers neither
}

// Pool is a set of workers. It is safe for use by several goroutines.
type Pool struct {
	threads int
	nodes   int
	shares  []share
	callers []int   // what a caller on each node begins with
	nodeOf  []uint8 // node of each logical CPU; nil with one node
	cpus    int     // logical CPUs that may be busy for the pool
	spin    time.Duration
	join    time.Duration // how long a caller spins for the chunks of others
	born    time.Time
	host    host

	close   sync.Once
	running sync.WaitGroup

	_     cpu.CacheLinePad
	board board
	_     cpu.CacheLinePad
	crowd crowd
	_     cpu.CacheLinePad

	// Read often, written seldom.
	procs  atomic.Int32 // processors of the Go scheduler, at most cpus
	parked atomic.Int32 // workers on the bench or on their way there
	quit   atomic.Bool
	_      cpu.CacheLinePad

	mu    sync.Mutex
	bench []*worker // those that are parked, the last one to be woken first
}

// DefaultThreads is the least of GOMAXPROCS, the logical CPUs that the process
// may use and its quota of processor time, rounded up.
func DefaultThreads() int { return topology.Here().Threads(runtime.GOMAXPROCS(0)) }

// New starts the workers: Threads−1 of them. The error says that the process may not use
// one of Options.CPUs, or that a worker could not be bound; no worker is left then.
func New(o Options) (*Pool, error) { return newPool(o, hostOf(topology.Here())) }

// host is what a pool runs on.
type host struct {
	topology.Machine
	bind    func(cpus []int) error
	thisCPU func() int
	waiting func(s []metrics.Sample, procs int) int64 // goroutinesWaiting
}

func hostOf(m topology.Machine) host {
	return host{Machine: m, bind: bind, thisCPU: thisCPU, waiting: goroutinesWaiting}
}

func newPool(o Options, h host) (*Pool, error) {
	given := distinct(o.CPUs)
	for _, c := range given {
		if len(h.CPUs) > 0 && !slices.Contains(h.CPUs, c) {
			return nil, fmt.Errorf("there is no logical CPU %d for the process, want some of %v", c, h.CPUs)
		}
	}
	threads := o.Threads
	if threads <= 0 {
		threads = h.Threads(runtime.GOMAXPROCS(0))
		if given != nil {
			threads = min(threads, len(given))
		}
	}
	threads = max(threads, 1)
	places, nodes := placesOf(threads, given, h.Machine)
	shares, own := sharesOf(places, nodes)
	p := &Pool{
		threads: threads, nodes: nodes, shares: shares, callers: callersOf(shares, nodes),
		cpus: len(distinct(append(given, h.CPUs...))),
		spin: o.Spin, join: joinSpin, born: time.Now(), host: h,
		bench: make([]*worker, 0, threads),
	}
	if p.spin == 0 {
		p.spin = DefaultSpin
	}
	if p.spin < 0 {
		p.join = 0
	}
	p.processors()
	if nodes > 1 {
		p.nodeOf = nodesOf(places, h.Machine)
	}
	started := make(chan error, threads)
	for number := 1; number < threads; number++ {
		w := &worker{number: number, place: places[number], own: own[number], wake: make(chan struct{}, 1), sample: newSample()}
		p.running.Add(1)
		go p.start(w, started)
	}
	var failed error
	for range threads - 1 {
		if err := <-started; err != nil {
			failed = err
		}
	}
	if failed != nil {
		p.Close()
		return nil, failed
	}
	return p, nil
}

// Threads returns the largest number of goroutines that take part in a Run.
func (p *Pool) Threads() int { return p.threads }

// Nodes returns the number of memory nodes that the pool tells apart.
func (p *Pool) Nodes() int { return p.nodes }

// Close ends the workers and waits for them, and so for the chunks that they
// are doing. A Run during or after it still completes. It is idempotent; a Task
// must not call it.
func (p *Pool) Close() {
	p.close.Do(func() {
		p.quit.Store(true)
		p.board.stir()
		p.mu.Lock()
		defer p.mu.Unlock()
		for w := p.pop(); w != nil; w = p.pop() {
			w.wake <- struct{}{}
		}
	})
	p.running.Wait()
}

// processors is how many goroutines can run at once at this moment.
func (p *Pool) processors() int {
	n := min(runtime.GOMAXPROCS(0), p.cpus)
	if int(p.procs.Load()) != n {
		p.procs.Store(int32(n))
	}
	return n
}

// now is the time since the pool began.
func (p *Pool) now() time.Duration { return time.Since(p.born) }

// distinct returns cpus without repetitions, in the same order; nil for nil.
func distinct(cpus []int) []int {
	if cpus == nil {
		return nil
	}
	seen := make(map[int]bool, len(cpus))
	out := make([]int, 0, len(cpus))
	for _, c := range cpus {
		if !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}
