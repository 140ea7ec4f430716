package hostmem_test

import (
	"math"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

func TestLayerMemory(t *testing.T) {
	d := open(t, 100<<20)
	l := newDouble(t, d)
	var total int64
	for i, n := range []int{0, 1, 255, 4096, 1<<20 + 3, 2 << 20, 7<<20 + 1} {
		mem, err := l.Alloc(n)
		require.NoError(t, err)
		require.Len(t, mem, n)
		require.NotNil(t, mem)
		total += int64(n)
		require.Equal(t, backend.Alive{Buffers: i + 1, Layers: 1, Bytes: total}, d.Alive())
		require.Equal(t, total, l.Bytes())
		free, _, err := d.Mem()
		require.NoError(t, err)
		require.Equal(t, 100<<20-total, free)
		if n > 0 {
			require.Zero(t, uintptr(unsafe.Pointer(&mem[0]))%backend.WorkspaceAlign)
			mem[0], mem[n-1] = 1, 2
		}
	}
	require.ErrorIs(t, d.Close(), backend.ErrBusy)
	require.NoError(t, l.Close())
	require.Zero(t, d.Alive())
	require.NoError(t, d.Close())
}

func TestLayerMemoryRefused(t *testing.T) {
	// More than any processor addresses, but within the limit: the system refuses.
	const tooMuch = 1 << 52
	d := open(t, 2*tooMuch)
	l := newDouble(t, d)
	alive := d.Alive()
	for n, class := range map[int]error{
		-1: backend.ErrShape, math.MinInt: backend.ErrShape,
		tooMuch: backend.ErrOutOfMemory, 2*tooMuch + 1: backend.ErrOutOfMemory,
		math.MaxInt: backend.ErrOutOfMemory, math.MaxInt - 4095: backend.ErrOutOfMemory, math.MaxInt - 2<<20: backend.ErrOutOfMemory,
	} {
		mem, err := l.Alloc(n)
		require.ErrorIs(t, err, class, "%d", n)
		require.Nil(t, mem)
		require.Equal(t, alive, d.Alive())
		_, err = d.Alloc(n)
		require.ErrorIs(t, err, class, "%d", n)
		require.Equal(t, alive, d.Alive())
	}
	require.Equal(t, 10, d.FailAlloc(0), "allocations of the five sizes that are not negative")
	_, err := l.Alloc(5)
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.ErrorContains(t, err, "made to fail")
	require.Equal(t, alive, d.Alive())
	require.Zero(t, l.Bytes())
	_, err = l.Alloc(5)
	require.NoError(t, err)

	require.NoError(t, l.Close())
	_, err = l.Alloc(5)
	require.ErrorIs(t, err, backend.ErrClosed)
	require.Zero(t, d.Alive())
}

func TestLayerMemoryOutsideTheHeap(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("layers are in Go's heap on this system")
	}
	var before, after runtime.MemStats
	l := newDouble(t, open(t, 0))
	runtime.ReadMemStats(&before)
	mem, err := l.Alloc(64 << 20)
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	mem[0] = 1
	require.NoError(t, l.Close())
}

// TestLayersOfManyGoroutines makes and closes layers while others are read, so
// that a block given back while in use would be a fault.
func TestLayersOfManyGoroutines(t *testing.T) {
	d := open(t, 0)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 20 {
				l := newDouble(t, d)
				n := 1<<20 + i*100_000
				mem, err := l.Alloc(n)
				if err != nil {
					t.Error(err)
					return
				}
				var used sync.WaitGroup
				for at := 0; at < n; at += 4096 {
					mem[at] = byte(g + i)
				}
				if err := l.EnterUse(); err != nil {
					t.Error(err)
				}
				used.Go(func() {
					defer l.Leave()
					for at := 0; at < n; at += 4096 {
						if mem[at] != byte(g+i) {
							t.Errorf("byte %d of layer %d of goroutine %d is %d", at, i, g, mem[at])
							return
						}
					}
				})
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				used.Wait()
			}
		})
	}
	all.Wait()
	require.Zero(t, d.Alive())
}
