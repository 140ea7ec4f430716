package bench

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

// A meter runs trials.
type meter struct {
	probe  func(wide int) probing // wide: 1 for the clock of instructions of 512 bits, else 0
	clocks [2]struct {            // by wide
		cycles float64 // of the chain in a probing
		least  float64 // cycles of the busy loop at its best so far; 0: no trial was
	}
	now func() time.Duration
}

// The rounds of a trial: enough for a median, whatever the time allowed, and
// up to patience times the time allowed while few of them count.
const (
	leastRounds = 3
	wantedPairs = 11
	patience    = 8
	mostRounds  = 20000
)

// run lets works take turns for as long as budget says. Each work is done once
// before, uncounted. It returns the context's error soon after it ends, and any
// error of a work at once.
//
// All works of a trial are measured at one clock: where one of them is wide, at
// that of wide instructions, which probes take the cores to.
func (m *meter) run(ctx context.Context, works []work, budget time.Duration) (*trial, error) {
	wide := 0
	for _, w := range works {
		if w.wide {
			wide = 1
		}
		if _, err := w.do(); err != nil {
			return nil, err
		}
	}
	clock := &m.clocks[wide]
	t := &trial{works: works, wide: wide, cycles: clock.cycles, least: clock.least}
	// A collection in a sample is nobody's speed.
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	start, look := m.now(), 0
	for len(t.rounds) < mostRounds {
		r := round{probes: make([]probing, 0, len(works)+1), samples: make([]sample, 0, len(works))}
		r.probes = append(r.probes, m.probe(wide))
		for _, w := range works {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			s, err := w.do()
			if err != nil {
				return nil, err
			}
			r.samples = append(r.samples, s)
			r.probes = append(r.probes, m.probe(wide))
		}
		t.rounds = append(t.rounds, r)
		if spent := m.now() - start; len(t.rounds) >= leastRounds && spent >= budget {
			if spent >= patience*budget {
				break
			}
			if len(t.rounds) < look {
				continue // a round brings one pair, but where a quicker probe says that others count
			}
			missing := t.missing()
			if missing == 0 {
				break
			}
			look = len(t.rounds) + missing
		}
	}
	if busy := t.busy(); t.steady(busy) && (clock.least == 0 || busy < clock.least) {
		clock.least = busy
	}
	return t, nil
}

// missing is how many samples that count the work with the fewest lacks.
func (t *trial) missing() (most int) {
	for _, pairs := range t.reduce().pairs {
		most = max(most, wantedPairs-len(pairs))
	}
	return most
}
