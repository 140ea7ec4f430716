package workers

import (
	"slices"

	"github.com/bitlane/bitlane/internal/topology"
)

// place is where one thread of a pool works.
type place struct {
	node int   // memory node, counted from 0
	cpus []int // logical CPUs that the thread is bound to; nil: it is not bound
}

// placesOf spreads threads over a machine, or over the given CPUs of it, which
// differ from each other. The first place is the caller's, whom nobody binds.
// With a given CPU for every thread each is bound to one. Else threads go to
// the nodes by the number of CPUs that each has, so that few of them use the
// memory of all, and are bound to the CPUs of their node; on one node only to
// given ones.
func placesOf(threads int, given []int, m topology.Machine) (places []place, nodes int) {
	if threads <= len(given) {
		for _, c := range given[:threads] {
			places = append(places, place{node: nodeIn(m, c), cpus: []int{c}})
		}
		return renumber(places)
	}
	groups := make([][]int, min(len(m.Nodes), maxShares))
	use := given
	if use == nil {
		use = m.CPUs
	}
	for _, c := range use {
		groups[nodeIn(m, c)] = append(groups[nodeIn(m, c)], c)
	}
	taken := make([]int, len(groups))
	for range threads {
		best := 0
		for i := range groups {
			if len(groups[i])*(taken[best]+1) > len(groups[best])*(taken[i]+1) {
				best = i
			}
		}
		taken[best]++
		places = append(places, place{node: best, cpus: groups[best]})
	}
	if places, nodes = renumber(places); nodes == 1 && given == nil {
		for i := range places {
			places[i].cpus = nil
		}
	}
	return places, nodes
}

// nodeIn is the node of a logical CPU; the last one stands for all that are too
// many.
func nodeIn(m topology.Machine, cpu int) int { return min(m.Of(cpu), maxShares-1) }

// renumber counts the nodes anew, without those that no thread is on.
func renumber(places []place) ([]place, int) {
	var used []int
	for _, p := range places {
		if !slices.Contains(used, p.node) {
			used = append(used, p.node)
		}
	}
	slices.Sort(used)
	for i := range places {
		places[i].node = slices.Index(used, places[i].node)
	}
	return places, len(used)
}

// share is what some threads of one node begin with: a contiguous range of each
// part of a Run.
type share struct {
	node   int
	before int   // threads of the shares before it
	order  []int // in which these threads look into all shares
}

// sharesOf gives a pool's shares, in the order of their nodes, and which of them each
// thread has: one each, or where there are more threads than maxShares, one for some
// of a node.
func sharesOf(places []place, nodes int) (shares []share, own []int) {
	on := make([][]int, nodes)
	for i, p := range places {
		on[p.node] = append(on[p.node], i)
	}
	own = make([]int, len(places))
	before := 0
	for node, threads := range on {
		n := len(threads)
		if len(places) > maxShares {
			n = n*(maxShares-nodes)/len(places) + 1
		}
		for i := range n {
			first, end := len(threads)*i/n, len(threads)*(i+1)/n
			for _, t := range threads[first:end] {
				own[t] = len(shares)
			}
			shares = append(shares, share{node: node, before: before + first})
		}
		before += len(threads)
	}
	for i := range shares {
		shares[i].order = orderOf(shares, i)
	}
	return shares, own
}

// orderOf is the order for the threads of one share: it comes first, then the others of
// its node. Two threads that are through with the same number of shares look into
// different ones next, so that they do not take turns in one.
func orderOf(shares []share, own int) (order []int) {
	var others []int
	for i := range maxShares {
		switch s := own ^ i; {
		case s >= len(shares):
		case shares[s].node == shares[own].node:
			order = append(order, s)
		default:
			others = append(others, s)
		}
	}
	return append(order, others...)
}

// callersOf gives the share that a caller on each node begins with, the first one there.
func callersOf(shares []share, nodes int) []int {
	callers := make([]int, nodes)
	for i := len(shares) - 1; i >= 0; i-- {
		callers[shares[i].node] = i
	}
	return callers
}

// cut is the first of n chunks of a part that belongs to share i or to one after it.
func (p *Pool) cut(i, n int) int {
	if i == len(p.shares) {
		return n
	}
	return int(int64(n) * int64(p.shares[i].before) / int64(p.threads))
}

// chunksBefore is how many chunks of all the parts belong to shares before share i.
func (p *Pool) chunksBefore(i int, parts []int) (chunks int) {
	for _, n := range parts {
		chunks += p.cut(i, n)
	}
	return chunks
}

// chunkOf is the number of the k-th chunk of share i.
func (p *Pool) chunkOf(i, k int, parts []int) int {
	first := 0
	for _, n := range parts {
		from, to := p.cut(i, n), p.cut(i+1, n)
		if k < to-from {
			return first + from + k
		}
		k -= to - from
		first += n
	}
	return -1 // not reached: share i has more chunks
}

// nodesOf gives the node of each logical CPU, for the callers.
func nodesOf(places []place, m topology.Machine) []uint8 {
	last := 0
	for _, c := range m.CPUs {
		last = max(last, c)
	}
	index := make(map[int]uint8) // from the machine's nodes to the pool's
	for _, p := range places {
		index[nodeIn(m, p.cpus[0])] = uint8(p.node)
	}
	nodes := make([]uint8, last+1)
	for c := range nodes {
		nodes[c] = index[nodeIn(m, c)]
	}
	return nodes
}
