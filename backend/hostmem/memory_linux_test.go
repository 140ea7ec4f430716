package hostmem

import (
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
