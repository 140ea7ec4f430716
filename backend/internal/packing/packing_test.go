package packing

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRows(t *testing.T) {
	for _, workers := range []int{1, 3, 8} {
		done := make([]atomic.Int32, 100)
		busy := make([]atomic.Int32, workers)
		require.NoError(t, Rows(t.Context(), len(done), workers, func(worker, row int) {
			require.EqualValues(t, 1, busy[worker].Add(1), "two goroutines of one number")
			done[row].Add(1)
			busy[worker].Add(-1)
		}))
		for i := range done {
			require.EqualValues(t, 1, done[i].Load(), "row %d", i)
		}
	}
	require.NoError(t, Rows(t.Context(), 0, 2, func(int, int) { t.Error("a row of none") }))
}

func TestRowsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	require.ErrorIs(t, Rows(ctx, 100, 1, func(_, row int) {
		if n++; row == 9 {
			cancel()
		}
	}), context.Canceled)
	require.Equal(t, 10, n)
}

func TestWorkers(t *testing.T) {
	require.Equal(t, 1, Workers(0, 1))
	require.Equal(t, 1, Workers(15, 16))
	require.Equal(t, 1, Workers(16, 16))
	require.LessOrEqual(t, Workers(1<<20, 1), 1<<20)
}
