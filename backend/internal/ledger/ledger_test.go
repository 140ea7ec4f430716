package ledger

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

func TestMemory(t *testing.T) {
	b := New("toy:0", 100)
	require.ErrorIs(t, b.Take("buffer", -1, 0), backend.ErrShape)
	require.NoError(t, b.Take("buffer", 60, 1000))
	err := b.Take("buffer", 41, 1000)
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.ErrorContains(t, err, "toy:0: free memory is 40 bytes, want 41 bytes")
	require.NoError(t, b.Take("buffer", 40, 1000))
	limit, left := b.Limit()
	require.Equal(t, [2]int64{100, 0}, [2]int64{limit, left})
	b.Drop(60)
	require.Equal(t, backend.Alive{Buffers: 1, Bytes: 40}, b.Alive())

	b = New("toy:0", 0)
	require.ErrorIs(t, b.Take("buffer", 1001, 1000), backend.ErrOutOfMemory)
	require.NoError(t, b.Take("buffer", 1<<50, 0))
}

func TestFailAlloc(t *testing.T) {
	b := New("toy:0", 0)
	b.FailAlloc(1)
	require.NoError(t, b.Admit("stream", nothing))
	require.ErrorContains(t, b.Take("buffer", 1, 0), "buffer is made to fail")
	require.NoError(t, b.Admit("event", nothing))
	require.Equal(t, 3, b.FailAlloc(0))
	require.Equal(t, 0, b.FailAlloc(-5))
	require.NoError(t, b.Admit("stream", nothing))
	require.Equal(t, backend.Alive{}, b.Alive(), "what failed is not alive")
}

func TestClose(t *testing.T) {
	b := New("toy:0", 0)
	require.NoError(t, b.Add(func(a *backend.Alive) { a.Layers = 2 }))
	b.CountOther("plans", 1)
	b.CountOther("graphs", 1)
	b.CountOther("graphs", -1)
	first, err := b.Close()
	require.False(t, first)
	require.ErrorIs(t, err, backend.ErrBusy)
	require.ErrorContains(t, err, "2 layers, 0 buffers, 0 streams, 0 events, 1 plans still open")
	require.NoError(t, b.Usable())
	b.Count(func(a *backend.Alive) { a.Layers = 0 })
	b.CountOther("plans", -1)
	for i := range 2 {
		first, err = b.Close()
		require.NoError(t, err)
		require.Equal(t, i == 0, first)
	}
	for _, err := range []error{b.Usable(), b.Admit("stream", nothing), b.Take("buffer", 0, 0), b.Add(func(*backend.Alive) { panic("changed") })} {
		require.ErrorIs(t, err, backend.ErrClosed)
	}
}

func TestLose(t *testing.T) {
	b := New("toy:0", 0)
	why := errors.New("fell off the bus")
	require.NoError(t, b.Lost())
	require.Equal(t, why, b.Lose(why))
	require.Equal(t, why, b.Lose(errors.New("again")))
	require.Equal(t, why, b.Lost())
	require.Equal(t, why, b.Admit("stream", nothing))
	first, err := b.Close()
	require.True(t, first)
	require.NoError(t, err)
	require.ErrorIs(t, b.Usable(), backend.ErrClosed)
}

// nothing is a change that leaves everything as it is.
func nothing(*backend.Alive) {}

func TestAdmitOther(t *testing.T) {
	b := New("toy:0", 0)
	require.NoError(t, b.AdmitOther("plan", "plans"))
	_, err := b.Close()
	require.ErrorContains(t, err, "1 plans still open")
	b.CountOther("plans", -1)
	b.FailAlloc(0)
	require.ErrorIs(t, b.AdmitOther("plan", "plans"), backend.ErrOutOfMemory)
	first, err := b.Close()
	require.NoError(t, err)
	require.True(t, first)
}

func TestSetLimit(t *testing.T) {
	b := New("toy:0", 0)
	require.NoError(t, b.Take("buffer", 100, 0))
	b.SetLimit(40)
	limit, left := b.Limit()
	require.EqualValues(t, 40, limit)
	require.Zero(t, left)
	require.ErrorIs(t, b.Take("buffer", 1, 0), backend.ErrOutOfMemory)
	b.Drop(100)
	require.NoError(t, b.Take("buffer", 40, 0))
}
