package bench

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func TestGang(t *testing.T) {
	done := make(chan struct{})
	go func() { // a thread that the gang may bind
		defer close(done)
		runtime.LockOSThread()
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
		cpus := Cores()
		cpus = cpus[:min(3, len(cpus))]
		g, _ := newGang(cpus)
		defer g.close()
		for range 50 {
			var inside atomic.Int32
			seen := make([]int, len(cpus))
			g.run(func(thread int) {
				inside.Add(1)
				for int(inside.Load()) < len(cpus) { // none leaves before all are there
				}
				seen[thread]++
			})
			if !slices.Equal(seen, slices.Repeat([]int{1}, len(cpus))) {
				t.Errorf("threads ran %v times", seen)
			}
		}
	}()
	<-done
}

// Everything that a Run can measure, on layers so small that nothing of the
// figures is worth a look: what is asked for is there, in order.
func TestRun(t *testing.T) {
	cpus := Cores()
	o := Options{
		Shapes: []Shape{{64, 32}, {96, 16}}, Models: []Model{{"tiny", 64, 16, 48}}, Rows: []int{1, 3},
		Forms: []Form{
			{Bits: 4, Group: 32, X: dtype.BF16, Recipe: quant.Recipe{Kind: quant.Int8Group}},
			{Bits: PlainBits, Group: -1, X: dtype.F32},
		},
		Threads: []int{1}, CPUs: cpus, Budget: time.Millisecond, Cold: 1 << 20, Sets: true, SetRows: []int{1}, Callers: 3, CallerRows: []int{2},
	}
	if len(cpus) > 1 {
		o.Threads = []int{1, 2}
	}
	var cells []Cell
	begun, steps := 0, 0
	before := runtime.GOMAXPROCS(0)
	r, err := Run(t.Context(), o, Watcher{
		Begin:    func(*Report) { begun++ },
		Progress: func(string) { steps++ },
		Cell:     func(c *Cell) { cells = append(cells, *c) },
	})
	require.NoError(t, err)
	require.Equal(t, before, runtime.GOMAXPROCS(0))
	require.Equal(t, 1, begun)
	require.Positive(t, steps)
	require.True(t, r.Complete)
	require.Equal(t, cells, r.Cells)
	require.Len(t, r.Cells, len(o.Threads)*2*2*2)
	require.Len(t, r.Together, len(o.Threads)*2*2)
	require.Len(t, r.Crowds, len(o.Threads)*2*2)
	i := 0
	for _, threads := range o.Threads {
		require.NotNil(t, find(r.Limits, readLimit, threads))
		require.NotNil(t, find(r.Limits, readSmallLimit, threads))
		for _, s := range o.Shapes {
			for _, f := range o.Forms {
				for _, rows := range o.Rows {
					c := r.Cells[i]
					i++
					require.NotEqual(t, StateFailed, c.State, c.Why)
					require.Equal(t, []any{s.String(), f.Bits, rows, threads}, []any{c.Shape, c.Bits, c.M, c.Threads})
					require.NotEmpty(t, c.Kernel)
					require.Positive(t, c.Samples)
				}
			}
		}
	}
	for _, g := range r.Together {
		require.NotEqual(t, StateFailed, g.State, g.Why)
	}
	for _, c := range r.Crowds {
		require.NotEqual(t, StateFailed, c.State, c.Why)
	}
}

// A kernel that cannot run a layer is the layer's failure, with its reasons,
// and not the Run's.
func TestRunRefusedKernel(t *testing.T) {
	r, err := Run(t.Context(), Options{
		Shapes: []Shape{{64, 32}}, Rows: []int{1}, Forms: []Form{{Bits: 4, Group: 32, X: dtype.F32}, {Bits: PlainBits, X: dtype.F32}},
		Kernels: []string{"cpu_wxg_a16_go"}, Threads: []int{1}, Budget: time.Millisecond, Cold: 1 << 20,
	}, Watcher{})
	require.NoError(t, err)
	require.Len(t, r.Cells, 2)
	require.Equal(t, "cpu_wxg_a16_go", r.Cells[0].Kernel)
	require.NotEqual(t, StateFailed, r.Cells[0].State)
	require.Equal(t, StateFailed, r.Cells[1].State)
	require.Contains(t, r.Cells[1].Why, "weights")
	require.False(t, r.OK())
}

func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Run(ctx, Options{
		Shapes: []Shape{{64, 32}}, Rows: []int{1, 2}, Forms: []Form{{Bits: 4, Group: 32, X: dtype.F32}}, Kernels: []string{AllKernels},
		Threads: []int{1}, Budget: time.Millisecond, Cold: 1 << 20,
	}, Watcher{Cell: func(*Cell) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, r.Complete)
	require.Len(t, r.Cells, 1, "what was measured before stays")
	require.False(t, r.OK())
}

func TestRunWantsCores(t *testing.T) {
	_, err := Run(t.Context(), Options{Threads: []int{3}, CPUs: []int{0, 1}}, Watcher{})
	require.ErrorContains(t, err, "3 cores")
	require.False(t, errors.Is(err, context.Canceled))
}
