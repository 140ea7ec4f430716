package hostmem

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/internal/hugepage"
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

// TestLayersReturnTheirMemoryInAnyOrder holds what the system counts to the
// bytes of the layers that are open and a huge page at each end of them.
func TestLayersReturnTheirMemoryInAnyOrder(t *testing.T) {
	const most, mostMapped = 16 << 20, 100 << 20 // of anything else that moves meanwhile: Go's heap grows by 64 MiB of addresses
	huge := hugepage.Available().Size
	rng := rand.New(rand.NewPCG(3, 4))
	d := New(backend.DeviceInfo{}, backend.OpenOptions{})
	virtual, resident := statm(t)
	for range 3 {
		var layers []*Layer
		var bytes int
		for range 40 {
			l, n := newLayer(t, d, 1<<20+rng.IntN(8<<20))
			layers, bytes = append(layers, l), bytes+n
		}
		_, with := statm(t)
		require.GreaterOrEqual(t, with, resident+bytes-most)
		require.LessOrEqual(t, with, resident+bytes+4*huge+most, "all layers are open: only the last one of a mapping leaves a part of a page")
		for len(layers) > 0 {
			i := rng.IntN(len(layers))
			bytes -= int(layers[i].Bytes())
			require.NoError(t, layers[i].Close())
			layers[i], layers = layers[len(layers)-1], layers[:len(layers)-1]
			_, with := statm(t)
			require.LessOrEqual(t, with, resident+bytes+2*huge*len(layers)+most)
		}
		afterVirtual, afterResident := statm(t)
		require.LessOrEqual(t, afterVirtual, virtual+mostMapped)
		require.LessOrEqual(t, afterResident, resident+most)
	}
	require.NoError(t, d.Close())
}

// TestLayersThatStay leaves a small layer beside each large one that comes and
// goes.
func TestLayersThatStay(t *testing.T) {
	const most, mostMapped, rounds = 16 << 20, 100 << 20, 12
	huge := hugepage.Available().Size
	d := New(backend.DeviceInfo{}, backend.OpenOptions{})
	virtual, resident := statm(t)
	var stay []*Layer
	for range rounds {
		large, _ := newLayer(t, d, 90<<20)
		small, _ := newLayer(t, d, 1<<20)
		require.NoError(t, large.Close())
		stay = append(stay, small)
	}
	withVirtual, withResident := statm(t)
	require.LessOrEqual(t, withResident, resident+rounds*(1<<20+2*huge)+most)
	require.LessOrEqual(t, withVirtual, virtual+rounds*(1<<20+2*huge)+64*huge+mostMapped)
	for _, l := range stay {
		require.NoError(t, l.Close())
	}
}

// TestLayersAreBesideEachOther shows that layers of a device share huge pages
// where the system gives them on request, and their contents when one is closed.
func TestLayersAreBesideEachOther(t *testing.T) {
	const n = 3<<20 + 100
	d := New(backend.DeviceInfo{}, backend.OpenOptions{})
	var layers []*Layer
	var mem [3][]byte
	for i := range mem {
		l, err := NewLayer(d, backend.Spec{})
		require.NoError(t, err)
		mem[i], err = l.Alloc(n)
		require.NoError(t, err)
		layers = append(layers, l)
		mem[i][0], mem[i][n-1] = byte(i), byte(i)
	}
	if hugepage.Available().Kind == hugepage.Transparent {
		for i := range mem[1:] {
			between := uintptr(unsafe.Pointer(&mem[i+1][0])) - uintptr(unsafe.Pointer(&mem[i][n-1]))
			require.Less(t, between, uintptr(hugepage.Align))
		}
	}
	require.NoError(t, layers[0].Close())
	require.NoError(t, layers[2].Close())
	require.Equal(t, [2]byte{1, 1}, [2]byte{mem[1][0], mem[1][n-1]})
	require.NoError(t, layers[1].Close())
	require.NoError(t, d.Close())
}

// newLayer returns a layer of n bytes, each page written to.
func newLayer(t testing.TB, d *Device, n int) (*Layer, int) {
	t.Helper()
	l, err := NewLayer(d, backend.Spec{})
	require.NoError(t, err)
	mem, err := l.Alloc(n)
	require.NoError(t, err)
	for at := 0; at < n; at += 4096 {
		mem[at] = 1
	}
	return l, n
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
