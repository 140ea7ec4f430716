package bench

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/peak"
)

// quiet is a probing that nothing disturbed: 1 µs for 3000 cycles, 3 GHz.
var quiet = probing{busy: 2e-6, chain: 1e-6}

const quietCycles = 3000

// slowed is quiet with both times multiplied.
func slowed(busy, chain float64) probing { return probing{quiet.busy * busy, quiet.chain * chain} }

func roundOf(probes []probing, samples ...sample) round { return round{probes, samples} }

func TestReduceKeepsQuietSamples(t *testing.T) {
	tr := &trial{works: make([]work, 2), cycles: quietCycles, rounds: []round{
		roundOf([]probing{quiet, quiet, quiet}, sample{amount: 1, seconds: 100e-6}, sample{amount: 1000, seconds: 50e-6}),
		roundOf([]probing{quiet, slowed(1.029, 1), quiet}, sample{amount: 1, seconds: 120e-6}, sample{amount: 1000, seconds: 50e-6}),
		roundOf([]probing{quiet, slowed(1.031, 1), quiet}, sample{amount: 1, seconds: 900e-6}, sample{amount: 1000, seconds: 900e-6}), // a neighbour
		roundOf([]probing{slowed(1, 1.04), quiet, quiet}, sample{amount: 1, seconds: 900e-6}, sample{amount: 1000, seconds: 60e-6}),   // a pause in a chain
		roundOf([]probing{quiet, quiet, slowed(50, 50)}, sample{amount: 1, seconds: 110e-6}, sample{amount: 1000, seconds: 900e-6}),   // a pause in all
	}}
	o := tr.reduce()
	require.InDeltaSlice(t, []float64{100e-6, 120e-6, 110e-6}, o.works[0].seconds, 1e-12)
	require.Equal(t, 2, o.works[0].disturbed)
	require.InDeltaSlice(t, []float64{5e-8, 5e-8, 6e-8}, o.works[1].seconds, 1e-12)
	require.Equal(t, 2, o.works[1].disturbed)
	require.Equal(t, 5, o.works[1].total())
	// Only the first two rounds have both: speeds 1/100e-6 : 1000/50e-6, and 1/120e-6.
	require.InDeltaSlice(t, []float64{5e-4, 5e-4 / 1.2}, o.pairs[1], 1e-12)
	require.InDelta(t, 3e9, o.clock, 1e6)
	require.InDelta(t, 6000, o.busy, 1e-6)
}

// A core that lowers its clock for wide instructions is not disturbed: what it does
// is compared at about one clock, and with a unit in cycles.
func TestReduceFollowsTheClock(t *testing.T) {
	unit := work{rate: peak.Rate{PerCycle: []float64{2}, Known: true}, threads: 1}
	at := func(clock float64) sample { return sample{amount: 2 * 3e9 * clock * 50e-6, seconds: 50e-6} }
	slow := func(by float64) probing { return slowed(by, by) }
	tr := &trial{works: []work{{}, {}, unit}, wide: 1, cycles: quietCycles, rounds: []round{
		roundOf([]probing{quiet, quiet, quiet, quiet}, sample{amount: 1, seconds: 1e-3}, sample{amount: 1, seconds: 1e-4}, at(1)),
		roundOf([]probing{slow(1.04), slow(1.04), quiet, quiet}, sample{amount: 1, seconds: 1.05e-3}, sample{amount: 1, seconds: 1e-4}, at(1)),
		roundOf([]probing{slow(1.12), slow(1.12), quiet, quiet}, sample{amount: 1, seconds: 1.12e-3}, sample{amount: 1, seconds: 1e-4}, at(1)), // no pair with the second
		roundOf([]probing{slow(1.25), slow(1.25), slow(1.25), slow(1.25)}, sample{amount: 1, seconds: 1.25e-3}, sample{amount: 1, seconds: 1e-4}, at(0.8)),
		roundOf([]probing{quiet, slow(1.16), quiet, quiet}, sample{amount: 1, seconds: 2e-3}, sample{amount: 1, seconds: 2e-4}, at(1)), // two clocks in a sample
		roundOf([]probing{slow(1.31), slow(1.31), quiet, quiet}, sample{amount: 1, seconds: 2e-3}, sample{amount: 1, seconds: 1e-4}, at(1)),
	}}
	o := tr.reduce()
	require.InDeltaSlice(t, []float64{1e-3, 1.05e-3, 1.12e-3, 1.25e-3}, o.works[0].seconds, 1e-9)
	require.Equal(t, 2, o.works[0].disturbed)
	require.InDeltaSlice(t, []float64{0.1, 0.1 / 1.05, 0.08}, o.pairs[1], 1e-9)
	one := 1e3 / (2 * 3e9)
	require.InDeltaSlice(t, []float64{one, one * 1.04 / 1.05, one, one}, o.pairs[2], one*1e-9)

	// Where nothing is wide a lower clock is a disturbance.
	tr.wide = 0
	o = tr.reduce()
	require.InDeltaSlice(t, []float64{1e-3}, o.works[0].seconds, 1e-9)
	require.Equal(t, 5, o.works[0].disturbed)
}

// A neighbour that is there most of the time makes no standard, nor do a few chains
// that were interrupted.
func TestReduceFindsTheBest(t *testing.T) {
	tr := &trial{works: make([]work, 1), cycles: quietCycles}
	add := func(n int, p probing, seconds float64) {
		for range n {
			tr.rounds = append(tr.rounds, roundOf([]probing{p, p}, sample{amount: 1, seconds: seconds}))
		}
	}
	add(80, slowed(1.1, 1), 150e-6)
	add(20, quiet, 100e-6)
	o := tr.reduce()
	require.InDelta(t, 6000, o.busy, 1e-6)
	require.Len(t, o.works[0].seconds, 20)
	require.InDelta(t, 100e-6, median(o.works[0].seconds), 1e-9)
	require.Equal(t, 80, o.works[0].disturbed)
	require.False(t, tr.steady(o.busy), "no standard for others")

	tr.rounds = nil
	add(2, quiet, 100e-6)
	tr.rounds = append(tr.rounds, roundOf([]probing{slowed(1, 1.1), slowed(1, 1.1)}, sample{amount: 1, seconds: 1}))
	o = tr.reduce()
	require.InDelta(t, 6000, o.busy, 1e-6)
	require.Len(t, o.works[0].seconds, 2)
}

// A few chains that were interrupted a little do not make the other probes seem slow.
func TestReduceTakesTheMiddleOfTheBest(t *testing.T) {
	tr := &trial{works: make([]work, 1), cycles: quietCycles}
	for i := range 100 {
		p := slowed(1+0.001*float64(i%10), 1)
		if i%20 == 0 {
			p = slowed(1, 1.027)
		}
		tr.rounds = append(tr.rounds, roundOf([]probing{p, p}, sample{amount: 1, seconds: 100e-6}))
	}
	o := tr.reduce()
	require.InDelta(t, 6000, o.busy, 30)
	require.Len(t, o.works[0].seconds, 100)
}

// What is shared by more probes than a tenth is not the best if a tenth is faster.
func TestReduceKeepsToTheFastestTenth(t *testing.T) {
	tr := &trial{works: make([]work, 1), cycles: quietCycles}
	for i := range 100 {
		p := slowed(1, 1)
		switch {
		case i >= 62:
			p = slowed(1.058, 1)
		case i >= 12:
			p = slowed(1.028, 1)
		}
		tr.rounds = append(tr.rounds, roundOf([]probing{p, p}, sample{amount: 1, seconds: 100e-6}))
	}
	o := tr.reduce()
	require.InDelta(t, 6000, o.busy, 1)
	require.Len(t, o.works[0].seconds, 62)
}

// An Apply that lost its CPU to another program between quiet probes does not
// count.
func TestReduceDropsWhatWaited(t *testing.T) {
	tr := &trial{works: make([]work, 1), cycles: quietCycles}
	for _, waited := range []float64{0, 0.29e-3, 0.31e-3, 4e-3} {
		tr.rounds = append(tr.rounds, roundOf([]probing{quiet, quiet}, sample{1, 10e-3, waited}))
	}
	o := tr.reduce()
	require.Len(t, o.works[0].seconds, 2)
	require.Equal(t, 2, o.works[0].disturbed)
}

// A unit's samples count only where they are ports × clock.
func TestReduceChecksUnits(t *testing.T) {
	unit := work{rate: peak.Rate{PerCycle: []float64{2}, Known: true}, threads: 2}
	at := func(perCycle float64) sample { // of two threads at 3 GHz
		return sample{amount: perCycle * 2 * 3e9 * 50e-6, seconds: 50e-6}
	}
	var rounds []round
	for _, perCycle := range []float64{2, 1.95, 1.93, 2.05, 2.07, 1} {
		rounds = append(rounds, roundOf([]probing{quiet, quiet, quiet}, sample{amount: 1, seconds: 100e-6}, at(perCycle)))
	}
	// With a slower clock the same speed would be too many in a cycle.
	rounds = append(rounds, roundOf([]probing{quiet, slowed(1.02, 1.02), slowed(1.02, 1.02)}, sample{amount: 1, seconds: 100e-6}, at(2.02)))
	o := (&trial{works: []work{{}, unit}, cycles: quietCycles, rounds: rounds}).reduce()
	require.Equal(t, 3, len(o.works[1].seconds))
	require.Equal(t, 4, o.works[1].offPeak)
	require.Equal(t, 0, o.works[1].disturbed)
	require.Equal(t, 7, len(o.works[1].perCycle))
	require.InDelta(t, 2, median(o.works[1].perCycle), 0.051)
	require.Len(t, o.pairs[1], 3)
	require.Len(t, o.works[0].seconds, 7, "the layer's own samples do not depend on the unit's")
}

// A neighbour that is there for a whole trial slows every probe equally; the
// best of an earlier trial tells.
func TestReduceRemembersTheBest(t *testing.T) {
	tr := &trial{works: make([]work, 1), cycles: quietCycles, rounds: []round{
		roundOf([]probing{slowed(1.2, 1), slowed(1.2, 1)}, sample{amount: 1, seconds: 1}),
		roundOf([]probing{slowed(1.2, 1), slowed(1.21, 1)}, sample{amount: 1, seconds: 1}),
	}}
	require.Len(t, tr.reduce().works[0].seconds, 2)
	tr.least = 6000
	o := tr.reduce()
	require.Empty(t, o.works[0].seconds)
	require.Equal(t, 2, o.works[0].disturbed)
	require.InDelta(t, 7200, o.busy, 1e-6)

	// A clock that is slower throughout is no neighbour.
	tr.rounds = []round{roundOf([]probing{slowed(1.2, 1.2), slowed(1.2, 1.2)}, sample{amount: 1, seconds: 1})}
	require.Len(t, tr.reduce().works[0].seconds, 1)
}
