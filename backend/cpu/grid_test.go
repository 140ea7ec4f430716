package cpu

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
)

// TestPortions holds the order of portions to what it is for: each group of rows meets each group of
// tiles once; a thread's share of the portions, which the pool cuts as it cuts the tiles that are packed, is of its
// share of the tiles, but for fewer portions than there are groups of rows; and these follow each other.
func TestPortions(t *testing.T) {
	for _, n := range []int{16, 100, 1024, 4096, 5000} {
		s := backend.Spec{N: n, K: 64, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
		w := &product{panel: newPanel(bytePanel, &s)}
		tiles := w.panel.tiles()
		for _, rows := range []int{1, 64, 129, 512, 2000} {
			for _, threads := range []int{1, 2, 3, 16, 64, 128} {
				g := w.grid(rows, min(threads, 40)) // divided for fewer
				what := fmt.Sprintf("%d x %d for %d threads: %+v", rows, n, threads, g)
				all, seen := g.rowGroups*g.tileGroups, map[[2]int]bool{}
				for thread := range threads {
					first, last := thread*all/threads, (thread+1)*all/threads
					beyond, before := 0, -1
					for i := first; i < last; i++ {
						row, tile := g.at(i, threads)
						require.True(t, row < rows && tile < tiles && row%g.rows == 0 && tile%g.tiles == 0, what)
						require.False(t, seen[[2]int{row, tile}], what)
						seen[[2]int{row, tile}] = true
						require.GreaterOrEqual(t, tile/g.tiles, thread*g.tileGroups/threads, what)
						if tile/g.tiles >= (thread+1)*g.tileGroups/threads {
							beyond++
							continue
						}
						require.GreaterOrEqual(t, row, before, what)
						before = row
					}
					require.Less(t, beyond, g.rowGroups, what)
				}
				require.Len(t, seen, all, what)
			}
		}
	}
}

// TestOrderOfPortions is the picture of grid.at.
func TestOrderOfPortions(t *testing.T) {
	g := grid{rows: 128, tiles: 16, rowGroups: 2, tileGroups: 6}
	var got [][2]int
	for i := range 12 {
		row, tile := g.at(i, 2)
		got = append(got, [2]int{row, tile})
	}
	require.Equal(t, [][2]int{
		{0, 0}, {0, 16}, {0, 32}, {128, 0}, {128, 16}, {128, 32}, {0, 48}, {0, 64}, {0, 80}, {128, 48}, {128, 64}, {128, 80},
	}, got)
	require.Equal(t, 0, g.behind(2, 2, 90))
	require.Equal(t, 90, g.behind(11, 2, 90))
}
