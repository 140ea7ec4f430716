package workers

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/bitlane/bitlane/internal/topology"
)

func TestWorkersAreBound(t *testing.T) {
	useProcs(t, 2)
	cpu := topology.Here().CPUs[0]
	p, err := newPool(Options{Threads: 2, CPUs: []int{cpu}}, hostOf(machine(1, 2)))
	require.NoError(t, err)
	defer p.Close()
	var worker unix.CPUSet
	on := -1
	runBoth(p, NewJob(), func() {
		_ = unix.SchedGetaffinity(0, &worker)
		on = thisCPU()
	})
	require.Equal(t, 1, worker.Count())
	require.True(t, worker.IsSet(cpu))
	require.Equal(t, cpu, on)
}

func TestBadCPUs(t *testing.T) {
	for _, cpu := range []int{-1, 1 << 20} {
		_, err := New(Options{Threads: 2, CPUs: []int{cpu}})
		require.ErrorContains(t, err, "no logical CPU")
	}
	var none unix.CPUSet
	_ = unix.SchedGetaffinity(0, &none)
	if !none.IsSet(1023) { // the kernel refuses a set without a usable CPU
		_, err := New(Options{Threads: 3, CPUs: []int{1023}})
		require.ErrorContains(t, err, "1023")
	}
}

// A processor that the process may not use is refused, even if no worker would be bound
// to it.
func TestForeignCPU(t *testing.T) {
	_, err := New(Options{Threads: 1, CPUs: []int{1023}})
	require.ErrorContains(t, err, "there is no logical CPU 1023")
}
