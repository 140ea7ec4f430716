package workers

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestWorkersAreBound(t *testing.T) {
	var ours unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &ours))
	cpu := 0
	for !ours.IsSet(cpu) {
		cpu++
	}
	p, err := New(Options{Threads: 2, CPUs: []int{cpu}})
	require.NoError(t, err)
	defer p.Close()
	var worker unix.CPUSet
	ran := make(chan struct{})
	p.Run(NewJob(), taskFunc(func(w, _ int) {
		if w == 1 {
			_ = unix.SchedGetaffinity(0, &worker)
			close(ran)
		}
		<-ran
	}), 2, 2)
	require.Equal(t, 1, worker.Count())
	require.True(t, worker.IsSet(cpu))
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
