//go:build linux || darwin

package hugepage

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestUseAfterClose shows that nobody else's memory is read.
func TestUseAfterClose(t *testing.T) {
	b := alloc(t, 64<<20)
	kept := b.Bytes()
	kept[20<<20] = 1
	require.NoError(t, b.Close())
	faulted := func() (faulted bool) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { faulted = recover() != nil }()
		kept[20<<20]++
		return false
	}()
	require.True(t, faulted)
}

func TestOutsideTheHeap(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b := alloc(t, 64<<20)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	require.Len(t, b.Bytes(), 64<<20)
}

func TestAlignment(t *testing.T) {
	page := os.Getpagesize()
	for align := page; align <= 16<<20; align *= 2 {
		for range 5 {
			mem, mapped, err := mapMemory(3*page+1, align)
			require.NoError(t, err)
			require.Equal(t, 4*page, mapped)
			require.Zero(t, uintptr(unsafe.Pointer(&mem[0]))%uintptr(align))
			mem[3*page] = 1
			require.NoError(t, unmap(unsafe.Pointer(&mem[0]), mapped))
		}
	}
}
