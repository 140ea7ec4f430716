package hugepage

import (
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const testHuge = 2 << 20

// watchedSystem is the system's memory in chunks for huge pages, whether it has
// such or not, with the account of what an Arena holds.
type watchedSystem struct {
	t     testing.TB
	mu    sync.Mutex
	pages map[uintptr]bool // mapped
	full  bool             // no mapping is to be had
	stuck bool             // none can be cut
}

func newArena(t testing.TB) (*Arena, *watchedSystem) {
	w := &watchedSystem{t: t, pages: map[uintptr]bool{}}
	return &Arena{from: &system{huge: testHuge, obtain: w.obtain, unmap: w.unmap}}, w
}

func (w *watchedSystem) obtain(bytes int) ([]byte, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full {
		return nil, 0, unix.ENOMEM
	}
	mem, mapped, err := Pages{Kind: Transparent, Size: testHuge}.obtain(bytes)
	if err == nil {
		start := uintptr(unsafe.Pointer(&mem[0]))
		for page := start; page < start+uintptr(mapped); page += testHuge {
			w.pages[page] = true
		}
	}
	return mem, mapped, err
}

func (w *watchedSystem) unmap(start unsafe.Pointer, bytes int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stuck {
		return unix.ENOMEM
	}
	for page := uintptr(start); page < uintptr(start)+uintptr(bytes); page += testHuge {
		if !w.pages[page] {
			w.t.Errorf("page %#x is unmapped and was not mapped", page)
		}
		delete(w.pages, page)
	}
	return unmap(start, bytes)
}

// held returns the mapped bytes.
func (w *watchedSystem) held() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pages) * testHuge
}

// has says whether a block is in what the Arena mapped, and not by itself.
func (w *watchedSystem) has(b *Block) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pages[address(b)/testHuge*testHuge]
}

func allocIn(t testing.TB, a *Arena, n int) *Block {
	t.Helper()
	b, err := a.Alloc(n)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// stamp writes to every page of a block, which must be zero there.
func stamp(t testing.TB, b *Block, with byte) {
	mem := b.Bytes()
	for at := 0; at < len(mem); at += Align {
		end := min(at+Align, len(mem)) - 1
		if mem[at] != 0 || mem[end] != 0 {
			t.Errorf("bytes %d, %d of a new block of %d are %d, %d", at, end, len(mem), mem[at], mem[end])
			return
		}
		mem[at], mem[end] = with, with
	}
}

// stamped looks for what stamp wrote.
func stamped(t testing.TB, b *Block, with byte) {
	mem := b.Bytes()
	for at := 0; at < len(mem); at += Align {
		if end := min(at+Align, len(mem)) - 1; mem[at] != with || mem[end] != with {
			t.Errorf("bytes %d, %d of a block of %d are %d, %d, want %d", at, end, len(mem), mem[at], mem[end], with)
			return
		}
	}
}

// TestArenaHoldsWhatItMust makes and closes blocks of all sizes in random order.
// What is mapped then is each page with bytes of an open block, those after the
// newest block, and no other.
func TestArenaHoldsWhatItMust(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	a, w := newArena(t)
	type open struct {
		*Block
		with byte
	}
	var blocks []open
	steps, most := 1500, 30
	if testing.Short() {
		steps = 300
	}
	for step := range steps {
		if step%250 == 249 { // and none at all
			most = 0
		} else if most == 0 && len(blocks) == 0 {
			most = 10 + rng.IntN(30)
		}
		if len(blocks) > 0 && (len(blocks) >= most || rng.IntN(3) == 0) {
			i := rng.IntN(len(blocks))
			stamped(t, blocks[i].Block, blocks[i].with)
			require.NoError(t, blocks[i].Close())
			blocks[i] = blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
		} else {
			n := 1 + rng.IntN(Align*[]int{1, 100, 300, 2000}[rng.IntN(4)])
			if rng.IntN(40) == 0 {
				n = (chunkPages+rng.IntN(3)-1)*testHuge + rng.IntN(3)*Align // about a chunk
			}
			b, err := a.Alloc(n)
			require.NoError(t, err)
			require.Len(t, b.Bytes(), n)
			require.Equal(t, n, cap(b.Bytes()))
			require.Zero(t, address(b)%Align)
			for _, o := range blocks {
				apart := address(b)+uintptr(n) <= address(o.Block) || address(o.Block)+uintptr(len(o.Bytes())) <= address(b)
				require.True(t, apart, "blocks overlap")
			}
			o := open{b, byte(1 + rng.IntN(255))}
			stamp(t, b, o.with)
			blocks = append(blocks, o)
		}
		want, living := map[uintptr]bool{}, 0
		for _, o := range blocks {
			if o.in != nil {
				for page := address(o.Block) / testHuge * testHuge; page < address(o.Block)+uintptr(len(o.Bytes())); page += testHuge {
					want[page] = true
				}
			}
			if o.arena != nil {
				living += len(o.Bytes())
			}
		}
		if c := a.newest; c != nil {
			for page := roundUp(c.next, testHuge); page < len(c.users)*testHuge; page += testHuge {
				want[uintptr(c.start)+uintptr(page)] = true
			}
		}
		require.Equal(t, want, w.pages)
		require.Equal(t, living, a.living)
	}
	for _, o := range blocks {
		stamped(t, o.Block, o.with)
		require.NoError(t, o.Close())
	}
	require.Empty(t, w.pages)
	require.Nil(t, a.newest)
	require.Zero(t, a.living)
}

// TestNeighbours closes three in the order in which the one in the middle goes last.
func TestNeighbours(t *testing.T) {
	const n = 5*testHuge/2 - 100 // 2.5 huge pages, 7.5 of 3
	a, w := newArena(t)
	first, middle, last := allocIn(t, a, n), allocIn(t, a, n), allocIn(t, a, n)
	require.Equal(t, address(first)+5*testHuge/2, address(middle))
	require.Equal(t, address(middle)+5*testHuge/2, address(last))
	rest := (chunkPages - 8) * testHuge
	require.Equal(t, 8*testHuge+rest, w.held())
	require.NoError(t, last.Close())
	require.Equal(t, 5*testHuge+rest, w.held(), "the last one's pages, and what was left of its last one")
	require.NoError(t, first.Close())
	require.Equal(t, 3*testHuge+rest, w.held())
	require.NoError(t, middle.Close())
	require.Zero(t, w.held())
}

func TestUnusedRestIsGivenBack(t *testing.T) {
	a, w := newArena(t)
	old := allocIn(t, a, 3*testHuge)
	large := allocIn(t, a, chunkPages*testHuge+1)
	require.Equal(t, (3+2*chunkPages)*testHuge, w.held(), "the old chunk has its block alone")
	next := allocIn(t, a, testHuge)
	require.Equal(t, address(large)+chunkPages*testHuge+Align, address(next))
	require.NoError(t, large.Close())
	require.NoError(t, old.Close())
	require.Equal(t, chunkPages*testHuge, w.held())
	fits := allocIn(t, a, (chunkPages-1)*testHuge-Align)
	require.Equal(t, address(next)+testHuge, address(fits), "all that is left")
	require.Equal(t, chunkPages*testHuge, w.held())
}

// TestFewBytesBeginNoHugePage is about the first blocks of an Arena.
func TestFewBytesBeginNoHugePage(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector watches small blocks in Go's heap")
	}
	const n = 100 << 10
	a, w := newArena(t)
	var blocks []*Block
	for range 5 {
		b := allocIn(t, a, n)
		require.False(t, w.has(b))
		blocks = append(blocks, b)
	}
	require.Zero(t, w.held())
	shared := allocIn(t, a, n)
	require.True(t, w.has(shared), "six are more than a quarter of a huge page")
	for _, b := range blocks {
		require.NoError(t, b.Close())
	}
	require.True(t, w.has(allocIn(t, a, n)), "begins none")
}

func TestWithoutRoomForAChunk(t *testing.T) {
	const n = 3 << 20
	a, w := newArena(t)
	w.full = true
	alone := allocIn(t, a, n)
	require.False(t, w.has(alone))
	stamp(t, alone, 1)
	w.full = false
	require.True(t, w.has(allocIn(t, a, n)))
	w.full = true
	require.False(t, w.has(allocIn(t, a, chunkPages*testHuge)))
	require.True(t, w.has(allocIn(t, a, n)), "the chunk that there is has room")
	_, err := a.Alloc(1 << 52)
	require.ErrorContains(t, err, "bytes")
	w.full = false
	_, err = a.Alloc(1 << 52)
	require.ErrorContains(t, err, "bytes")
	require.Equal(t, 3*n+chunkPages*testHuge, a.living)
}

// TestRefusedReturn is about a process that has as many mappings as it may.
func TestRefusedReturn(t *testing.T) {
	const n = 4 * testHuge
	for _, reversed := range []bool{false, true} {
		a, w := newArena(t)
		x, y := allocIn(t, a, n), allocIn(t, a, n)
		stamp(t, x, 3)
		held := w.held()
		if reversed {
			x, y = y, x
		}
		w.stuck = true
		require.ErrorIs(t, x.Close(), unix.ENOMEM)
		require.NoError(t, x.Close(), "said once")
		require.Equal(t, held, w.held())
		z := allocIn(t, a, n)
		stamp(t, z, 4)
		require.ErrorIs(t, y.Close(), unix.ENOMEM)
		require.ErrorIs(t, z.Close(), unix.ENOMEM)
		require.Equal(t, held, w.held(), "nothing is lost")
		w.stuck = false
		other := allocIn(t, a, n)
		require.NoError(t, other.Close())
		require.Zero(t, w.held(), "it is tried again")
		require.Empty(t, a.owed)
	}
}

func TestArenaOfManyGoroutines(t *testing.T) {
	a, w := newArena(t)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range 30 {
				b, err := a.Alloc(watched + rng.IntN(2*testHuge))
				if err != nil {
					t.Error(err)
					return
				}
				stamp(t, b, byte(g+1))
				stamped(t, b, byte(g+1))
				var closers sync.WaitGroup
				for range 2 {
					closers.Go(func() {
						if err := b.Close(); err != nil {
							t.Error(err)
						}
					})
				}
				closers.Wait()
				if b.Bytes() != nil {
					t.Error("closed, and has bytes")
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, w.held())
	require.Zero(t, a.living)
}

// TestUseAfterCloseBesideOthers shows where that is a fault, and that it is
// nobody else's memory where it is none.
func TestUseAfterCloseBesideOthers(t *testing.T) {
	const n = 3*testHuge + 300<<10
	a, _ := newArena(t)
	b, neighbour := allocIn(t, a, n), allocIn(t, a, n)
	kept := b.Bytes()
	stamp(t, b, 5)
	require.NoError(t, b.Close())
	faults := func(at int) (faulted bool) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { faulted = recover() != nil }()
		kept[at]++
		return false
	}
	for at := 0; at < 3*testHuge; at += testHuge / 2 {
		require.True(t, faults(at), "%d", at)
	}
	require.EqualValues(t, 5, kept[n-1])
	require.False(t, faults(n-1))
	stamp(t, neighbour, 6)
	stamp(t, allocIn(t, a, n), 7)
	require.NoError(t, neighbour.Close())
	require.True(t, faults(n-1))
}

// TestHugePagesToTheEnd writes the last byte of each block, which is in a huge
// page of which nothing was written before, and looks whether what is before it
// came, too.
func TestHugePagesToTheEnd(t *testing.T) {
	p := Available()
	if p.Kind != Transparent {
		t.Skipf("no device: blocks are in %v", p)
	}
	for _, n := range []int{p.Size * 5 / 4, p.Size * 17 / 16} {
		var a Arena
		came := 0
		for range 12 {
			b := allocIn(t, &a, n)
			require.NotNil(t, b.in)
			end := b.Bytes()[n-p.Size/16:]
			for at := 0; at < len(end); at += Align {
				require.False(t, resident(end[at:at+Align]), "allocated, and touched")
			}
			end[len(end)-1] = 1
			if resident(end) {
				came++
			}
		}
		require.Positive(t, came, "the probe got one, so there are some")
	}
}

// TestNoHugePagesToShare is about other kinds of pages.
func TestNoHugePagesToShare(t *testing.T) {
	a := &Arena{from: &system{}}
	b := allocIn(t, a, 5<<20)
	require.Nil(t, b.arena)
	stamp(t, b, 1)
	var usual Arena
	require.Equal(t, Available().Kind == Transparent, allocIn(t, &usual, 5<<20).in != nil)
	for _, n := range []int{-1, 0} {
		mine, err := usual.Alloc(n)
		alone, expected := Alloc(n)
		require.Equal(t, expected, err)
		require.Equal(t, alone, mine)
	}
}
