//go:build linux || darwin

package workers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// processorTime is what the process has used so far.
func processorTime(t *testing.T) time.Duration {
	var u unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestIdleCostsNothing compares the processor time of an idle pool with the
// time that passes; one spinning worker would use all of it.
func TestIdleCostsNothing(t *testing.T) {
	for _, threads := range []int{2, 8} {
		p, j := newTestPool(t, Options{Threads: threads}), NewJob()
		for range 100 {
			c := newCounts(threads, 50)
			p.Run(j, c, 50, threads)
		}
		eventually(t, "parked", func() bool { return parked(p) == threads-1 })
		const span = 300 * time.Millisecond
		before := processorTime(t)
		time.Sleep(span)
		require.Less(t, processorTime(t)-before, span/5)
	}
}

// TestBlockedCallerCostsNothing holds a worker in its chunk: the caller, which
// has none left, must not spin on.
func TestBlockedCallerCostsNothing(t *testing.T) {
	p := newTestPool(t, Options{Threads: 2})
	const span = 300 * time.Millisecond
	var used time.Duration
	runBoth(p, NewJob(), func() {
		before := processorTime(t)
		time.Sleep(span)
		used = processorTime(t) - before
	})
	require.Less(t, used, span/5)
}
