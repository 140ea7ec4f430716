package bench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// world is a clock that only probes and works advance.
type world struct {
	time   time.Duration
	probes int
	noise  func(probe int) float64 // what the probe is slower by; nil: nothing
}

func (w *world) meter() *meter {
	m := &meter{now: func() time.Duration { return w.time }, probe: func(int) probing {
		p := quiet
		if w.noise != nil {
			p.busy *= w.noise(w.probes)
		}
		w.probes++
		w.time += 3 * time.Microsecond
		return p
	}}
	m.clocks[0].cycles, m.clocks[1].cycles = quietCycles, quietCycles
	return m
}

// work takes as long each time, for an amount of 1.
func (w *world) work(d time.Duration) work {
	return work{do: func() (sample, error) {
		w.time += d
		return sample{amount: 1, seconds: d.Seconds()}, nil
	}}
}

func TestMeterStopsAtItsTime(t *testing.T) {
	w := &world{}
	tr, err := w.meter().run(t.Context(), []work{w.work(100 * time.Microsecond), w.work(50 * time.Microsecond)}, 10*time.Millisecond)
	require.NoError(t, err)
	require.Len(t, tr.rounds, 63) // of 159 µs
	for _, r := range tr.rounds {
		require.Len(t, r.probes, 3)
		require.Len(t, r.samples, 2)
	}
	require.InDelta(t, 0.5, median(tr.reduce().pairs[1]), 1e-9)
}

func TestMeterTakesAFewRoundsOfWhatIsLong(t *testing.T) {
	w := &world{}
	tr, err := w.meter().run(t.Context(), []work{w.work(time.Second)}, time.Millisecond)
	require.NoError(t, err)
	require.Len(t, tr.rounds, leastRounds)
}

func TestMeterIsPatientWithNoise(t *testing.T) {
	w := &world{noise: func(probe int) float64 {
		if probe == 0 || probe > 100 {
			return 1
		}
		return 2
	}}
	tr, err := w.meter().run(t.Context(), []work{w.work(100 * time.Microsecond)}, time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, wantedPairs, len(tr.reduce().works[0].seconds))

	w = &world{noise: func(int) float64 { return 2 }} // never as quiet as once
	m := w.meter()
	m.clocks[0].least = quiet.cycles(quietCycles)
	tr, err = m.run(t.Context(), []work{w.work(100 * time.Microsecond)}, time.Millisecond)
	require.NoError(t, err)
	require.Empty(t, tr.reduce().works[0].seconds)
	require.Len(t, tr.rounds, 76) // patience × 1 ms of 106 µs
}

func TestMeterRemembersTheBestProbe(t *testing.T) {
	w := &world{}
	m := w.meter()
	_, err := m.run(t.Context(), []work{w.work(time.Millisecond)}, time.Millisecond)
	require.NoError(t, err)
	require.InDelta(t, 6000, m.clocks[0].least, 1e-6)
	w.noise = func(int) float64 { return 1.1 }
	tr, err := m.run(t.Context(), []work{w.work(time.Millisecond)}, time.Millisecond)
	require.NoError(t, err)
	require.Empty(t, tr.reduce().works[0].seconds)
	require.InDelta(t, 6000, m.clocks[0].least, 1e-6)
}

// A trial in which the clock changed with every probe is no standard.
func TestMeterForgetsRestlessTrials(t *testing.T) {
	w := &world{noise: func(probe int) float64 { return 1 - 0.05*float64(probe%8) }}
	m := w.meter()
	_, err := m.run(t.Context(), []work{w.work(time.Millisecond)}, time.Millisecond)
	require.NoError(t, err)
	require.Zero(t, m.clocks[0].least)
	w.noise = nil
	_, err = m.run(t.Context(), []work{w.work(time.Millisecond)}, time.Millisecond)
	require.NoError(t, err)
	require.InDelta(t, 6000, m.clocks[0].least, 1e-6)
}

func TestMeterStopsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := &world{}
	rounds := 0
	stop := work{do: func() (sample, error) {
		if rounds++; rounds == 5 {
			cancel()
		}
		return sample{amount: 1, seconds: 1}, nil
	}}
	_, err := w.meter().run(ctx, []work{stop}, time.Hour)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 5, rounds)
}

func TestMeterReturnsErrors(t *testing.T) {
	w := &world{}
	broken := errors.New("broken")
	for _, good := range []int{0, 3} {
		left := good
		_, err := w.meter().run(t.Context(), []work{{do: func() (sample, error) {
			if left--; left < 0 {
				return sample{}, broken
			}
			return sample{amount: 1, seconds: 1}, nil
		}}}, time.Hour)
		require.ErrorIs(t, err, broken)
	}
}
