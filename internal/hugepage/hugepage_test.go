package hugepage

import (
	"math"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func alloc(t testing.TB, n int) *Block {
	t.Helper()
	b, err := Alloc(n)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func address(b *Block) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b.Bytes()))) }

func TestSizes(t *testing.T) {
	huge := max(Available().Size, 1<<20)
	for _, n := range []int{0, 1, Align - 1, Align, Align + 1, huge - 1, huge, huge + 1, 2*huge + Align + 5} {
		b := alloc(t, n)
		mem := b.Bytes()
		require.NotNil(t, mem)
		require.Len(t, mem, n)
		require.Equal(t, n, cap(mem))
		if n == 0 {
			continue
		}
		require.Zero(t, address(b)%Align)
		if size := Available().Size; size > 0 && n >= size {
			require.Zero(t, address(b)%uintptr(size))
		}
		for i := 0; i < n; i += 509 {
			require.Zero(t, mem[i])
			mem[i] = byte(i)
		}
		mem[n-1] = 7
	}
}

func TestBlocksAreApart(t *testing.T) {
	blocks := map[int]*Block{}
	for i := range 40 {
		b := alloc(t, 3000+i*70_000)
		for j := range b.Bytes() {
			b.Bytes()[j] = byte(i)
		}
		blocks[i] = b
	}
	for i, b := range blocks {
		if i%3 == 0 {
			require.NoError(t, b.Close())
			continue
		}
		for j := range b.Bytes() {
			if b.Bytes()[j] != byte(i) {
				t.Fatalf("byte %d of block %d is %d", j, i, b.Bytes()[j])
			}
		}
	}
}

func TestSizesThatCannotBe(t *testing.T) {
	for _, n := range []int{-1, math.MinInt, math.MaxInt, math.MaxInt - 1<<20, math.MaxInt>>1 + 1, math.MaxInt >> 1, math.MaxInt >> 2} {
		b, err := Alloc(n)
		require.Error(t, err, "%d", n)
		require.ErrorContains(t, err, "bytes")
		require.Nil(t, b)
	}
}

func TestCloseOnce(t *testing.T) {
	for _, n := range []int{0, 5, 5 << 20} {
		b := alloc(t, n)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Nil(t, b.Bytes())
	}
}

func TestTextOfPages(t *testing.T) {
	require.Equal(t, "2 MiB pages", Pages{Kind: Transparent, Size: 2 << 20}.String())
	require.Equal(t, "32 MiB pages (reserved)", Pages{Kind: Reserved, Size: 32 << 20}.String())
	require.Equal(t, "normal pages (why)", Pages{Size: 2 << 20, Reason: "why"}.String())
	p := Available()
	require.Equal(t, p.Kind == Normal, p.Reason != "", "a reason, and only for normal pages: %+v", p)
	require.Equal(t, p, Available())
}
