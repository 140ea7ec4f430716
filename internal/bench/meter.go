package bench

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

// A meter runs trials.
type meter struct {
	probe  func() probing
	cycles float64 // of the chain in a probing
	least  float64 // cycles of the busy loop at its best so far; 0: no trial was
	now    func() time.Duration
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
func (m *meter) run(ctx context.Context, works []work, budget time.Duration) (*trial, error) {
	t := &trial{works: works, cycles: m.cycles, least: m.least}
	for _, w := range works {
		if _, err := w.do(); err != nil {
			return nil, err
		}
	}
	// A collection in a sample is nobody's speed.
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	start := m.now()
	for len(t.rounds) < mostRounds {
		r := round{probes: make([]probing, 0, len(works)+1), samples: make([]sample, 0, len(works))}
		r.probes = append(r.probes, m.probe())
		for _, w := range works {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			s, err := w.do()
			if err != nil {
				return nil, err
			}
			r.samples = append(r.samples, s)
			r.probes = append(r.probes, m.probe())
		}
		t.rounds = append(t.rounds, r)
		if spent := m.now() - start; len(t.rounds) >= leastRounds && spent >= budget {
			if spent >= patience*budget || t.enough() {
				break
			}
		}
	}
	if _, busy := t.best(); m.least == 0 || busy < m.least {
		m.least = busy
	}
	return t, nil
}

// enough reports whether every work has enough samples that count.
func (t *trial) enough() bool {
	o := t.reduce()
	for i := range o.works {
		if len(o.pairs[i]) < wantedPairs {
			return false
		}
	}
	return true
}
