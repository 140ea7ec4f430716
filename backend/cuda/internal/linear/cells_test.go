package linear

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

var allCells = flag.Bool("cuda.full", false, "run every combination of cells instead of a cover of all pairs")

// A cell is a layer and rows to run it on. The same cell has the same numbers
// every time.
type cell struct {
	bits      int
	groups    string
	k, n, m   int
	x, y      dtype.DType
	scales    dtype.DType
	zeros     string
	end       string // of the kernel's name
	skip, gap int    // elements of x before its first row, and between rows of x and of y
}

func (c cell) String() string {
	return fmt.Sprintf("w%d groups %s, K %d, N %d, M %d, x %v+%d gap %d, y %v, scales %v, zeros %s%s", c.bits, c.groups, c.k, c.n, c.m, c.x, c.skip, c.gap, c.y, c.scales, c.zeros, c.end)
}

var types = []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}

// cells are all combinations of two of the levels, or all of them.
func cells(full bool) []cell {
	groupings := []string{"32", "64", "128", "-1", "20", "ragged", "act-order"}
	ks, ns, ms := []int{288, 420, 1056}, []int{1, 31, 64, 65, 130}, []int{1, 8, 9, 17, 33, 65, 129}
	zeros, ends := []string{"symmetric", "explicit", "wide"}, []string{"", "_gather", "_invariant", "_rounded"}
	starts := [][2]int{{0, 0}, {0, 8}, {1, 3}}
	levels := []int{7, len(groupings), len(ks), len(ns), len(ms), 2, 3, 3, len(zeros), len(ends), len(starts)}
	var all []cell
	for _, l := range cover(levels, full) {
		all = append(all, cell{
			bits: 2 + l[0], groups: groupings[l[1]], k: ks[l[2]], n: ns[l[3]], m: ms[l[4]],
			x: types[l[5]], y: types[l[6]], scales: types[l[7]], zeros: zeros[l[8]], end: ends[l[9]],
			skip: starts[l[10]][0], gap: starts[l[10]][1],
		})
	}
	return all
}

// cover yields rows of levels such that each pair of levels of two factors is
// in one of them; all rows where full.
func cover(levels []int, full bool) [][]int {
	if full {
		rows := [][]int{nil}
		for _, n := range levels {
			var longer [][]int
			for _, row := range rows {
				for i := range n {
					longer = append(longer, append(slices.Clone(row), i))
				}
			}
			rows = longer
		}
		return rows
	}
	type pair struct{ f, a, g, b int }
	open := map[pair]bool{}
	for f := range levels {
		for g := range f {
			for i := range levels[f] * levels[g] {
				open[pair{f, i / levels[g], g, i % levels[g]}] = true
			}
		}
	}
	rng := rand.New(rand.NewPCG(5, 8))
	var rows [][]int
	for len(open) > 0 {
		var best []int
		most := -1
		for range 400 {
			row, gain := make([]int, len(levels)), 0
			for f := range row {
				row[f] = rng.IntN(levels[f])
				for g := range f {
					if open[pair{f, row[f], g, row[g]}] {
						gain++
					}
				}
			}
			if gain > most {
				best, most = row, gain
			}
		}
		for f := range best {
			for g := range f {
				delete(open, pair{f, best[f], g, best[g]})
			}
		}
		if most > 0 {
			rows = append(rows, best)
		}
	}
	return rows
}

func (c cell) grouping(t testing.TB, rng *rand.Rand) quant.Groups {
	switch c.groups {
	case "-1":
		return quant.OneGroup(c.k)
	case "act-order":
		return shuffled(t, rng, c.k, (c.k+63)/64)
	case "ragged":
		bounds := []int32{0}
		for at := 0; at < c.k; {
			at = min(c.k, at+20+rng.IntN(100))
			bounds = append(bounds, int32(at))
		}
		g, err := quant.RaggedGroups(bounds)
		require.NoError(t, err)
		return g
	}
	var size int
	_, err := fmt.Sscan(c.groups, &size)
	require.NoError(t, err)
	return uniform(t, c.k, size)
}

// layer makes the cell's layer and its input. Where exact, all sums are exact
// in float32.
func (c cell) layer(t testing.TB, exact bool) (*quant.Linear, []float32) {
	rng := rand.New(rand.NewPCG(uint64(c.bits*1000+c.k), uint64(c.n*1000+c.m)))
	l := &quant.Linear{Name: "cell"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: c.n, K: c.k, Bits: c.bits, Scales: c.scales, Zeros: c.zeros != "symmetric", Groups: c.grouping(t, rng)}))
	codes := make([]uint8, c.k)
	groups := l.Weight.Groups().Count()
	for n := range c.n {
		for k := range codes {
			codes[k] = uint8(rng.IntN(1 << c.bits))
		}
		l.Weight.PackRow(n, codes)
		for g := range groups {
			s := (0.5 + rng.Float32()) / 64
			if exact {
				s = []float32{0.25, 0.5, 1}[rng.IntN(3)]
			}
			l.Weight.SetScale(n, g, s)
			if z := l.Weight.ZeroRow(n); z != nil {
				z[g] = int16(rng.IntN(1 << c.bits))
			}
		}
		if c.zeros == "wide" {
			l.Weight.ZeroRow(n)[rng.IntN(groups)] = 1 << c.bits
		}
	}
	if (c.n+c.bits)%2 == 0 {
		l.ResizeBias(c.n)
		for n := range l.Bias {
			l.Bias[n] = float32(rng.IntN(81)-40) / 4
		}
	}
	x := make([]float32, c.m*c.k)
	for i := range x {
		if exact {
			x[i] = float32(rng.IntN(9) - 4)
		} else {
			x[i] = c.x.Round(float32(rng.NormFloat64()))
		}
	}
	return l, x
}

func TestCells(t *testing.T) {
	all := cells(*allCells)
	t.Logf("%d cells, each with exact sums and with others", len(all))
	step := 1
	if testing.Short() || withRace {
		step = 4
	}
	for i := 0; i < len(all); i += step {
		t.Run(all[i].String(), func(t *testing.T) {
			t.Parallel()
			all[i].run(t, true)
			all[i].run(t, false)
		})
	}
}

func (c cell) run(t *testing.T, exact bool) {
	l, x := c.layer(t, exact)
	r := open(t, interpreter, backend.OpenOptions{Tuning: backend.Tuned{roundedRows: 1, expandedBytes: 1 << 17}})
	end := c.end
	if s, err := backend.NewSpec(l, backend.Request{X: c.x, Y: c.y}); end == "" && (err != nil || !straight(&s)) {
		end = "_gather"
	}
	layer, k := r.prepare(l, c.x, c.y, c.m, end)
	o := r.operands(layer, c.m, c.skip, c.gap)
	r.put(o.x, x)
	require.NoError(t, layer.Apply(r.stream, o.y, o.x, o.workspace))
	y := r.get(r.stream, o.y)

	spec := layer.Spec()
	ref, err := reference.Run(l, spec.Recipe, c.x, x, c.m)
	require.NoError(t, err)
	num := k.Numerics(spec)
	bound := reference.Bound{Depth: num.Depth, WeightRound: num.WeightRound, FlushBelow: num.FlushBelow, CodeSlack: num.CodeSlack}
	for i, v := range y {
		row, col := i/c.n, i%c.n
		if exact {
			require.Equal(t, c.y.RoundF64(ref.Y[i]), float64(v), "%s: y[%d,%d], exact", k.Name(), row, col)
		}
		require.True(t, ref.Accept(row, col, v, c.y, bound), "%s: y[%d,%d] is %v, want %v ± %v", k.Name(), row, col, v, ref.Y[i], ref.Bound(row, col, bound))
	}
	o.close(t)
	require.NoError(t, layer.Close())
	r.close()
}
