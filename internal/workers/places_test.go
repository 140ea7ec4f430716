package workers

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/topology"
)

func TestPlaces(t *testing.T) {
	two := machine(2, 4)
	uneven := topology.Machine{CPUs: []int{0, 1, 2, 3, 4, 5}, Nodes: [][]int{{0, 1, 2, 3}, {4, 5}}}
	n0, n1 := two.Nodes[0], two.Nodes[1]
	tests := []struct {
		name    string
		threads int
		given   []int
		m       topology.Machine
		want    []place
		nodes   int
	}{
		{"one node", 2, nil, machine(1, 4), []place{{}, {}}, 1},
		{"one node, a CPU each", 2, []int{3, 1, 2}, machine(1, 4), []place{{0, []int{3}}, {0, []int{1}}}, 1},
		{"one node, CPUs shared", 3, []int{0, 2}, machine(1, 4), []place{{0, []int{0, 2}}, {0, []int{0, 2}}, {0, []int{0, 2}}}, 1},
		{"CPU of no node", 2, []int{9}, machine(1, 4), []place{{0, []int{9}}, {0, []int{9}}}, 1},
		{"two nodes, few threads", 3, nil, two, []place{{0, n0}, {1, n1}, {0, n0}}, 2},
		{"two nodes, one thread", 1, nil, two, []place{{}}, 1},
		{"more CPUs, more threads", 6, nil, uneven, []place{
			{0, uneven.Nodes[0]}, {0, uneven.Nodes[0]}, {1, uneven.Nodes[1]}, {0, uneven.Nodes[0]}, {0, uneven.Nodes[0]}, {1, uneven.Nodes[1]}}, 2},
		{"given CPUs on one of two nodes", 3, []int{4, 5}, two, []place{{0, []int{4, 5}}, {0, []int{4, 5}}, {0, []int{4, 5}}}, 1},
		{"given CPUs on both", 3, []int{1, 4}, two, []place{{0, []int{1}}, {1, []int{4}}, {0, []int{1}}}, 2},
		{"a CPU each on both, the second node first", 2, []int{6, 1}, two, []place{{1, []int{6}}, {0, []int{1}}}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			places, nodes := placesOf(tt.threads, tt.given, tt.m)
			require.Equal(t, tt.want, places)
			require.Equal(t, tt.nodes, nodes)
		})
	}
}

func TestTooManyNodes(t *testing.T) {
	useProcs(t, 2)
	m := machine(maxShares+4, 2)
	h := hostOf(m)
	h.bind, h.thisCPU = func([]int) error { return nil }, func() int { return len(m.CPUs) - 1 }
	p, err := newPool(Options{Threads: len(m.CPUs), Spin: -1}, h)
	require.NoError(t, err)
	defer p.Close()
	require.Equal(t, maxShares, p.Nodes())
	require.Equal(t, maxShares-1, p.callerShare())
	c := newCounts(p.Threads(), 333)
	p.Run(NewJob(), c, 333, p.Threads())
	c.check(t)
}

// twoNodes is a pool on a machine laid out in files, of which the process may
// use 2 logical CPUs on node 0 and 4 on node 1.
func twoNodes(t *testing.T, threads int, callerOn int) (p *Pool, bound func() [][]int) {
	useProcs(t, 8)
	m := topology.Read(fstest.MapFS{
		"sys/devices/system/node/node0/cpulist": {Data: []byte("0,4\n")},
		"sys/devices/system/node/node1/cpulist": {Data: []byte("1-3,5-7\n")},
	}, []int{0, 1, 2, 3, 4, 5})
	var mu sync.Mutex
	var sets [][]int
	h := hostOf(m)
	h.thisCPU = func() int { return callerOn }
	h.bind = func(cpus []int) error {
		mu.Lock()
		defer mu.Unlock()
		sets = append(sets, slices.Clone(cpus))
		return nil
	}
	p, err := newPool(Options{Threads: threads, Spin: -1}, h)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p, func() [][]int {
		mu.Lock()
		defer mu.Unlock()
		slices.SortFunc(sets, func(a, b []int) int { return a[0] - b[0] })
		return sets
	}
}

func TestWorkersAreBoundToTheirNode(t *testing.T) {
	p, bound := twoNodes(t, 6, 0)
	require.Equal(t, 2, p.Nodes())
	// The caller's place is on the larger node, and nobody binds the caller.
	zero, one := []int{0, 4}, []int{1, 2, 3, 5}
	require.Equal(t, [][]int{zero, zero, one, one, one}, bound())
	for i, s := range p.shares {
		require.Equal(t, i, s.before)
		require.Equal(t, []int{0, 0, 1, 1, 1, 1}[i], s.node)
	}
}

// TestNodesKeepTheirChunks runs as many chunks as threads, each of which waits
// for all others, so that no one can do two: then none may be done on another
// node than its own.
func TestNodesKeepTheirChunks(t *testing.T) {
	for _, parts := range [][]int{{6}, {3, 3}, {6, 0}} {
		p, _ := twoNodes(t, 6, 1) // the caller's thread is on node 1, its place too
		j := NewJob()
		for range 10 {
			var mu sync.Mutex
			on := make([]int, 6)
			inside, all := 0, make(chan struct{})
			p.RunParts(j, taskFunc(func(worker, chunk int) {
				mu.Lock()
				on[chunk] = p.nodeOfWorker(worker)
				if inside++; inside == 6 {
					close(all)
				}
				mu.Unlock()
				<-all
			}), parts, 6)
			want := []int{0, 0, 1, 1, 1, 1}
			if len(parts) == 2 && parts[1] == 3 {
				want = []int{0, 1, 1, 0, 1, 1}
			}
			require.Equal(t, want, on)
		}
	}
}

// nodeOfWorker is the node of a worker of twoNodes.
func (p *Pool) nodeOfWorker(number int) int {
	if number == 0 {
		return int(p.nodeOf[p.host.thisCPU()])
	}
	m := topology.Machine{CPUs: []int{0, 1, 2, 3, 4, 5}, Nodes: [][]int{{0, 4}, {1, 2, 3, 5}}}
	places, _ := placesOf(p.threads, nil, m)
	return places[number].node
}

// TestOtherNodesAreHelped lets the caller alone do all chunks: those of its own
// node first, then the rest.
func TestOtherNodesAreHelped(t *testing.T) {
	for callerOn, first := range map[int]int{0: 0, 4: 0, 1: 3, 5: 3} {
		p, _ := twoNodes(t, 6, callerOn)
		p.Close()
		var order []int
		p.Run(NewJob(), taskFunc(func(_, chunk int) { order = append(order, chunk) }), 9, 6)
		want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8}
		want = append(want[first:], want[:first]...)
		require.Equal(t, want, order)
	}
}

// TestThreadsHaveShares checks that shares are one for each thread, in the order of
// nodes, and for some threads of one node each where there are many.
func TestThreadsHaveShares(t *testing.T) {
	for _, nodes := range []int{1, 2, 3, 7, maxShares} {
		for _, threads := range []int{maxShares, maxShares + 1, 3 * maxShares, 128, 1000} {
			m := machine(nodes, 3)
			m.CPUs = m.CPUs[:len(m.CPUs)-1] // one node has fewer
			m.Nodes[nodes-1] = m.Nodes[nodes-1][:2]
			places, n := placesOf(threads, nil, m)
			require.Equal(t, nodes, n)
			shares, own := sharesOf(places, nodes)
			if threads == maxShares {
				require.Len(t, shares, threads)
			}
			require.LessOrEqual(t, len(shares), maxShares)
			require.Greater(t, len(shares), maxShares-nodes)
			count := make([]int, len(shares))
			for i, s := range own {
				count[s]++
				require.Equal(t, places[i].node, shares[s].node)
			}
			before := 0
			for i, c := range count {
				require.Positive(t, c)
				require.Equal(t, before, shares[i].before)
				before += c
			}
			require.True(t, slices.IsSortedFunc(shares, func(a, b share) int { return a.node - b.node }))
			for node, first := range callersOf(shares, nodes) {
				require.Equal(t, slices.IndexFunc(shares, func(s share) bool { return s.node == node }), first)
			}
		}
	}
}

// TestOrderOfShares checks that each is looked into once, those of a node first.
func TestOrderOfShares(t *testing.T) {
	p, _ := twoNodes(t, 6, 1)
	var orders [][]int
	for _, s := range p.shares {
		orders = append(orders, s.order)
	}
	require.Equal(t, [][]int{{0, 1, 2, 3, 4, 5}, {1, 0, 3, 2, 5, 4}, {2, 3, 4, 5, 0, 1}, {3, 2, 5, 4, 1, 0}, {4, 5, 2, 3, 0, 1}, {5, 4, 3, 2, 1, 0}}, orders)
}

// TestFewOfManyThreads lets some threads of a pool claim in turns from the shares of all:
// where they are two, four or eight neighbours, each does shares of its own to their end.
func TestFewOfManyThreads(t *testing.T) {
	shares, _ := sharesOf(make([]place, 16), 1)
	for _, threads := range []int{2, 4, 8} {
		left := slices.Repeat([]int{4}, len(shares))
		by := slices.Repeat([]int{-1}, len(shares))
		for turn := range 4 * len(shares) {
			thread := turn % threads
			for _, s := range shares[thread].order {
				if left[s] > 0 {
					left[s]--
					require.Contains(t, []int{-1, thread}, by[s], "%d threads", threads)
					by[s] = thread
					break
				}
			}
		}
	}
}

// TestThreadsKeepToTheirShare lets two threads run at the same pace: each does its half
// in order.
func TestThreadsKeepToTheirShare(t *testing.T) {
	p, j := newUncrowdedPool(t, Options{Threads: 2, Spin: time.Hour}), NewJob()
	const chunks = 12
	var order [2][]int
	var inside [chunks / 2]sync.WaitGroup
	for i := range inside {
		inside[i].Add(2)
	}
	p.Run(j, taskFunc(func(worker, chunk int) {
		at := len(order[worker])
		order[worker] = append(order[worker], chunk)
		inside[at].Done() // the other thread is at its chunk of the same place, too
		inside[at].Wait()
	}), chunks, 2)
	require.Equal(t, [2][]int{{0, 1, 2, 3, 4, 5}, {6, 7, 8, 9, 10, 11}}, order)
}

// TestSharesAreProportional checks for many parts that the shares of the nodes
// are a partition, and the same for a part alone and among others.
func TestSharesAreProportional(t *testing.T) {
	for _, threads := range []int{2, 3, 5, 6} {
		p, _ := twoNodes(t, threads, 0)
		nodeOfChunk := func(parts []int) []int {
			total := 0
			for _, n := range parts {
				total += n
			}
			owner := slices.Repeat([]int{-1}, total)
			for i := range p.shares {
				for k := range p.chunksBefore(i+1, parts) - p.chunksBefore(i, parts) {
					c := p.chunkOf(i, k, parts)
					require.Equal(t, -1, owner[c], "chunk %d has two owners", c)
					owner[c] = p.shares[i].node
				}
			}
			require.NotContains(t, owner, -1)
			return owner
		}
		for _, parts := range [][]int{{1}, {0, 7}, {12, 3, 3}, {1, 1, 1, 1}, {100, 1, 64}, {4096}} {
			var want []int
			for _, n := range parts {
				want = append(want, nodeOfChunk([]int{n})...)
			}
			require.Equal(t, want, nodeOfChunk(parts))
		}
		coarse, fine := nodeOfChunk([]int{64}), nodeOfChunk([]int{1024})
		differ := 0
		for c := range fine {
			if fine[c] != coarse[c/16] {
				differ++
			}
		}
		require.LessOrEqual(t, differ, 16, "a part cut finer keeps its nodes but for one chunk")
	}
}

func TestPartsRunOnce(t *testing.T) {
	p, _ := twoNodes(t, 6, 0)
	j := NewJob()
	for _, parts := range [][]int{nil, {0}, {1}, {5, 0, 9}, {40, 10, 10}} {
		for width := range 8 {
			total := 0
			for _, n := range parts {
				total += n
			}
			c := newCounts(6, total)
			c.work = func(int) { time.Sleep(time.Microsecond) }
			p.RunParts(j, c, parts, width)
			c.check(t)
		}
	}
}

func TestFailedBindingLeavesNoWorker(t *testing.T) {
	broken := errors.New("no such CPU")
	n := 0
	var mu sync.Mutex
	h := hostOf(machine(1, 2))
	h.bind = func([]int) error {
		mu.Lock()
		defer mu.Unlock()
		if n++; n == 2 {
			return broken
		}
		return nil
	}
	_, err := newPool(Options{Threads: 4, CPUs: []int{0}}, h)
	require.ErrorIs(t, err, broken)
}
