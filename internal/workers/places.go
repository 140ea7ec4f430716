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
	before   int // threads of the shares before it
	from, to int // the shares of its node
}

// sharesOf gives a pool's shares, in the order of their nodes and last one that is
// none, and which of them each thread has: one each, or where there are more threads
// than maxShares, one for neighbours on a node.
func sharesOf(places []place, nodes int) (shares []share, own []int) {
	on := make([][]int, nodes)
	for i, p := range places {
		on[p.node] = append(on[p.node], i)
	}
	own = make([]int, len(places))
	before := 0
	for _, threads := range on {
		n := len(threads)
		if len(places) > maxShares {
			n = n*(maxShares-nodes)/len(places) + 1
		}
		from := len(shares)
		for i := range n {
			first, end := len(threads)*i/n, len(threads)*(i+1)/n
			for _, t := range threads[first:end] {
				own[t] = len(shares)
			}
			shares = append(shares, share{before + first, from, from + n})
		}
		before += len(threads)
	}
	return append(shares, share{before: before}), own
}

// callersOf gives the share that a caller on each node begins with.
func callersOf(places []place, shares []share, own []int, nodes int) []int {
	callers := make([]int, nodes)
	for i, p := range places {
		callers[p.node] = shares[own[i]].from
	}
	callers[places[0].node] = own[0]
	return callers
}

// cut is the first of n chunks of a part that belongs to a share or to one after it.
func (p *Pool) cut(share, n int) int {
	return int(int64(n) * int64(p.shares[share].before) / int64(p.threads))
}

// chunksOf is how many chunks of all the parts belong to a share.
func (p *Pool) chunksOf(share int, parts []int) (chunks int) {
	for _, n := range parts {
		chunks += p.cut(share+1, n) - p.cut(share, n)
	}
	return chunks
}

// chunkOf is the number of the i-th chunk of a share.
func (p *Pool) chunkOf(share, i int, parts []int) int {
	first := 0
	for _, n := range parts {
		from, to := p.cut(share, n), p.cut(share+1, n)
		if i < to-from {
			return first + from + i
		}
		i -= to - from
		first += n
	}
	return -1 // not reached: i is below chunksOf
}

// after is the i-th share that is looked into by who begins with own: those of its
// node come first.
func (p *Pool) after(own, i int) int {
	s := p.shares[own]
	if size := s.to - s.from; i < size {
		if own += i; own >= s.to {
			own -= size
		}
		return own
	}
	return (s.from + i) % p.ranges()
}

// ranges is the number of shares.
func (p *Pool) ranges() int { return len(p.shares) - 1 }

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
