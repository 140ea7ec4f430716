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
	groups := make([][]int, min(len(m.Nodes), maxNodes))
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
func nodeIn(m topology.Machine, cpu int) int { return min(m.Of(cpu), maxNodes-1) }

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

// before counts the threads on the nodes before each, and last all of them.
func before(places []place, nodes int) []int {
	count := make([]int, nodes+1)
	for _, p := range places {
		count[p.node+1]++
	}
	for i := range nodes {
		count[i+1] += count[i]
	}
	return count
}

// cut is the first of n chunks of a part that belongs to a node or to one
// after it.
func (p *Pool) cut(node, n int) int { return int(int64(n) * int64(p.before[node]) / int64(p.threads)) }

// shareOf is how many chunks of all the parts belong to a node.
func (p *Pool) shareOf(node int, parts []int) (chunks int) {
	for _, n := range parts {
		chunks += p.cut(node+1, n) - p.cut(node, n)
	}
	return chunks
}

// chunkOf is the number of the i-th chunk of a node's share.
func (p *Pool) chunkOf(node, i int, parts []int) int {
	first := 0
	for _, n := range parts {
		from, to := p.cut(node, n), p.cut(node+1, n)
		if i < to-from {
			return first + from + i
		}
		i -= to - from
		first += n
	}
	return -1 // not reached: i is below shareOf
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
