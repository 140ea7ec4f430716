package linear

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

// idle is an Apply of which nothing but what Go does is left.
func idle(t testing.TB) (apply func() error, end func()) {
	lib := newStandin()
	r := open(t, lib, backend.OpenOptions{})
	l, err := r.prepare(small(t, 8, 64, 4, 32, true), 4)
	require.NoError(t, err)
	o := r.operands(l, 1)
	lib.Idle = true
	apply = func() error { return l.Apply(r.stream, o.y, o.x, o.ws) }
	require.NoError(t, apply())
	return apply, func() {
		o.close(t)
		require.NoError(t, l.Close())
		r.close()
	}
}

func TestApplyAllocatesNothing(t *testing.T) {
	apply, end := idle(t)
	defer end()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := apply(); err != nil {
			t.Error(err)
		}
	}))
}

// BenchmarkApply is what Go adds to a call of oneDNN's.
func BenchmarkApply(b *testing.B) {
	apply, end := idle(b)
	defer end()
	b.ReportAllocs()
	for b.Loop() {
		if err := apply(); err != nil {
			b.Fatal(err)
		}
	}
}
