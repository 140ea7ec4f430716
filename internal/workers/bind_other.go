//go:build !linux

package workers

import (
	"fmt"
	"runtime"
)

// bind is only known for Linux.
func bind([]int) error {
	return fmt.Errorf("threads cannot be bound to logical CPUs on %s", runtime.GOOS)
}
