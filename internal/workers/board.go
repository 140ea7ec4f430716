package workers

import (
	"sync/atomic"

	"golang.org/x/sys/cpu"
)

// board shows the workers which Runs want help.
type board struct {
	// notice is what a spinning worker watches: the number of Runs posted so
	// far, how many are on the board, and the seats that these have.
	notice atomic.Uint64
	_      cpu.CacheLinePad
	slots  [slots]slot
}

type slot struct {
	job atomic.Pointer[Job]
	_   cpu.CacheLinePad
}

// slots is how many Runs can have help at once. A Run that finds them all taken
// stays with its caller, while the workers have plenty to do.
const slots = 32

const (
	oneRun  = 1 << 20 // in notice; below it are the seats
	onePost = 1 << 32 // above it all are posts
)

// posts is the part of notice that tells a new Run from an old one.
func posts(notice uint64) uint32 { return uint32(notice >> 32) }
func runs(notice uint64) int     { return int(notice>>20) & (1<<12 - 1) }
func wanted(notice uint64) int   { return int(notice) & (1<<20 - 1) }

// post shows a job that has some seats and returns its slot, −1 if there is
// none.
func (b *board) post(j *Job, seats int) int {
	for i := range b.slots {
		s := &b.slots[i].job
		if s.Load() == nil && s.CompareAndSwap(nil, j) {
			b.notice.Add(onePost + oneRun + uint64(seats))
			return i
		}
	}
	return -1
}

// remove takes the job of a slot away.
func (b *board) remove(slot, seats int) {
	b.slots[slot].job.Store(nil)
	b.notice.Add(-(oneRun + uint64(seats)))
}

// stir makes every worker look.
func (b *board) stir() { b.notice.Add(onePost) }
