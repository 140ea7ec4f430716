package workers

import "time"

// joinSpin is how long a caller spins for the chunks that workers still do. To
// block and be woken costs about as much.
const joinSpin = 50 * time.Microsecond

// Run calls t.Do for every chunk in [0, chunks), chunks < 2^31, on at most
// width goroutines, the caller among them, and returns when all are done. What
// the chunks wrote is then visible to the caller. With width ≤ 1 the caller
// does them all, in order.
//
// When Do panics on the caller, or ends it with runtime.Goexit, chunks that
// nobody has begun are dropped, those begun elsewhere are waited for, and the
// panic goes on. When it panics on a worker the same happens and Run panics
// with a *TaskPanic. The pool and the job can be used again either way.
//
// A Task may call Run of the same Pool, with another Job.
func (p *Pool) Run(j *Job, t Task, chunks, width int) {
	width = min(width, p.threads, chunks)
	if width <= 1 {
		for i := range chunks {
			t.Do(0, i)
		}
		return
	}
	j.single[0] = chunks
	p.fork(j, t, j.single[:], chunks, width)
}

// RunParts is Run for chunks that come in parts, one after another: part i has
// parts[i] of them. Each part is cut into shares, see the package, and Run takes
// all chunks as one part. So what chunk i of a part touches is touched on the
// same node in every Run in which the part has as many chunks, unless threads
// are late, and except at the ends of shares also if it has more or fewer. parts
// must not change meanwhile.
func (p *Pool) RunParts(j *Job, t Task, parts []int, width int) {
	chunks := 0
	for _, n := range parts {
		chunks += n
	}
	width = min(width, p.threads, chunks)
	if width <= 1 {
		for i := range chunks {
			t.Do(0, i)
		}
		return
	}
	p.fork(j, t, parts, chunks, width)
}

func (p *Pool) fork(j *Job, t Task, parts []int, chunks, width int) {
	if j.pool == nil {
		j.pool = p
	}
	if j.pool != p {
		// A worker of the other pool may still look at the job.
		panic("workers: a Job of one Pool used with another")
	}
	own := 0
	if p.nodes > 1 {
		own = p.callerShare()
	}
	seats := width - 1
	open := uint32(seats)
	if width == p.threads {
		open = anySeats
	}
	epoch := j.open(t, parts, chunks, open)
	slot := p.board.post(j, seats)
	defer p.finish(j, slot, seats)
	if p.parked.Load() > 0 {
		p.rouse(1)
	}
	j.take(0, own, epoch, &j.mine)
	j.clean = true
}

// finish ends the caller's part in a Run and waits for the others'.
func (p *Pool) finish(j *Job, slot, seats int) {
	if !j.clean {
		j.mine += j.abandon()
	}
	if slot >= 0 {
		p.board.remove(slot, seats)
	}
	if j.left.Add(-j.mine) > 0 {
		p.await(j)
	}
	j.task, j.parts = nil, nil
	if failed := j.failed.Load(); failed != nil && j.clean {
		panic(failed)
	}
}

// await returns when every chunk is done: spinning for a while, in case that is
// soon, then blocked.
func (p *Pool) await(j *Job) {
	if p.join > 0 && p.procs.Load() > 1 {
		var until time.Duration
		for i := 1; ; i++ {
			pause()
			if j.left.Load() == 0 {
				return
			}
			if i%pausesPerLook != 0 {
				continue
			}
			now := p.now()
			if until == 0 {
				until = now + p.join
			}
			if now >= until || p.crowded(now, j.sample) {
				break
			}
		}
	}
	if j.left.Add(blocked) > blocked {
		<-j.finished
	}
}

// callerShare is what the caller begins with: the first share of the node that it runs on
// at this moment, or of the first node where that is not known.
func (p *Pool) callerShare() int {
	node := uint8(0)
	if cpu := p.host.thisCPU(); cpu < len(p.nodeOf) {
		node = p.nodeOf[cpu]
	}
	return p.callers[node]
}
