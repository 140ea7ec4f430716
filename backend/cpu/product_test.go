package cpu

import (
	"fmt"
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
)

// TestGridCoversEverything tries numbers of rows, tiles and threads: portions
// have all rows and tiles, none has more than there is room for, and there are
// enough of them. Kernels of two tiles have two where that leaves two portions for
// each thread.
func TestGridCoversEverything(t *testing.T) {
	const from = 16
	for _, n := range []int{1, 16, 17, 100, 1024, 5000} {
		s := backend.Spec{N: n, K: 64, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
		testGridOnTiles(t, bytePanel, s)
		for _, x := range []dtype.DType{dtype.BF16, dtype.F16, dtype.F32} {
			s := s
			for s.X, s.Bits = x, 4; s.Bits <= 8; s.Bits += 4 {
				testGridOnTiles(t, tilePanel, s)
			}
			testGridOnTiles(t, tilePanel, backend.Spec{N: n, K: 64, X: x, Plain: dtype.BF16})
		}
		w := &product{panel: newPanel(bytePanel, &s)}
		w.f.codes4.wideFrom = from
		for _, wider := range [][]step{nil, {{rows: 1}}} {
			w.f.codes4.wider = wider
			for _, rows := range []int{1, 2, 11, 12, 13, 16, 23, 48, 100, 255, 256, 257, 512, 513, 2000} {
				for _, threads := range []int{1, 2, 7, 64, 128} {
					g := w.grid(rows, threads)
					what := fmt.Sprintf("%d x %d for %d threads: %+v", rows, n, threads, g)
					require.LessOrEqual(t, g.rows, rowsTogether)
					require.GreaterOrEqual(t, g.rows*g.rowGroups, rows)
					require.Less(t, g.rows*(g.rowGroups-1), rows)
					require.GreaterOrEqual(t, g.tiles*g.tileGroups, w.panel.tiles())
					require.Less(t, g.tiles*(g.tileGroups-1), w.panel.tiles())
					require.Equal(t, g.rowGroups*g.tileGroups, w.portions(rows, threads))
					if g.rows >= from {
						require.LessOrEqual(t, g.rows*g.tiles*tileColumns*4, w.sumsBytes(), what)
					}
					most := w.panel.tiles() * max(1, rows/(2*rowsLeast)) // portions that can be
					require.GreaterOrEqual(t, w.portions(rows, threads), min(threads, most), what)
					if pairs := (w.panel.tiles() + 1) / 2; wider != nil && rows >= from && pairs >= 2*threads {
						require.Zero(t, g.tiles%2, what)
					}
					if rows >= from && w.panel.tiles() >= 2*threads {
						require.GreaterOrEqual(t, g.rows, from, what)
					}
				}
			}
		}
	}
}

// TestGridOfStraight has kernels that never unpack: portions of rows whose x stays in the second
// cache, alike, and sums of those and of so many tiles that are finished at a time have room.
func TestGridOfStraight(t *testing.T) {
	s := backend.Spec{N: 4096, K: 64, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
	w := &product{panel: newPanel(bytePanel, &s)}
	for rows, want := range map[int]int{1: 1, 128: 128, 129: 65, 256: 128, 257: 86, 512: 128} {
		for _, threads := range []int{1, 2, 8} {
			require.Equal(t, want, w.grid(rows, threads).rows, "%d rows, %d threads", rows, threads)
		}
	}
	require.LessOrEqual(t, rowsStraight*tilesFinished*tileColumns*4, w.sumsBytes())
	for _, tuning := range tunings { // and rows that are divided are all unpacked, or none
		for _, from := range append(tuning.wideFrom[:], tuning.unpackFrom[:]...) {
			require.True(t, from <= rowsTogether/2 || from == never, "%s: %d", tuning.name, from)
		}
	}
}

// testGridOnTiles holds portions on tiles to what a call of their kernels can have, and to whole
// rows of x.
func testGridOnTiles(t *testing.T, kind panelKind, s backend.Spec) {
	w := &product{panel: newPanel(kind, &s)}
	w.tileFeatures = w.canTile()
	require.Positive(t, w.tileFeatures)
	for _, x := range []int{5, 16, 80, 86, 127, 128, 129, 255, 256, 257, 500, 768, 2000} {
		for _, threads := range []int{1, 2, 64} {
			rows := x * w.parts
			g := w.grid(rows, threads)
			what := fmt.Sprintf("%d bits, %d rows of %d parts, %d threads: %+v", s.Bits, x, w.parts, threads, g)
			require.GreaterOrEqual(t, g.rows*g.rowGroups, rows, what)
			require.LessOrEqual(t, tiledRows(g.rows), asm.MostTileRows, what)
			require.LessOrEqual(t, tiledRows(g.rows)*g.tiles*tileColumns*4, w.sumsBytes(), what)
			if g.rowGroups > 1 {
				require.Zero(t, g.rows%w.parts, what)
			}
		}
	}
}

// TestWhoReadsRows holds readsFrom to what portions do: those of a few rows read them as
// they are, all others in tiles. Rows of x have all their parts in one portion.
func TestWhoReadsRows(t *testing.T) {
	s := backend.Spec{N: 40, K: 64, X: dtype.BF16, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
	codes := &product{panel: newPanel(bytePanel, &s)}
	codes.tileFeatures = codes.canTile()
	require.Zero(t, codes.readsFrom(100, 1), "codes have corrections besides")
	found := map[bool]int{}
	for parts, x := range map[int]dtype.DType{1: dtype.BF16, 2: dtype.F16, 3: dtype.F32} {
		s.X = x
		for _, bits := range []int{4, 8} {
			s.Bits = bits
			w := &product{panel: newPanel(tilePanel, &s)}
			w.tileFeatures = w.canTile()
			require.Equal(t, parts, w.parts)
			for rows := 1; rows < 400; rows++ {
				for _, threads := range []int{1, 2, 3, 16, 64} {
					all := rows * parts
					g, from := w.grid(all, threads), all
					for row := 0; row < all; row += g.rows {
						require.Zero(t, row%parts)
						if row > 0 {
							require.Zero(t, row%asm.TileRows)
						}
						if min(g.rows, all-row) < w.from() {
							from = min(from, row)
						}
					}
					most, tiles := w.portion()
					require.LessOrEqual(t, g.rows, most)
					require.LessOrEqual(t, g.tiles, max(tiles, tilesStream))
					require.Equal(t, from, w.readsFrom(rows, threads), "%d rows of %d parts, %d threads: %+v", rows, parts, threads, g)
					if all >= w.from() {
						found[from < all]++
						require.Less(t, all-from, w.from(), "more rows than there is room for")
					}
				}
			}
		}
	}
	require.Greater(t, found[true], 20)
	require.Greater(t, found[false], 1000)
}

// TestGridOfALayer is what a layer of 4096 outputs is divided into: long streams for
// one row, and for many so short ones that no thread waits long for the last.
func TestGridOfALayer(t *testing.T) {
	s := backend.Spec{N: 4096, K: 4096, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 32, Longest: 128}}
	w := &product{panel: newPanel(bytePanel, &s)}
	w.f.codes4.wideFrom, w.f.codes4.wider = 24, []step{{rows: 1}}
	for _, c := range []struct {
		rows, threads int
		want          grid
	}{
		{1, 1, grid{1, 16, 1, 16}}, {1, 2, grid{1, 16, 1, 16}}, {1, 16, grid{1, 2, 1, 128}},
		{8, 2, grid{8, 8, 1, 32}}, {16, 2, grid{16, 4, 1, 64}}, {16, 8, grid{16, 1, 1, 256}},
		{64, 1, grid{64, 4, 1, 64}}, {64, 2, grid{64, 4, 1, 64}}, {64, 8, grid{64, 2, 1, 128}},
		{64, 64, grid{64, 2, 1, 128}}, {64, 128, grid{64, 1, 1, 256}}, {64, 256, grid{32, 1, 2, 256}},
		{512, 8, grid{256, 2, 2, 128}}, {513, 8, grid{171, 2, 3, 128}},
	} {
		require.Equal(t, c.want, w.grid(c.rows, c.threads), "%d rows, %d threads", c.rows, c.threads)
	}
	// Straight from packed weights of two tiles: no portion has a tile left over.
	s.N = 2880
	w = &product{panel: newPanel(pairPanel, &s)}
	w.f.exact.gemm, w.f.exact.unpackFrom[weight4] = []step{{rows: 1}}, 96
	w.f.exact.direct[weight4], w.f.exact.directWider[weight4], w.f.exact.directWiderFrom[weight4] = []step{{rows: 1}}, []step{{rows: 1}}, 13
	require.Equal(t, grid{12, 3, 1, 60}, w.grid(12, 2))
	require.Equal(t, grid{13, 2, 1, 90}, w.grid(13, 2))
	// One tile: rows are divided as long as weights are unpacked for them, or threads idle.
	s.N = tileColumns
	w = &product{panel: newPanel(bytePanel, &s)}
	w.f.codes4.wideFrom = 48
	require.Equal(t, grid{50, 1, 2, 1}, w.grid(100, 2))
	require.Equal(t, grid{25, 1, 4, 1}, w.grid(100, 4))
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
			_, rows, times := pick(c.steps, left)
			for range times {
				got = append(got, rows)
				left -= rows
			}
		}
		require.Equal(t, c.want, got, "%d rows", c.rows)
	}
}

// TestKernelsOfShortSums is which kernels of two tiles a product has, by the length of
// its integer sums.
func TestKernelsOfShortSums(t *testing.T) {
	steps := []step{{rows: 4}, {rows: 3}, {rows: 2}, {rows: 1}}
	for _, c := range []struct {
		group, inRegisters int
		want               []step
	}{
		{32, 3, steps[1:]}, {128, 3, steps[1:]}, {248, 3, steps[1:]}, {256, 3, steps}, {1024, 3, steps}, {32, 0, steps},
	} {
		s := backend.Spec{N: 64, K: 4 * c.group, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 4, Longest: c.group}}
		w := &product{panel: newPanel(bytePanel, &s)}
		w.f.codes4 = integerKernels{wider: steps, inRegisters: c.inRegisters}
		w.tune(&tuned{shortSum: 256})
		_, two, _ := w.wide()
		require.Equal(t, c.want, two, "%+v", c)
	}
}

// TestWideFrom is from how many rows on a product goes run by run: as the processor
// has it, as the unit has it, or never.
func TestWideFrom(t *testing.T) {
	s := backend.Spec{N: 64, K: 64, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
	for _, c := range []struct {
		unit integerKernels
		t    tuned
		want int
	}{
		{integerKernels{wideFrom: 24, inRegisters: 7}, tuned{}, 24},
		{integerKernels{wideFrom: 24, inRegisters: 7}, tuned{wideFrom: [weightKinds]int{weight4: 40, weight8: 13}}, 40},
		{integerKernels{wideFrom: 12}, tuned{wideFrom: [weightKinds]int{weight4: 40}}, 12},
		{integerKernels{}, tuned{}, never},
	} {
		w := &product{panel: newPanel(bytePanel, &s)}
		w.f.codes4 = c.unit
		w.tune(&c.t)
		require.Equal(t, c.want, w.from(), "%+v", c)
	}
}

// TestShuffled is which kernels a product takes where the processor shuffles x: those that there are
// of so many rows, and the others as before. The unit keeps its own.
func TestShuffled(t *testing.T) {
	s := backend.Spec{N: 64, K: 64, Bits: 4, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
	kernel := func(*asm.Call) {}
	direct, shuffled := []step{{3, nil}, {2, nil}, {1, nil}}, []step{{3, kernel}, {2, kernel}}
	for _, c := range []struct {
		has, tuned bool
		want       int // kernels that shuffle
	}{{true, true, 2}, {true, false, 0}, {false, true, 0}} {
		w := &product{panel: newPanel(bytePanel, &s)}
		w.f.codes4.direct = direct
		if c.has {
			w.f.codes4.shuffled = shuffled
		}
		w.tune(&tuned{shuffled: c.tuned})
		for i, s := range w.f.codes4.direct {
			require.Equal(t, 3-i, s.rows)
			require.Equal(t, i < c.want, s.run != nil, "%+v", c)
		}
		require.Len(t, w.f.codes4.direct, 3)
		require.Nil(t, direct[0].run)
	}
	for _, u := range units {
		f := u.kernels()
		for _, k := range []*integerKernels{&f.codes4, &f.codes8} {
			for i, s := range k.shuffled { // are named for their rows, and replace those
				require.Contains(t, runtime.FuncForPC(reflect.ValueOf(s.run).Pointer()).Name()+".", fmt.Sprintf("VNNIx%d.", s.rows))
				require.Equal(t, k.direct[i].rows, s.rows, u.name)
			}
		}
	}
}

// TestAhead is how far ahead kernels of few and of more rows fetch.
func TestAhead(t *testing.T) {
	s := backend.Spec{N: 64, K: 64, Bits: 8, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
	wide, narrow := functions{codes8: integerKernels{inRegisters: 7}}, functions{}
	for _, c := range []struct {
		kind             panelKind
		f                functions
		t                tuned
		two, three, more uintptr
	}{
		{bytePanel, wide, tuned{ahead: every(2048)}, 2048, 2048, aheadOfRows},
		{bytePanel, wide, tuned{}, 0, 0, aheadOfRows},
		{bytePanel, wide, tuned{ahead: every(2048), aheadTwo: 1024, aheadRows: 8192}, 1024, 2048, 8192},
		{bytePanel, narrow, tuned{ahead: every(2048), aheadTwo: 1024, aheadRows: 8192}, 2048, 2048, 2048},
		{floatPanel, wide, tuned{ahead: every(2048), aheadTwo: 1024, aheadRows: 8192}, 2048, 2048, 2048},
	} {
		w := &product{panel: newPanel(c.kind, &s), f: c.f}
		w.tune(&c.t)
		for rows, want := range map[int]uintptr{1: c.two, 2: c.two, 3: c.three, 4: c.more, 9: c.more} {
			b := block{product: w, rows: rows}
			require.Equal(t, want, b.aheadOf(1), "%+v, %d rows", c, rows)
			if want > 0 {
				want += uintptr(w.tileBytes())
			}
			require.Equal(t, want, b.aheadOf(2), "%+v, %d rows", c, rows)
		}
		require.Equal(t, c.t.aheadRows == 0, w.nextToo)
	}
}

// TestUnpackFrom is the same for exact products.
func TestUnpackFrom(t *testing.T) {
	s := backend.Spec{N: 64, K: 64, Bits: 8, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
	some := []step{{rows: 1}}
	unit := exactKernels{gemm: some, wider: some, unpackFrom: [weightKinds]int{weight8: 34}}
	unit.direct[weight8] = some
	narrow := unit
	narrow.wider = nil
	tuning := tuned{unpackFrom: [weightKinds]int{weight8: 24}}
	for _, c := range []struct {
		kind panelKind
		unit exactKernels
		t    tuned
		want int
	}{
		{floatPanel, unit, tuned{}, 34}, {floatPanel, unit, tuning, 24}, {floatPanel, narrow, tuning, 34}, {pairPanel, unit, tuning, 34},
	} {
		w := &product{panel: newPanel(c.kind, &s)}
		w.f.exact = c.unit
		w.tune(&c.t)
		require.Equal(t, c.want, w.from(), "%+v", c)
	}
}
