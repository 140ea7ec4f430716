package workers

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/topology"
)

// machine is one of some nodes with as many logical CPUs each.
func machine(nodes, each int) (m topology.Machine) {
	for n := range nodes {
		var node []int
		for i := range each {
			node = append(node, n*each+i)
		}
		m.Nodes = append(m.Nodes, node)
		m.CPUs = append(m.CPUs, node...)
	}
	return m
}

// newTestPool makes a pool as on a machine of one node with 2 processors,
// whatever the machine of the test has: the pool's decisions depend on it.
func newTestPool(t testing.TB, o Options) *Pool {
	t.Helper()
	return newTestPoolOn(t, o, hostOf(machine(1, 2)))
}

// newUncrowdedPool is newTestPool where no other goroutine ever waits for a
// processor.
func newUncrowdedPool(t testing.TB, o Options) *Pool {
	t.Helper()
	h := hostOf(machine(1, 2))
	h.waiting = noneWaits
	return newTestPoolOn(t, o, h)
}

func noneWaits([]metrics.Sample, int) int64 { return 0 }

func newTestPoolOn(t testing.TB, o Options, h host) *Pool {
	t.Helper()
	useProcs(t, 2)
	p, err := newPool(o, h)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// useProcs sets GOMAXPROCS for the rest of the test.
func useProcs(t testing.TB, n int) {
	before := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

type taskFunc func(worker, chunk int)

func (f taskFunc) Do(worker, chunk int) { f(worker, chunk) }

// counts notes how often each chunk ran and which workers were in it at once.
type counts struct {
	chunks []atomic.Int32
	inside []atomic.Int32
	shared atomic.Int32
	work   func(chunk int)
}

func newCounts(threads, chunks int) *counts {
	return &counts{chunks: make([]atomic.Int32, chunks), inside: make([]atomic.Int32, threads)}
}

func (c *counts) Do(worker, chunk int) {
	if c.inside[worker].Add(1) != 1 {
		c.shared.Add(1)
	}
	c.chunks[chunk].Add(1)
	if c.work != nil {
		c.work(chunk)
	}
	c.inside[worker].Add(-1)
}

func (c *counts) check(t *testing.T) {
	t.Helper()
	for i := range c.chunks {
		require.EqualValues(t, 1, c.chunks[i].Load(), "chunk %d", i)
	}
	require.Zero(t, c.shared.Load(), "two goroutines had the same worker number at once")
}

// runBoth is a Run of two chunks that ends only if a worker takes part: each
// chunk waits for the other one.
func runBoth(p *Pool, j *Job, inWorker func()) {
	var inside atomic.Int32
	both := make(chan struct{})
	p.Run(j, taskFunc(func(worker, _ int) {
		if inside.Add(1) == 2 {
			close(both)
		}
		<-both
		if worker > 0 && inWorker != nil {
			inWorker()
		}
	}), 2, 2)
}

// eventually waits for what another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !ok(); time.Sleep(100 * time.Microsecond) {
		require.True(t, time.Now().Before(until), what)
	}
}
