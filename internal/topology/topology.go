package topology

import (
	"io/fs"
	"math"
	"os"
	"runtime"
	"slices"
)

// Machine is what the process may use of the machine it runs on.
type Machine struct {
	CPUs  []int   // numbers of the logical CPUs, ascending; at least one
	Nodes [][]int // the same CPUs by memory node, ascending; nodes without any of them are left out
	Quota float64 // CPUs' worth of processor time that the control groups grant; 0: no limit
}

// Here is the machine of this process at this moment.
func Here() Machine {
	cpus := allowed()
	if cpus == nil {
		cpus = make([]int, runtime.NumCPU())
		for i := range cpus {
			cpus[i] = i
		}
	}
	if runtime.GOOS != "linux" {
		return Machine{CPUs: cpus, Nodes: [][]int{cpus}}
	}
	return Read(os.DirFS("/"), cpus)
}

// Read is the machine whose /sys and /proc are in root, of which the process
// may use some logical CPUs, ascending and at least one. A file that is missing
// or does not read as Linux writes it counts for nothing.
func Read(root fs.FS, cpus []int) Machine {
	return Machine{CPUs: cpus, Nodes: nodes(root, cpus), Quota: quota(root)}
}

// Threads is how many threads can be busy at once when the program asked for
// procs: no more than there are CPUs, nor than the quota keeps running, rounded
// up.
func (m Machine) Threads(procs int) int {
	n := min(procs, len(m.CPUs))
	if m.Quota > 0 {
		n = min(n, int(math.Ceil(m.Quota)))
	}
	return max(n, 1)
}

// Of returns the index in Nodes of the node of a logical CPU, or 0 when no node
// has it.
func (m Machine) Of(cpu int) int {
	for i, node := range m.Nodes {
		if slices.Contains(node, cpu) {
			return i
		}
	}
	return 0
}
