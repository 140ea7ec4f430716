package cpu

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
)

// TestGridCoversEverything tries numbers of rows, tiles and threads: portions
// have all rows and tiles, none has more rows than there is room for, there
// are enough of them, and kernels of two tiles have two where that leaves enough.
func TestGridCoversEverything(t *testing.T) {
	for _, n := range []int{1, 16, 17, 100, 1024, 5000} {
		s := backend.Spec{N: n, K: 64, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
		w := &product{panel: newPanel(bytePanel, &s)}
		w.f.codes4.wideFrom = 16
		for _, rows := range []int{1, 2, 11, 12, 13, 16, 23, 100, 239, 240, 241, 480, 481, 2000} {
			for _, threads := range []int{1, 2, 7, 64, 128} {
				w.f.codes4.wider = nil
				if rows%2 == 0 {
					w.f.codes4.wider = []step{{rows: 1}}
				}
				g := w.grid(rows, threads)
				require.LessOrEqual(t, g.rows, rowsTogether)
				require.GreaterOrEqual(t, g.rows*g.rowGroups, rows)
				require.Less(t, g.rows*(g.rowGroups-1), rows)
				require.GreaterOrEqual(t, g.tiles*g.tileGroups, w.panel.tiles())
				require.Less(t, g.tiles*(g.tileGroups-1), w.panel.tiles())
				require.Equal(t, g.rowGroups*g.tileGroups, w.portions(rows, threads))
				most := w.panel.tiles() * max(1, rows/(2*rowsLeast)) // portions that can be
				require.GreaterOrEqual(t, w.portions(rows, threads), min(threads, most), "%d x %d for %d threads: %+v", rows, n, threads, g)
				if w.f.codes4.wider != nil && rows >= 16 && g.tiles%2 == 1 {
					pairs := (w.panel.tiles() + 1) / 2
					require.Less(t, pairs*g.rowGroups, threads, "%d x %d for %d threads: %+v", rows, n, threads, g)
				}
			}
		}
	}
}

func TestPickDividesEvenly(t *testing.T) {
	all := func(most int) (steps []step) {
		for i := most; i > 0; i-- {
			steps = append(steps, step{rows: i})
		}
		return steps
	}
	for _, c := range []struct {
		steps []step
		rows  int
		want  []int
	}{
		{all(6), 1, []int{1}}, {all(6), 6, []int{6}}, {all(6), 7, []int{4, 3}}, {all(6), 13, []int{5, 4, 4}}, {all(6), 24, []int{6, 6, 6, 6}},
		{all(12), 13, []int{7, 6}}, {[]step{{rows: 8}, {rows: 4}, {rows: 3}, {rows: 2}, {rows: 1}}, 9, []int{4, 4, 1}},
		{[]step{{rows: 1}}, 3, []int{1, 1, 1}},
	} {
		var got []int
		for left := c.rows; left > 0; {
			s, times := pick(c.steps, left)
			for range times {
				got = append(got, s.rows)
				left -= s.rows
			}
		}
		require.Equal(t, c.want, got, "%d rows", c.rows)
	}
}
