package hostmem

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

func TestMeminfo(t *testing.T) {
	free, total, err := parseMeminfo([]byte("MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable:    1024 kB\n"))
	require.NoError(t, err)
	require.EqualValues(t, 16<<20, total)
	require.EqualValues(t, 1<<20, free)
	_, _, err = parseMeminfo([]byte("MemFree: 5 kB\n"))
	require.ErrorIs(t, err, backend.ErrUnsupported)
	require.ErrorContains(t, err, "MemoryLimit")
}

func TestUnaddressableLengths(t *testing.T) {
	_, err := alignedBytes(1 << 62)
	require.ErrorContains(t, err, "bytes")
}

// TestClosedLayerReturnsItsMemory looks at what the system counts.
func TestClosedLayerReturnsItsMemory(t *testing.T) {
	const size, most = 96 << 20, 16 << 20 // most: of anything else that moves meanwhile
	l, err := NewLayer(New(backend.DeviceInfo{}, backend.OpenOptions{}), backend.Spec{})
	require.NoError(t, err)
	virtual, resident := statm(t)
	mem, err := l.Alloc(size)
	require.NoError(t, err)
	for at := 0; at < size; at += 4096 {
		mem[at] = 1
	}
	withVirtual, withResident := statm(t)
	require.GreaterOrEqual(t, withVirtual, virtual+size-most)
	require.GreaterOrEqual(t, withResident, resident+size-most)
	require.NoError(t, l.Close())
	afterVirtual, afterResident := statm(t)
	require.LessOrEqual(t, afterVirtual, withVirtual-size+most)
	require.LessOrEqual(t, afterResident, withResident-size+most)
}

// statm returns the bytes of this process, mapped and in memory.
func statm(t testing.TB) (virtual, resident int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	_, err = fmt.Sscan(string(text), &virtual, &resident)
	require.NoError(t, err)
	return virtual * os.Getpagesize(), resident * os.Getpagesize()
}
