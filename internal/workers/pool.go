package workers

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Task is the body of a loop.
type Task interface {
	// Do runs one chunk. worker is below the pool's Threads and no two
	// goroutines that take part in one Run have the same, so that it can index
	// scratch memory.
	Do(worker, chunk int)
}

// Options say how many goroutines work and where.
type Options struct {
	Threads int   // the caller of Run among them; 0: GOMAXPROCS, and at most len(CPUs) when those are given
	CPUs    []int // logical CPUs that the workers are bound to; nil: any. The callers of Run stay where they are
}

// Pool is a set of workers. It is safe for use by several goroutines.
type Pool struct {
	threads int
	calls   chan invitation
	quit    chan struct{}
	close   sync.Once
	running sync.WaitGroup
}

// invitation asks a worker to take part in a Run; it is stale, and ignored,
// once that Run has no chunks left.
type invitation struct {
	job   *Job
	epoch uint32
}

// New starts the workers: Threads−1 of them.
func New(o Options) (*Pool, error) {
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
		if o.CPUs != nil {
			threads = min(threads, len(o.CPUs))
		}
	}
	threads = max(threads, 1)
	p := &Pool{threads: threads, calls: make(chan invitation, threads), quit: make(chan struct{})}
	started := make(chan error, threads)
	for w := 1; w < threads; w++ {
		p.running.Add(1)
		go p.work(w, o.CPUs, started)
	}
	var failed error
	for w := 1; w < threads; w++ {
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

// Close ends the workers and waits for them. A Run after it still completes,
// on its caller alone. It is idempotent.
func (p *Pool) Close() {
	p.close.Do(func() { close(p.quit) })
	p.running.Wait()
}

func (p *Pool) work(worker int, cpus []int, started chan<- error) {
	defer p.running.Done()
	if cpus != nil {
		runtime.LockOSThread() // never unlocked: the bound thread ends with the goroutine
		if err := bind(cpus); err != nil {
			started <- err
			return
		}
	}
	started <- nil
	for {
		select {
		case c := <-p.calls:
			c.job.help(worker, c.epoch)
		case <-p.quit:
			return
		}
	}
}

// Job is the state of one Run. It may be used for one Run after another, by
// one goroutine at a time; NewJob makes one.
type Job struct {
	// state is the number of the Run (upper half) and the chunks that nobody
	// has claimed yet (lower half). A claim is a compare-and-swap of both, so
	// that a worker that comes too late cannot touch the next Run.
	state  atomic.Uint64
	left   atomic.Int64 // chunks that are not done
	task   Task
	chunks int
	done   chan struct{} // the worker that finishes the last chunk tells the caller
}

// NewJob returns a Job for Run.
func NewJob() *Job { return &Job{done: make(chan struct{}, 1)} }

// Run calls t.Do for every chunk in [0, chunks), chunks < 2^31, on at most
// width goroutines, the caller among them, and returns when all are done. What
// the chunks wrote is then visible to the caller.
func (p *Pool) Run(j *Job, t Task, chunks, width int) {
	width = min(width, p.threads, chunks)
	if width <= 1 {
		for i := range chunks {
			t.Do(0, i)
		}
		return
	}
	epoch := uint32(j.state.Load()>>32) + 1
	j.task, j.chunks = t, chunks
	j.left.Store(int64(chunks))
	j.state.Store(uint64(epoch)<<32 | uint64(chunks))
invite:
	for range width - 1 {
		select {
		case p.calls <- invitation{j, epoch}:
		default:
			break invite // every worker has calls waiting already
		}
	}
	if done := j.claimAll(0, epoch); done == 0 || j.left.Add(-done) > 0 {
		<-j.done
	}
	j.task = nil
}

// help is a worker's part in a Run.
func (j *Job) help(worker int, epoch uint32) {
	if done := j.claimAll(worker, epoch); done > 0 && j.left.Add(-done) == 0 {
		j.done <- struct{}{}
	}
}

func (j *Job) claimAll(worker int, epoch uint32) (done int64) {
	for {
		s := j.state.Load()
		if uint32(s>>32) != epoch || uint32(s) == 0 {
			return done
		}
		if j.state.CompareAndSwap(s, s-1) {
			j.task.Do(worker, j.chunks-int(uint32(s)))
			done++
		}
	}
}
