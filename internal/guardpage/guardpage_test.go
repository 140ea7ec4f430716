package guardpage_test

import (
	"os"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/guardpage"
)

// faults says whether a read and a write at offset bytes from b's start fault.
func faults(b []byte, offset int) (read, write bool) {
	p := (*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), offset))
	touch := func(f func()) (faulted bool) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { faulted = recover() != nil }()
		f()
		return false
	}
	var kept byte
	read = touch(func() { kept = *p })
	write = touch(func() { *p = kept })
	return read, write
}

func TestEdges(t *testing.T) {
	if !guardpage.Guarded {
		t.Skip("no pages without access on this system")
	}
	page := os.Getpagesize()
	for _, n := range []int{0, 1, 63, 64, page - 1, page, page + 1, 5*page + 17} {
		for _, b := range [][]byte{guardpage.End(t, n), guardpage.Begin(t, n)} {
			require.Len(t, b, n)
			require.Equal(t, n, cap(b))
			for i := range b {
				require.Zero(t, b[i])
				b[i] = byte(i)
			}
		}
		end, begin := guardpage.End(t, n), guardpage.Begin(t, n)
		for name, c := range map[string]struct {
			b      []byte
			offset int
		}{"after the end": {end, n}, "before the beginning": {begin, -1}} {
			read, write := faults(c.b, c.offset)
			require.True(t, read, "%d bytes, reading %s", n, name)
			require.True(t, write, "%d bytes, writing %s", n, name)
		}
		if n > 0 {
			read, write := faults(end, n-1)
			require.False(t, read || write, "the last byte of %d", n)
			read, write = faults(begin, 0)
			require.False(t, read || write, "the first byte of %d", n)
		}
	}
}

func TestEverywhere(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		require.Len(t, guardpage.End(t, n), n)
		require.Len(t, guardpage.Begin(t, n), n)
	}
}

func TestFreedWithTheTest(t *testing.T) {
	if !guardpage.Guarded {
		t.Skip("ordinary memory is freed by the collector")
	}
	var b []byte
	t.Run("inner", func(t *testing.T) { b = guardpage.End(t, 1) })
	read, _ := faults(b, 0)
	require.True(t, read)
}
