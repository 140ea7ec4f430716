package hugepage

import (
	"bufio"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAllocTouchesNothing(t *testing.T) {
	if Available().Kind == Reserved {
		require.True(t, resident(alloc(t, Available().Size).Bytes()), "pages of the pool are touched at once")
		return
	}
	b := alloc(t, 8<<20)
	for at := 0; at < 8<<20; at += 64 << 10 {
		require.False(t, resident(b.Bytes()[at:][:64<<10]), "byte %d", at)
	}
}

// TestHugePagesCome counts them in two ways: one write brings a whole one, and
// the system's own account of the mapping has them all.
func TestHugePagesCome(t *testing.T) {
	p := Available()
	if p.Kind != Transparent {
		require.Equal(t, p.Kind == Normal, p.Reason != "")
		return
	}
	const n = 8
	b := alloc(t, n*p.Size+12345)
	came := 0
	for at := 0; at+p.Size <= len(b.Bytes()); at += p.Size {
		b.Bytes()[at] = 1
		if resident(b.Bytes()[at:][:p.Size]) {
			came++
		}
	}
	require.Positive(t, came, "the probe got one, so there are some")
	require.GreaterOrEqual(t, hugeBytes(t, b), came*p.Size)
	require.False(t, resident(b.Bytes()[n*p.Size:]), "what is beyond the last whole huge page is not touched with it")
}

// hugeBytes returns AnonHugePages of the mapping that holds b, which may have
// neighbours of b in it.
func hugeBytes(t testing.TB, b *Block) int {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	require.NoError(t, err)
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		var kib int
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= address(b) && address(b) < to
		}
		if n, _ := fmt.Sscanf(lines.Text(), "AnonHugePages: %d kB", &kib); n == 1 && inside {
			return kib << 10
		}
	}
	t.Fatal("no mapping holds the block")
	return 0
}

// TestSwitchedOff takes transparent huge pages away from this process.
func TestSwitchedOff(t *testing.T) {
	before := probe()
	err := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0)
	off := probe()
	if err == nil {
		require.NoError(t, unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0))
		require.NotEqual(t, Transparent, off.Kind)
	}
	if err == nil && off.Kind == Normal && before.Kind == Transparent {
		require.Equal(t, "transparent huge pages are switched off for this process", off.Reason)
	}
	require.Equal(t, before.Size, off.Size)
	require.Equal(t, off.Kind == Normal, off.Reason != "")
}

func TestReasons(t *testing.T) {
	const madvise, never, inherit = "always [madvise] never", "always madvise [never]", "always [inherit] madvise never"
	for want, f := range map[string]facts{
		"no transparent huge pages":        {size: 2 << 20},
		"the kernel has no":                {enabled: madvise},
		"512 MiB":                          {size: 512 << 20, enabled: madvise},
		"transparent_hugepage/enabled is":  {size: 2 << 20, enabled: never, ofSize: never},
		"hugepages-2048kB/enabled is":      {size: 2 << 20, enabled: madvise, ofSize: "always inherit madvise [never]"},
		"for this process":                 {size: 2 << 20, enabled: madvise, ofSize: inherit, disabled: 1},
		"no huge page when asked":          {size: 2 << 20, enabled: madvise, ofSize: inherit},
		"the system had no huge page when": {size: 2 << 20, enabled: madvise, disabled: 2}, // off but for those who ask
	} {
		require.Contains(t, f.reason(), want)
	}
}

// TestPool works with the machine's pool where it has room, and without it
// shows that nothing is left.
func TestPool(t *testing.T) {
	const size = 2 << 20
	room := poolPages(t)
	for _, n := range []int{size, size + 1, 2*size - 1, 3*size + 100_000} {
		mem, mapped, err := fromPool(n, size)
		if room < n/size+1 {
			require.Error(t, err)
			require.Zero(t, mapped)
			require.Nil(t, mem)
			continue
		}
		require.NoError(t, err)
		require.Len(t, mem, n)
		require.Zero(t, uintptr(unsafe.Pointer(&mem[0]))%size)
		require.True(t, resident(mem[:n/size*size]))
		require.Equal(t, room-n/size, poolPages(t), "huge pages for whole ones only")
		for i := range mem {
			mem[i] = byte(i)
		}
		require.NoError(t, unmap(unsafe.Pointer(&mem[0]), mapped))
		require.Equal(t, room, poolPages(t))
	}
}

// TestPoolRunsOut takes more blocks than a small pool has room for.
func TestPoolRunsOut(t *testing.T) {
	const size, n = 2 << 20, 5<<20 + 1
	var blocks []Block
	for range min(poolPages(t)/2+3, 50) {
		mem, mapped, err := Pages{Kind: Reserved, Size: size}.obtain(n)
		require.NoError(t, err)
		require.Len(t, mem, n)
		mem[0], mem[n-1] = 1, 2
		blocks = append(blocks, Block{mem: mem, mapped: mapped})
	}
	for i := range blocks {
		require.NoError(t, blocks[i].Close())
	}
}

// poolPages returns HugePages_Free less those promised, where the pool has
// pages of 2 MiB.
func poolPages(t testing.TB) int {
	t.Helper()
	f, err := os.Open("/proc/meminfo")
	require.NoError(t, err)
	defer f.Close()
	var free, promised, kib int
	for lines := bufio.NewScanner(f); lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "HugePages_Free: %d", &free)
		_, _ = fmt.Sscanf(lines.Text(), "HugePages_Rsvd: %d", &promised)
		_, _ = fmt.Sscanf(lines.Text(), "Hugepagesize: %d kB", &kib)
	}
	if kib != 2048 {
		return 0
	}
	return free - promised
}
