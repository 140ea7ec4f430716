package workers

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// worker is one goroutine of a pool.
type worker struct {
	number int // as Task.Do gets it
	place
	own    int              // share
	wake   chan struct{}    // of capacity 1; holds something only for a worker that was on the bench
	sample []metrics.Sample // for Pool.crowded
	idle   time.Duration    // since when the worker has had no chunk to do
	slot   int              // where it last found a job
	woken  bool             // it was parked and has found no job since
	handed bool             // it has just told a caller that its Run is done
}

// pausesPerLook is how often a spinning goroutine pauses from one look at the
// clock to the next: 1 to 3 µs.
const pausesPerLook = 64

func (p *Pool) start(w *worker, started chan<- error) {
	if w.cpus != nil {
		runtime.LockOSThread() // never unlocked: the bound thread ends with the goroutine
		if err := p.host.bind(w.cpus); err != nil {
			started <- err
			p.running.Done()
			return
		}
	}
	started <- nil
	p.serve(w)
}

// serve is the life of a worker: it helps whoever has a Run with chunks and a
// seat left, and rests when nobody has.
func (p *Pool) serve(w *worker) {
	ended := false
	defer func() {
		if !ended { // a Task has ended the goroutine: another one takes its place
			go p.start(w, make(chan error, 1))
			return
		}
		p.running.Done()
	}()
	w.idle = p.now()
	for {
		notice := p.board.notice.Load() // before quit, or Close might be missed
		if p.quit.Load() {
			break
		}
		if runs(notice) > 0 && p.helpSomeone(w) {
			w.idle = p.now()
			continue
		}
		p.rest(w, posts(notice))
	}
	ended = true
}

// helpSomeone takes part in one Run, if any wants help.
func (p *Pool) helpSomeone(w *worker) bool {
	for i := range slots {
		at := (w.slot + i) % slots
		j := p.board.slots[at].job.Load()
		if j == nil {
			continue
		}
		epoch, ok := j.join()
		if !ok {
			continue
		}
		w.slot = at + 1 // the next time others come first
		if w.woken {
			w.woken = false
			p.rouse(2)
		}
		j.help(w, epoch)
		if w.handed && w.cpus == nil {
			runtime.Gosched() // the caller is the next to run on this processor
		}
		w.handed = false
		return true
	}
	return false
}

// rest returns when there may be something to do: more Runs posted than seen.
func (p *Pool) rest(w *worker, seen uint32) {
	if p.watch(w, seen) {
		return
	}
	p.mu.Lock()
	p.bench = append(p.bench, w)
	p.mu.Unlock()
	// A Run that was posted before the worker was on the bench has not woken
	// it.
	if posts(p.board.notice.Load()) == seen || !p.leaveBench(w) {
		<-w.wake
	}
	w.woken = true
	w.idle = p.now()
}

// watch spins. It returns true when there may be something to do, and false
// when the worker must park, for which it is then counted.
func (p *Pool) watch(w *worker, seen uint32) bool {
	if p.surplus() {
		return false
	}
	for i := 1; p.spin > 0; i++ {
		pause()
		if posts(p.board.notice.Load()) != seen {
			return true
		}
		if i%pausesPerLook != 0 {
			continue
		}
		now := p.now()
		if now-w.idle >= p.spin || p.crowded(now, w.sample) && !p.giveWay(w) {
			break
		}
		if p.surplus() {
			return false
		}
	}
	p.parked.Add(1)
	return false
}

// surplus reports whether the worker must park because those that are awake
// leave no processor for a caller. It counts the worker as parked then, so that
// no more of them park than must.
func (p *Pool) surplus() bool {
	for {
		n := p.parked.Load()
		if p.threads-1-int(n) < int(p.procs.Load()) {
			return false
		}
		if p.parked.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// giveWay lets another goroutine run and reports whether the worker may spin
// on. A thread that is bound gives way only by parking: it would have to wake
// another one to run the other goroutine either way.
func (p *Pool) giveWay(w *worker) bool {
	if w.cpus != nil {
		return false
	}
	runtime.Gosched()
	return p.host.waiting(w.sample, runtime.GOMAXPROCS(0)) <= 0
}

// leaveBench reports false when someone has taken the worker from the bench,
// and so wakes it.
func (p *Pool) leaveBench(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, b := range p.bench {
		if b == w {
			p.bench = append(p.bench[:i], p.bench[i+1:]...)
			p.parked.Add(-1)
			return true
		}
	}
	return false
}

// rouse wakes up to n workers, as far as Runs want them and processors are
// free. It does not wait for a goroutine that is at the bench: a worker that
// goes there looks at the board again.
func (p *Pool) rouse(n int) {
	for range n {
		if !p.short() || !p.mu.TryLock() {
			return
		}
		w := p.pop()
		p.mu.Unlock()
		if w == nil {
			return // on its way to the bench
		}
		w.wake <- struct{}{}
	}
}

// short reports whether more workers would be of use.
func (p *Pool) short() bool {
	parked := int(p.parked.Load())
	if parked == 0 {
		return false
	}
	notice, awake := p.board.notice.Load(), p.threads-1-parked
	return awake < wanted(notice) && awake < p.processors()-runs(notice)
}

// pop takes a worker from the bench; nil: none is there. p.mu is held.
func (p *Pool) pop() *worker {
	n := len(p.bench)
	if n == 0 {
		return nil
	}
	w := p.bench[n-1]
	p.bench = p.bench[:n-1]
	p.parked.Add(-1)
	return w
}
