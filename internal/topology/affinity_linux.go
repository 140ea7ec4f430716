package topology

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// allowed are the logical CPUs that any thread of the process may run on; nil
// when the kernel does not say. One thread's mask is not enough: the caller may
// have bound its own.
func allowed() []int {
	var all unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil {
		return nil
	}
	tasks, _ := os.ReadDir("/proc/self/task") // without it the caller's mask must do
	for _, task := range tasks {
		var one unix.CPUSet
		tid, err := strconv.Atoi(task.Name())
		if err != nil || unix.SchedGetaffinity(tid, &one) != nil {
			continue // the thread has ended
		}
		for i := range all {
			all[i] |= one[i]
		}
	}
	var cpus []int
	for c := range len(all) * 64 {
		if all.IsSet(c) {
			cpus = append(cpus, c)
		}
	}
	return cpus
}
