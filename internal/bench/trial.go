package bench

import (
	"math"

	"github.com/bitlane/bitlane/internal/peak"
)

// tolerance is how far a probe may be from the best of its trial, and a unit
// from ports × clock, for a sample to count.
const tolerance = 0.03

// A probing is one run of the probe on all threads at once, in seconds of the
// slowest.
type probing struct {
	busy  float64 // the loop that keeps all ports of a core busy
	chain float64 // a fixed number of cycles
}

// A sample is one timed piece of work.
type sample struct {
	amount, seconds float64
	waited          float64 // seconds, of all threads, in which other programs had their CPUs; 0 where nobody looked
}

func (s sample) speed() float64 { return s.amount / s.seconds }

// A round is one sample of each work, with probes before, between and after:
// one more than samples.
type round struct {
	probes  []probing
	samples []sample
}

// A work is one of the things that take turns in a trial. Its amounts are
// Applies, bytes, or instructions.
type work struct {
	name    string
	do      func() (sample, error)
	rate    peak.Rate // what a unit must do in a cycle on each thread; empty: no unit
	threads int       // of rate
}

// A trial is what was measured of works that took turns.
type trial struct {
	works  []work
	rounds []round
	cycles float64 // of the chain in a probing
	least  float64 // cycles of the busy loop at its best before this trial; 0: not known
}

// An outcome is a trial without the samples that do not count.
type outcome struct {
	works []workOutcome
	pairs [][]float64 // for each work: how many times faster work 0 was, in each round where both count
	clock float64     // Hz, the median of quiet probings
	busy  float64     // cycles of the busy loop at its best in this trial
}

// A workOutcome is what became of one work's samples.
type workOutcome struct {
	seconds   []float64 // for an amount of 1, of the samples that count
	perCycle  []float64 // of a unit: instructions per cycle and thread, of all samples between quiet probes
	disturbed int       // samples beside a probe that was slow, or that had to wait
	offPeak   int       // samples of a unit that were not ports × clock
}

func (w *workOutcome) total() int { return len(w.seconds) + w.disturbed + w.offPeak }

// reduce drops what does not count and pairs the rest.
func (t *trial) reduce() outcome {
	best, busy := t.best()
	out := outcome{works: make([]workOutcome, len(t.works)), pairs: make([][]float64, len(t.works))}
	var clocks []float64
	out.busy = busy
	for _, r := range t.rounds {
		counts := make([]bool, len(r.samples))
		for _, p := range r.probes {
			if p.quiet(best) {
				clocks = append(clocks, t.cycles/p.chain)
			}
		}
		for i, s := range r.samples {
			w := &out.works[i]
			before, after := r.probes[i], r.probes[i+1]
			if !before.quiet(best) || !after.quiet(best) || s.waited > tolerance*s.seconds {
				w.disturbed++
				continue
			}
			if t.works[i].rate.PerCycle != nil {
				perCycle := s.speed() * (before.chain + after.chain) / 2 / t.cycles / float64(t.works[i].threads)
				w.perCycle = append(w.perCycle, perCycle)
				if _, within := t.works[i].rate.Closest(perCycle, tolerance); !within {
					w.offPeak++
					continue
				}
			}
			w.seconds = append(w.seconds, s.seconds/s.amount)
			counts[i] = true
		}
		for i := range r.samples {
			if counts[0] && counts[i] {
				out.pairs[i] = append(out.pairs[i], r.samples[0].speed()/r.samples[i].speed())
			}
		}
	}
	out.clock = median(clocks)
	return out
}

// best returns the least of both times of all probings, and the cycles of the
// busy loop at its best in this trial. Where earlier trials had it in fewer
// cycles, the best is what these would take at the clock of this one: a
// neighbour that is there all the time makes no best.
func (t *trial) best() (best probing, busy float64) {
	best = probing{math.Inf(1), math.Inf(1)}
	for _, r := range t.rounds {
		for _, p := range r.probes {
			best.busy, best.chain = min(best.busy, p.busy), min(best.chain, p.chain)
		}
	}
	busy = best.busy / best.chain * t.cycles
	if t.least > 0 && t.least < busy {
		best.busy *= t.least / busy
	}
	return best, busy
}

// quiet reports whether nothing disturbed the cores during p.
func (p probing) quiet(best probing) bool {
	return p.busy <= best.busy*(1+tolerance) && p.chain <= best.chain*(1+tolerance)
}
