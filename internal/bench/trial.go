package bench

import (
	"math"
	"slices"

	"github.com/bitlane/bitlane/internal/peak"
)

// tolerance is how far the cycles that a probe takes may be from the best of its
// trial, and a unit from ports × clock, for a sample to count.
const tolerance = 0.03

// A standing is what a trial asks of the clock.
type standing struct {
	drift   float64 // how far the clocks before and after a sample may be from each other
	pair    float64 // and those of two samples that are compared in seconds
	slowest float64 // how many times longer a cycle may take than in the trial's fastest probe
}

// Cores have one clock for most instructions, which a sample must have. For those of
// 512 bits many choose another, by how hot they and their neighbours are, in steps of
// 100 MHz.
var standings = [2]standing{{tolerance, 2 * tolerance, 1 + tolerance}, {0.15, 0.05, 1.3}} // by wide

// The best of a trial is the least number of cycles that so many of its probes share,
// within the tolerance, and of these the middle: fewer are those whose chain was
// interrupted, which makes cycles seem few, and the first of what is shared can be as
// far from what a quiet core takes as the tolerance allows.
const (
	bestLeast = 3
	bestPart  = 0.1
)

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
	wide    bool      // it has instructions of 512 bits
}

// A trial is what was measured of works that took turns.
type trial struct {
	works  []work
	rounds []round
	wide   int     // its place in standings
	cycles float64 // of the chain in a probing
	least  float64 // cycles of the busy loop at its best before this trial; 0: not known
}

// An outcome is a trial without the samples that do not count.
type outcome struct {
	works []workOutcome
	pairs [][]float64 // for each work: how many times faster work 0 was, in each round where both count and had one clock; of a unit, in cycles
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
	out := outcome{works: make([]workOutcome, len(t.works)), pairs: make([][]float64, len(t.works)), busy: t.busy()}
	clock := standings[t.wide]
	best := standard{cycles: out.busy, chain: math.Inf(1), slowest: clock.slowest}
	if t.least > 0 {
		best.cycles = min(best.cycles, t.least)
	}
	for _, r := range t.rounds {
		for _, p := range r.probes {
			best.chain = min(best.chain, p.chain)
		}
	}
	var clocks []float64
	for _, r := range t.rounds {
		counts := make([]bool, len(r.samples))
		for _, p := range r.probes {
			if best.quiet(p, t.cycles) {
				clocks = append(clocks, t.cycles/p.chain)
			}
		}
		for i, s := range r.samples {
			w := &out.works[i]
			before, after := r.probes[i], r.probes[i+1]
			if !best.quiet(before, t.cycles) || !best.quiet(after, t.cycles) || !oneClock(clock.drift, before, after) || s.waited > tolerance*s.seconds {
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
			if !counts[0] || !counts[i] {
				continue
			}
			pair := r.samples[0].speed() / r.samples[i].speed()
			mine, other := middle(r.probes[0], r.probes[1]), middle(r.probes[i], r.probes[i+1])
			switch {
			case t.works[i].rate.PerCycle != nil:
				pair *= mine.chain / other.chain
			case !oneClock(clock.pair, mine, other):
				continue
			}
			out.pairs[i] = append(out.pairs[i], pair)
		}
	}
	out.clock = median(clocks)
	return out
}

// busy returns the cycles of the busy loop at its best in this trial.
func (t *trial) busy() float64 {
	var cycles []float64
	for _, r := range t.rounds {
		for _, p := range r.probes {
			cycles = append(cycles, p.cycles(t.cycles))
		}
	}
	if len(cycles) == 0 {
		return math.NaN()
	}
	slices.Sort(cycles)
	share := min(len(cycles), max(bestLeast, int(bestPart*float64(len(cycles)))))
	for i, c := range cycles[:len(cycles)-share+1] {
		if cycles[i+share-1] <= c*(1+tolerance) {
			return cycles[i+share/2]
		}
	}
	return cycles[len(cycles)/2]
}

// steady reports whether most probings took about as many cycles: those of a trial
// in which clocks changed all the time are no standard for others.
func (t *trial) steady(busy float64) bool {
	near, all := 0, 0
	for _, r := range t.rounds {
		for _, p := range r.probes {
			if all++; math.Abs(p.cycles(t.cycles)-busy) <= tolerance*busy {
				near++
			}
		}
	}
	return 2*near > all
}

// cycles is what the busy loop took, beside a chain of so many.
func (p probing) cycles(chain float64) float64 { return p.busy / p.chain * chain }

// standard is what probings are held to: the cycles of the busy loop at its best
// in this trial or an earlier one, as a neighbour that is there all the time
// makes no best; and the seconds of the trial's fastest chain.
type standard struct{ cycles, chain, slowest float64 }

// quiet reports whether nothing disturbed the cores during p, beside a chain of
// so many cycles. Their clock is theirs to choose: many lower it for hot work,
// and by how hot the rest of the chip is.
func (s standard) quiet(p probing, chain float64) bool {
	cycles := p.cycles(chain)
	return cycles <= s.cycles*(1+tolerance) && cycles >= s.cycles*(1-tolerance) && p.chain <= s.chain*s.slowest
}

// oneClock reports whether both probings had the same clock but for some drift.
func oneClock(drift float64, p, q probing) bool {
	return max(p.chain, q.chain) <= min(p.chain, q.chain)*(1+drift)
}

// middle is between two probings.
func middle(p, q probing) probing { return probing{(p.busy + q.busy) / 2, (p.chain + q.chain) / 2} }
