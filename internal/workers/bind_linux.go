package workers

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// bind restricts the calling thread to some logical CPUs.
func bind(cpus []int) error {
	var set unix.CPUSet
	for _, c := range cpus {
		if c >= 0 {
			set.Set(c)
		}
		if c < 0 || !set.IsSet(c) {
			return fmt.Errorf("no logical CPU %d", c)
		}
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("binding a thread to the logical CPUs %v: %w", cpus, err)
	}
	return nil
}
