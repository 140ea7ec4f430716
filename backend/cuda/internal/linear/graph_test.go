package linear

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

// exactly requires the y of an exact cell.
func exactly(t *testing.T, c cell, l *quant.Linear, x, y []float32) {
	t.Helper()
	ref, err := reference.Run(l, l.Recipe, c.x, x, c.m)
	require.NoError(t, err)
	for i, v := range y {
		require.Equal(t, c.y.RoundF64(ref.Y[i]), float64(v), "y[%d,%d]", i/c.n, i%c.n)
	}
}

// others is another input of the cell.
func others(x []float32, by float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = by - v
	}
	return y
}

// graphCells take each way: stream, slices and finish, gather and tile.
func graphCells() map[string]cell {
	stream := small()
	slices := stream
	slices.k = 1056
	gathered := stream
	gathered.m, gathered.groups, gathered.end = 40, "act-order", "_gather"
	return map[string]cell{"stream": stream, "stream and finish": slices, "gather and tile": gathered}
}

// TestGraph captures an Apply and launches it on other inputs.
func TestGraph(t *testing.T) {
	for name, c := range graphCells() {
		t.Run(name, func(t *testing.T) {
			l, x := c.layer(t, true)
			r := open(t, interpreter, backend.OpenOptions{})
			made, _ := r.prepare(l, c.x, c.y, c.m, c.end)
			o := r.operands(made, c.m, 0, 8)
			capture := r.stream.(backend.GraphCapture)
			require.NoError(t, capture.BeginCapture())
			require.NoError(t, made.Apply(r.stream, o.y, o.x, o.workspace)) // x is undefined: it must not run
			g, err := capture.EndCapture()
			require.NoError(t, err)
			for by := range 2 {
				now := others(x, float32(by))
				r.put(o.x, now)
				require.NoError(t, g.Launch(r.stream))
				exactly(t, c, l, now, r.get(r.stream, o.y))
			}
			require.ErrorIs(t, made.Close(), backend.ErrBusy)
			require.ErrorIs(t, r.dev.Close(), backend.ErrBusy)
			require.NoError(t, made.Apply(r.stream, o.y, o.x, o.workspace), "a layer that would not close")
			require.NoError(t, g.Close())
			require.ErrorIs(t, g.Launch(r.stream), backend.ErrClosed)
			require.NoError(t, made.Close())
			o.close(t)
			r.close()
		})
	}
}

// TestTwoStreams has one stream run what another reads, by an event, and two
// streams share a layer.
func TestTwoStreams(t *testing.T) {
	for name, c := range graphCells() {
		t.Run(name, func(t *testing.T) {
			l, x := c.layer(t, true)
			r := open(t, interpreter, backend.OpenOptions{})
			second, err := r.dev.NewStream()
			require.NoError(t, err)
			made, _ := r.prepare(l, c.x, c.y, c.m, c.end)
			a, b := r.operands(made, c.m, 0, 0), r.operands(made, c.m, 1, 2)
			r.put(a.x, x)
			r.put(b.x, others(x, 1))
			uploaded, err := r.stream.Record()
			require.NoError(t, err)
			require.NoError(t, second.Wait(uploaded))
			require.NoError(t, made.Apply(second, b.y, b.x, b.workspace))
			require.NoError(t, made.Apply(r.stream, a.y, a.x, a.workspace))
			done, err := r.stream.Record()
			require.NoError(t, err)
			require.NoError(t, second.Wait(done))
			exactly(t, c, l, x, r.get(second, a.y))
			exactly(t, c, l, others(x, 1), r.get(second, b.y))
			require.NoError(t, second.Sync(context.Background()))
			for _, one := range []interface{ Close() error }{uploaded, done, second, made} {
				require.NoError(t, one.Close())
			}
			a.close(t)
			b.close(t)
			r.close()
		})
	}
}

// TestForkedCapture has a second stream join a capture by waiting for an event
// of it, as CUDA has it: what it runs is in the graph, and held by it.
func TestForkedCapture(t *testing.T) {
	c := small()
	l, x := c.layer(t, true)
	r := open(t, interpreter, backend.OpenOptions{})
	t.Cleanup(r.close) // behind the events' own
	first, _ := r.prepare(l, c.x, c.y, c.m, c.end)
	forked, _ := r.prepare(l, c.x, c.y, c.m, c.end)
	a, b := r.operands(first, c.m, 0, 0), r.operands(forked, c.m, 0, 0)
	second, err := r.dev.NewStream()
	require.NoError(t, err)
	record := func(s backend.Stream) backend.Event {
		e, err := s.Record()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, e.Close()) })
		return e
	}
	before := record(second)

	capture := r.stream.(backend.GraphCapture)
	require.NoError(t, capture.BeginCapture())
	require.ErrorContains(t, r.stream.Wait(before), "ISOLATION")
	require.NoError(t, second.Wait(record(r.stream)))
	require.NoError(t, forked.Apply(second, b.y, b.x, b.workspace))
	require.ErrorIs(t, second.(backend.GraphCapture).BeginCapture(), backend.ErrBusy)
	_, err = second.(backend.GraphCapture).EndCapture()
	require.ErrorContains(t, err, "not recording")
	require.ErrorIs(t, second.Close(), backend.ErrBusy)
	require.NoError(t, r.stream.Wait(record(second)))
	require.NoError(t, first.Apply(r.stream, a.y, a.x, a.workspace))
	g, err := capture.EndCapture()
	require.NoError(t, err)

	for by := range 2 {
		r.put(a.x, others(x, float32(by)))
		r.put(b.x, others(x, float32(by+5)))
		require.NoError(t, g.Launch(r.stream))
		exactly(t, c, l, others(x, float32(by)), r.get(r.stream, a.y))
		exactly(t, c, l, others(x, float32(by+5)), r.get(second, b.y))
	}
	require.ErrorIs(t, first.Close(), backend.ErrBusy)
	require.ErrorIs(t, forked.Close(), backend.ErrBusy)
	require.NoError(t, g.Close())

	// What joins and is not waited for is no graph, and holds nothing.
	require.NoError(t, capture.BeginCapture())
	require.NoError(t, second.Wait(record(r.stream)))
	require.NoError(t, forked.Apply(second, b.y, b.x, b.workspace))
	_, err = capture.EndCapture()
	require.ErrorContains(t, err, "UNJOINED")
	for _, one := range []interface{ Close() error }{first, forked, second} {
		require.NoError(t, one.Close())
	}
	a.close(t)
	b.close(t)
}
