package bench

import (
	"fmt"
	"math"
	"time"

	"github.com/bitlane/bitlane/internal/hugepage"
	"github.com/bitlane/bitlane/internal/peak"
)

// warmTurns is enough of the probe to go through its memory several times.
const warmTurns = 1024

// How long pieces of work are meant to take, in seconds.
const (
	sampleTime = 90e-6 // at most 100 µs
	widenTime  = 20e-6 // a core that changes its clock for wide products halts for some 10 µs
	busyTime   = 15e-6
	chainTime  = 7e-6
)

// A machine is some cores, with what their limits are measured with.
type machine struct {
	gang  *gang
	meter *meter
	*arenas
	core   peak.Core
	units  []peak.Unit
	probes [2]probes      // narrow and wide
	each   []probing      // of each thread, in the run that goes on
	length map[string]int // instructions of a unit, or bytes of memory, in a sample of one thread
	read   reached        // by reading
}

// probes are those of all threads, and how long they run.
type probes struct {
	of          []*peak.Probe
	ahead       int // instructions before what is timed
	busy, chain int // instructions and cycles of what is timed
}

// arenas is memory to read, larger than what any cache keeps of it.
type arenas struct {
	huge, small []byte
	hugePages   bool // huge is in huge pages, as far as the system gives them
	free        []func() error
}

// newArenas returns memory of so many bytes each, written to: memory that was
// never written is one page of zeros for all.
func newArenas(bytes int) (*arenas, error) {
	a := &arenas{}
	block, err := hugepage.Alloc(bytes)
	if err != nil {
		return nil, fmt.Errorf("memory to read: %w", err)
	}
	a.huge, a.free = block.Bytes(), append(a.free, block.Close)
	a.hugePages = hugepage.Available().Kind != hugepage.Normal
	small, free, err := smallPages(bytes)
	if err != nil {
		a.close()
		return nil, fmt.Errorf("memory to read: %w", err)
	}
	a.small, a.free = small, append(a.free, free)
	for _, m := range [][]byte{a.huge, a.small} {
		for i := 0; i < len(m); i += 512 {
			m[i] = 1
		}
	}
	return a, nil
}

func (a *arenas) close() {
	for _, f := range a.free {
		_ = f() // the memory of a program that measures and ends
	}
	a.free, a.huge, a.small = nil, nil, nil
}

// newMachine makes a gang of the calling goroutine and threads on the CPUs
// after the first.
func newMachine(cpus []int, mem *arenas) (m *machine, bound bool) {
	m = &machine{arenas: mem, core: peak.ThisCore(), units: peak.Units(), length: map[string]int{}}
	m.gang, bound = newGang(cpus)
	for wide := range m.probes {
		p := &m.probes[wide]
		for range cpus {
			p.of = append(p.of, peak.NewProbe(wide > 0))
		}
		p.busy = fit(busyTime, p.of[0].Loop)
		p.chain = p.of[0].Cycles(fit(chainTime, p.of[0].Cycles))
		p.ahead = warmTurns
		if wide > 0 {
			p.ahead = max(p.ahead, int(float64(p.busy)*widenTime/busyTime))
		}
	}
	m.each = make([]probing, len(cpus))
	start := time.Now()
	m.meter = &meter{probe: m.runProbe, now: func() time.Duration { return time.Since(start) }}
	for wide := range m.probes {
		m.meter.clocks[wide].cycles = float64(m.probes[wide].chain)
	}
	return m, bound
}

// fit returns how much of a work takes so many seconds, by its best of several
// tries: do(n) does at least n and says how much.
func fit(seconds float64, do func(n int) int) int {
	best := math.Inf(1)
	for n, i := 256, 0; i < 40; i++ {
		did := 0
		t := stopwatch(func() { did = do(n) })
		if t < seconds/4 && n < 1<<28 {
			n *= 2
			continue
		}
		best = min(best, t/float64(did))
	}
	return max(1, int(seconds/best))
}

// runProbe runs the probe on all threads.
func (m *machine) runProbe(wide int) probing {
	p := &m.probes[wide]
	m.gang.run(func(thread int) {
		probe, took := p.of[thread], &m.each[thread]
		probe.Loop(p.ahead) // its memory may have left the first cache
		took.busy = stopwatch(func() { probe.Loop(p.busy) })
		took.chain = stopwatch(func() { probe.Cycles(p.chain) })
	})
	slowest := m.each[0]
	for _, p := range m.each[1:] {
		slowest.busy, slowest.chain = max(slowest.busy, p.busy), max(slowest.chain, p.chain)
	}
	return slowest
}

// together runs do on all threads at once: one sample. Its speed is the sum of
// what each thread reached by itself, its time that of the slowest.
func (m *machine) together(do func(thread int) (amount int)) sample {
	speeds, times := make([]float64, m.gang.threads), make([]float64, m.gang.threads)
	m.gang.run(func(thread int) {
		amount := 0
		times[thread] = stopwatch(func() { amount = do(thread) })
		speeds[thread] = float64(amount) / times[thread]
	})
	s := sample{}
	for i := range speeds {
		s.amount += speeds[i]
		s.seconds = max(s.seconds, times[i])
	}
	s.amount *= s.seconds
	return s
}

// unitWork is the work of a unit of this processor; amounts are instructions.
func (m *machine) unitWork(u *peak.Unit) work {
	if m.length[u.Name] == 0 {
		m.length[u.Name] = fit(sampleTime, u.Loop)
	}
	n := m.length[u.Name]
	return work{name: u.Name, rate: m.core.Rate(u.Name), threads: m.gang.threads, wide: u.Wide, do: func() (sample, error) {
		return m.together(func(int) int { return u.Loop(n) }), nil
	}}
}

// The names of the limits that are not units.
const (
	readLimit      = "read"
	readSmallLimit = "read-small-pages"
)

// readWork is reading memory that no cache holds, each thread its own part of
// the arena; amounts are bytes.
func (m *machine) readWork(name string) work {
	arena := m.huge
	if name == readSmallLimit {
		arena = m.small
	}
	share := len(arena) / m.gang.threads / 4096 * 4096
	at := make([]int, m.gang.threads)
	do := func(bytes int) func(thread int) int {
		return func(thread int) int {
			if at[thread]+bytes > share {
				at[thread] = 0
			}
			part := arena[thread*share+at[thread]:][:bytes]
			at[thread] += bytes
			return peak.Read(part)
		}
	}
	if m.length[name] == 0 {
		// By how fast all threads are together: alone one is faster.
		const try = 1 << 18
		var times []float64
		for range 16 {
			times = append(times, m.together(do(min(try, share))).seconds)
		}
		m.length[name] = min(share, max(4096, int(sampleTime/median(times)*try)/4096*4096))
	}
	n := m.length[name]
	return work{name: name, do: func() (sample, error) { return m.together(do(n)), nil }}
}

func (m *machine) close() { m.gang.close() }
