package workers

import (
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"

	"golang.org/x/sys/cpu"
)

// Task is the body of a loop.
type Task interface {
	// Do runs one chunk. worker is below the pool's Threads and no two
	// goroutines that take part in one Run have the same, so that it can index
	// scratch memory. It must not wait for another chunk. What happens when it
	// panics is said at Run.
	Do(worker, chunk int)
}

// maxShares bounds the shares of a pool, and so the memory nodes that it tells apart. A
// Run writes to a cache line for each.
const maxShares = 16

// Job is the state of one Run. It may be used for one Run after another on one
// Pool, by one goroutine at a time; NewJob makes one.
//
// A worker may look at a Job long after the Run that it came for. Everything
// that it may change is therefore a number of the Run (upper half) and a count
// (lower half) in one word, changed by compare-and-swap: a worker that comes
// too late cannot touch the next Run. The plain fields it reads only after it
// has claimed a chunk, which keeps the Run from ending.
type Job struct {
	pool     *Pool
	task     Task
	parts    []int // chunks of each part
	single   [1]int
	mine     int64            // chunks that the caller has claimed
	clean    bool             // the caller's part ended without a panic
	sample   []metrics.Sample // for Pool.crowded
	finished chan struct{}    // the worker that does the last chunk tells a caller that blocks

	_      cpu.CacheLinePad
	seats  atomic.Uint64 // workers that may still join
	failed atomic.Pointer[TaskPanic]
	_      cpu.CacheLinePad
	left   atomic.Int64 // chunks that are not done, plus blocked
	_      cpu.CacheLinePad
	claims [maxShares]claims
}

// claims is what is left of a share.
type claims struct {
	unclaimed atomic.Uint64
	total     int
	_         cpu.CacheLinePad
}

// blocked is added to Job.left by a caller that waits on Job.finished.
const blocked = 1 << 40

// anySeats says that every worker of the pool may join: no count is kept, so
// that the workers of a large pool do not queue for it.
const anySeats = 1<<32 - 1

// NewJob returns a Job for Run.
func NewJob() *Job {
	return &Job{sample: newSample(), finished: make(chan struct{}, 1)}
}

func epochOf(word uint64) uint32 { return uint32(word >> 32) }
func countOf(word uint64) uint32 { return uint32(word) }

// open makes the job ready to be claimed from and returns the number of the
// Run.
func (j *Job) open(t Task, parts []int, chunks int, seats uint32) (epoch uint32) {
	p := j.pool
	j.task, j.parts, j.mine, j.clean = t, parts, 0, false
	j.failed.Store(nil)
	j.left.Store(int64(chunks))
	epoch = epochOf(j.seats.Load()) + 1
	// The seats come last: who has one finds all the shares.
	before := 0
	for i := range p.shares {
		c, until := &j.claims[i], p.chunksBefore(i+1, parts)
		c.total, before = until-before, until
		c.unclaimed.Store(uint64(epoch)<<32 | uint64(c.total))
	}
	j.seats.Store(uint64(epoch)<<32 | uint64(seats))
	return epoch
}

// join takes a seat in the job's present Run, if it has one and chunks too.
func (j *Job) join() (epoch uint32, ok bool) {
	for {
		s := j.seats.Load()
		if countOf(s) == 0 || !j.hasChunks() {
			return 0, false
		}
		if countOf(s) == anySeats || j.seats.CompareAndSwap(s, s-1) {
			return epochOf(s), true
		}
	}
}

func (j *Job) hasChunks() bool {
	for i := range j.pool.shares {
		if countOf(j.claims[i].unclaimed.Load()) > 0 {
			return true
		}
	}
	return false
}

// take claims chunks of one Run and does them until nobody has any left, those
// of the own share first. It counts what it claimed.
func (j *Job) take(worker, own int, epoch uint32, claimed *int64) {
	p := j.pool
	for _, i := range p.shares[own].order {
		c := &j.claims[i]
		for {
			u := c.unclaimed.Load()
			if epochOf(u) != epoch {
				return
			}
			if countOf(u) == 0 {
				break
			}
			if c.unclaimed.CompareAndSwap(u, u-1) {
				*claimed++
				j.task.Do(worker, p.chunkOf(i, c.total-int(countOf(u)), j.parts))
			}
		}
	}
}

// help is a worker's part in a Run that it has joined.
func (j *Job) help(w *worker, epoch uint32) {
	var claimed int64
	returned := false
	defer func() {
		if !returned {
			j.failed.CompareAndSwap(nil, newTaskPanic(recover(), debug.Stack()))
			claimed += j.abandon()
		}
		if claimed > 0 && j.left.Add(-claimed) == blocked {
			j.finished <- struct{}{}
			w.handed = true
		}
	}()
	j.take(w.number, w.own, epoch, &claimed)
	returned = true
}

// abandon claims every chunk that is left, to drop it, and returns how many.
// Only who has claimed a chunk of the present Run may call it.
func (j *Job) abandon() (dropped int64) {
	for i := range j.pool.shares {
		c := &j.claims[i]
		for {
			u := c.unclaimed.Load()
			if c.unclaimed.CompareAndSwap(u, u-uint64(countOf(u))) {
				dropped += int64(countOf(u))
				break
			}
		}
	}
	return dropped
}
