//go:build xpu && linux

package xpucpu_test

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"strconv"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/xpu/build"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// resident is the bytes of memory that the process has.
func resident(t testing.TB) int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.ParseInt(string(bytes.Fields(statm)[1]), 10, 64)
	require.NoError(t, err)
	return pages * int64(os.Getpagesize())
}

// allocated is the bytes that C has of malloc; -1 where it cannot be asked.
func allocated(t testing.TB) int64 {
	mallinfo2, err := purego.Dlsym(purego.RTLD_DEFAULT, "mallinfo2")
	if err != nil || runtime.GOARCH != "amd64" { // a large struct is returned through a first argument there
		return -1
	}
	out := new([10]uintptr)
	purego.SyscallN(mallinfo2, uintptr(unsafe.Pointer(out)))
	const inMaps, inUse = 4, 7 // hblkhd, uordblks
	return int64(out[inMaps] + out[inUse])
}

// cacheCapacity is how many primitives oneDNN keeps for the whole process.
func cacheCapacity(t testing.TB) (capacity int32) {
	library, err := purego.Dlopen(os.Getenv(build.Variable), purego.RTLD_NOW|purego.RTLD_LOCAL)
	require.NoError(t, err)
	defer func() { require.NoError(t, purego.Dlclose(library)) }()
	var get func(*int32) int32
	purego.RegisterLibFunc(&get, library, "dnnl_get_primitive_cache_capacity")
	require.Zero(t, get(&capacity))
	require.Positive(t, capacity)
	return capacity
}

// TestLoadAndUnload makes layers of a few shapes, whose primitives oneDNN then
// has, and layers of shapes that are all different, for which it compiles code anew
// each time, as its cache is smaller than what they need. Neither what is allocated nor the
// process grows: what is lost is lost in every round, while pieces that do not fit what was
// freed grow the process in some. All calls are on one thread, as glibc has a heap for each of several, and what is
// compiled fragments all of them: docs/measurements/xpu.md.
func TestLoadAndUnload(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	layers := 1000
	if testing.Short() {
		layers = 100
	}
	r := open(t)
	defer r.close()
	capacity := cacheCapacity(t)
	one := func(i int) {
		f := form{bits: 4, group: 32, n: 3 + i%311, k: 64 + 32*(i%7), m: 1 + i%5, x: types[i%3], y: types[i/3%3],
			recipe: []quant.RecipeKind{quant.Int8TokenXPU, quant.Exact}[i%2]}
		l, x := f.layer(t)
		made, _ := r.prepare(l, f)
		if i%4 == 0 {
			o := r.operands(made, x[:f.k], 1)
			require.NoError(t, made.Apply(r.stream, o.y, o.x, o.ws))
			o.close(t)
		}
		require.NoError(t, made.Close())
	}
	for _, c := range []struct {
		shapes int
		most   int64 // MiB more in a round that the process may have
	}{{8, 4}, {layers, 12}} {
		var used, held [5]int64
		for round := range used {
			for i := range layers {
				one(i % c.shapes)
			}
			runtime.GC()
			used[round], held[round] = resident(t)>>20, allocated(t)
		}
		t.Logf("%d layers of %d shapes, again and again: %d MiB, allocated by C %d bytes", layers, c.shapes, used, held)
		require.LessOrEqual(t, leastGrowth(used[1:]), c.most, "%d shapes", c.shapes)
		require.LessOrEqual(t, leastGrowth(held[1:]), int64(1<<20), "%d shapes: bytes that C allocated", c.shapes)
	}
	require.Equal(t, capacity, cacheCapacity(t), "the size of oneDNN's cache, which is everybody's")
}

// leastGrowth is the least from one value to the next.
func leastGrowth(values []int64) int64 {
	least := int64(math.MaxInt64)
	for i, v := range values[1:] {
		least = min(least, v-values[i])
	}
	return least
}

// TestPaddingTakesNothing: a layer whose K is padded, for many rows, holds no zeros for them
// beside what Bytes says.
func TestPaddingTakesNothing(t *testing.T) {
	r := open(t)
	defer r.close()
	f := form{bits: 4, group: -1, n: 8, k: 33, m: 1 << 20, x: dtype.F32, y: dtype.F32, recipe: quant.Exact}
	l, _ := form{bits: f.bits, group: f.group, n: f.n, k: f.k, m: 1, x: f.x}.layer(t)
	before := resident(t)
	made, _ := r.prepare(l, f)
	require.Equal(t, int64(512), made.Bytes())
	require.Less(t, resident(t)-before, int64(64<<20), "31 features of float32 are 124 MiB")
	require.NoError(t, made.Close())
}
