package bench

import "golang.org/x/sys/unix"

// bind restricts the calling thread to one CPU.
func bind(cpu int) error { return bindTo([]int{cpu}) }

// bindTo restricts the calling thread to some CPUs.
func bindTo(cpus []int) error {
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	return unix.SchedSetaffinity(0, &set)
}

// shortest is the shortest turn on a CPU that Linux gives, in nanoseconds.
const shortest = 100_000

// goFirst lets the calling thread, when it wakes, take its CPU from one that
// computes: as a thread that always goes first where the process may have such,
// else by asking for short turns. Where the system knows neither it waits for
// its turn, and probes say so.
func goFirst() {
	first := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if unix.SchedSetAttr(0, &first, 0) != nil {
		_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Runtime: shortest}, 0)
	}
}
