package topology

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestBoundCallerSeesAll asks from a thread that is bound to one CPU.
func TestBoundCallerSeesAll(t *testing.T) {
	before := Here().CPUs
	done := make(chan []int)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var one unix.CPUSet
		one.Set(before[0])
		if unix.SchedSetaffinity(0, &one) != nil {
			close(done)
			return
		}
		done <- Here().CPUs
	}()
	require.Equal(t, before, <-done)
}
