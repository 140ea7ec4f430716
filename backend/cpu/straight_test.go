package cpu

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// TestDirectWider is from how many rows on a product takes two tiles straight from packed
// weights, and that units have kernels for all parts that these rows come in on this processor.
func TestDirectWider(t *testing.T) {
	s := backend.Spec{N: 64, K: 64, Bits: 8, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 1, Longest: 64}}
	two := []step{{rows: 5}, {rows: 4}}
	exact := &product{panel: newPanel(pairPanel, &s)}
	exact.f.exact.directWider[weight8], exact.f.exact.directWiderFrom[weight8] = two, 7
	require.Nil(t, exact.directWider(6))
	require.Equal(t, two, exact.directWider(7))
	integers := &product{panel: newPanel(bytePanel, &s), f: exact.f}
	require.Nil(t, integers.directWider(7))
	for _, c := range []struct {
		kind panelKind
		want int
	}{{pairPanel, 7}, {floatPanel, 3}} { // what is tuned is for float32
		w := &product{panel: newPanel(c.kind, &s), f: exact.f}
		w.tune(&tuned{directWiderFrom: [weightKinds]int{weight8: 3, weight4: 2}})
		require.Equal(t, [weightKinds]int{weight8: c.want}, w.f.exact.directWiderFrom, "%v", c.kind)
	}

	everywhere(t, backend.OpenOptions{Threads: 1}, func(t *testing.T, b *bench) {
		u := b.table[0].unit
		if u == nil || u.name != "bf16" && u.name != "avx512" {
			return // has no kernels of two tiles
		}
		rng := rand.New(rand.NewPCG(5, 132))
		for _, s := range []shape{{bits: 4, scales: dtype.F16}, {bits: 8, scales: dtype.F16}, {plain: dtype.BF16}} {
			if s.n, s.k = 32, 64; !s.plain.Valid() {
				s.groups = uniform(t, s.k, 32)
			}
			made, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &quant.Recipe{}, X: b.x(), MaxRows: rowsTogether})
			w := made.(interface{ whole() *layer }).whole().parts[0].matrix.(*product)
			require.NotNil(t, w.directWider(rowsTogether), "%v", s)
			for _, s := range w.f.exact.directWider[w.weights()] {
				name := runtime.FuncForPC(reflect.ValueOf(s.run).Pointer()).Name()
				require.Contains(t, name+".", fmt.Sprintf("x%dx2.", s.rows))
			}
			for rows := 1; rows <= rowsTogether; rows++ {
				steps := w.directWider(rows)
				for left := rows; left > 0 && steps != nil; {
					_, taken, times := pick(steps, left)
					left -= taken * times
				}
			}
		}
	})
}

// TestStraight is which tiles go together straight from packed weights: two and two, and the
// last alone where their number is odd; but one and one where only a kernel of one does all rows in a call.
// Where each call does all rows, those of a portion follow each other.
func TestStraight(t *testing.T) {
	t.Run("a call for all rows", func(t *testing.T) { testStraight(t, 4, 4, 192, false, false) })
	t.Run("and what is next fetched", func(t *testing.T) { testStraight(t, 4, 4, 192, true, true) })
	t.Run("nothing fetched", func(t *testing.T) { testStraight(t, 4, 4, 0, false, false) })
	t.Run("several calls", func(t *testing.T) { testStraight(t, 2, 2, 192, true, false) })
	t.Run("several calls that share", func(t *testing.T) { testStraight(t, 2, 2, 192, true, true) })
	t.Run("several of two tiles", func(t *testing.T) { testStraight(t, 4, 2, 192, true, true) })
	t.Run("several of one tile", func(t *testing.T) { testStraight(t, 2, 4, 192, true, true) })
	t.Run("and nothing fetched", func(t *testing.T) { testStraight(t, 2, 2, 0, true, true) })
}

// TestShares holds what calls that read the same tiles fetch together to what comes: all of it, in
// turn, and no more than rounding adds; of two spans, the first half of the calls fetches one. A span may lie before w.
func TestShares(t *testing.T) {
	for _, k := range []int{64, 1000, 4096} {
		s := backend.Spec{N: 64, K: k, Plain: dtype.BF16, X: dtype.BF16}
		w := &product{panel: newPanel(pairPanel, &s)}
		lines := int(w.blocks[0].Segments) * int(w.blocks[0].Lines) * lineBytes
		read := w.tileBytes()
		for _, coming := range [][2]span{{{5 << 20, read}}, {{3 << 20, read}}, {{5 << 20, read / 128 * 64}, {6 << 20, read / 128 * 64}}} {
			for _, calls := range []int{1, 2, 3, 8, 11} {
				const from = uintptr(4 << 20)
				b := block{product: w, call: &asm.Call{Blocks: &w.blocks[0]}, coming: coming}
				of, end := 0, 0
				for call := range calls {
					if coming[1].bytes > 0 && call == up(calls, 2) {
						require.GreaterOrEqual(t, end, coming[0].bytes)
						of, end = 1, 0
					}
					ahead, pace := b.shareOf(call, calls, from, read)
					begin := int(from + ahead + uintptr(lines) - coming[of].at)
					require.GreaterOrEqual(t, begin, 0)
					require.LessOrEqual(t, begin/lineBytes*lineBytes, end)
					require.LessOrEqual(t, int(pace), lineBytes)
					end = begin + read/lineBytes*int(pace)
				}
				require.GreaterOrEqual(t, end, coming[of].bytes)
				require.LessOrEqual(t, end, coming[of].bytes+read/lineBytes)
			}
		}
		b := block{product: w, call: &asm.Call{Blocks: &w.blocks[0]}, coming: [2]span{{1 << 20, read}}}
		ahead, _ := b.shareOf(0, 2, uintptr(1<<20-lines), read)
		require.EqualValues(t, 1, ahead, "0 is nothing")
		b.coming = [2]span{{1 << 20, read}, {2 << 20, read}}
		b.shareOf(1, 1, 1<<20, read) // a call more than was expected
	}
}

// testStraight multiplies four rows with kernels of one or two tiles that have one row and as many
// as given, which fetch so far ahead; next says that calls fetch what is read next, shares that several fetch shares of it, where they fetch at all.
func testStraight(t *testing.T, ofOne, ofTwo int, ahead uintptr, next, shares bool) {
	const k, rows = 64, 4
	u := model(pairPanel)
	type taken struct{ tile, tiles int }
	var got []taken
	var w *product
	calls := map[int]int{} // for a tile
	kernels := func(tiles, most int) (steps []step) {
		for _, n := range []int{most, 1} {
			steps = append(steps, step{n, func(c *asm.Call) {
				require.EqualValues(t, n, c.Rows)
				at := uintptr(c.W) - uintptr(unsafe.Pointer(unsafe.SliceData(w.data)))
				tile := int(at) / w.tileBytes()
				require.Zero(t, at%uintptr(w.tileBytes()))
				if n > 1 { // of all rows
					portion := min(tilesStream, w.panel.tiles()-tile/tilesStream*tilesStream)
					streams, beside := ofOne == rows || ofTwo == rows && portion%2 == 0, tilesFinished
					if streams {
						beside = tilesStream
					}
					require.EqualValues(t, w.tileBytes(), c.WStep)
					require.EqualValues(t, min(beside, w.panel.tiles()-tile/beside*beside)*tileColumns*4, c.YStep)
					want := ahead
					if ahead > 0 {
						want += uintptr((tiles - 1) * w.tileBytes())
					}
					pace := uintptr(lineBytes)
					if shares && ahead > 0 && !streams {
						b := block{product: w, rows: rows, call: c}
						behind := uintptr(c.W) + uintptr(tiles*w.tileBytes())
						come, next, end := tiles, tile+tiles, min(tile/tilesFinished*tilesFinished+tilesFinished, w.panel.tiles())
						if next < end {
							come = min(come, end-next)
						}
						b.coming[0] = span{behind, come * w.tileBytes()}
						want, pace = b.shareOf(calls[tile], rows/n, uintptr(c.W), tiles*w.tileBytes())
					}
					calls[tile]++
					require.Equal(t, want, c.Ahead)
					require.Equal(t, pace, c.Pace)
					if want := uintptr(c.W); streams {
						if next {
							want += uintptr(tiles * w.tileBytes())
						}
						require.Equal(t, want, c.Next)
					}
					got = append(got, taken{tile, tiles})
				}
				for row := range n {
					for tile := range tiles {
						one := *c
						one.W = unsafe.Add(c.W, tile*w.tileBytes())
						one.X = unsafe.Add(c.X, uintptr(row)*c.XStep)
						one.Y = (*float32)(unsafe.Add(unsafe.Pointer(c.Y), uintptr(row)*c.YStep+uintptr(64*tile)))
						modelPairs(&one, weightBF16)
					}
				}
			}})
		}
		return steps
	}
	u.functions.exact.direct[weightBF16] = kernels(1, ofOne)
	u.functions.exact.directWider[weightBF16] = kernels(2, ofTwo)
	u.functions.exact.directWiderFrom[weightBF16] = rows
	u.functions.exact.shares[weightBF16] = shares
	b := open(t, backend.OpenOptions{Threads: 1})
	b.table = tableOf([]*unit{u})
	rng := rand.New(rand.NewPCG(5, 133))
	for _, c := range []struct {
		n    int
		want []taken
	}{
		{16, []taken{{0, 1}}}, {32, []taken{{0, 2}}}, {40, []taken{{0, 2}, {2, 1}}}, {64, []taken{{0, 2}, {2, 2}}},
		{17 * 16, []taken{{0, 2}, {2, 2}, {4, 2}, {6, 2}, {8, 2}, {10, 2}, {12, 2}, {14, 2}, {16, 1}}},
	} {
		n := c.n
		l := shape{n: n, k: k, plain: dtype.BF16}.linear(t, rng)
		made, _ := b.prepare(l, backend.Request{Recipe: &quant.Recipe{}, X: dtype.BF16, Y: dtype.F32, MaxRows: rows})
		w = made.(interface{ whole() *layer }).whole().parts[0].matrix.(*product)
		w.ahead, w.aheadRows, w.nextToo = ahead/3, ahead, next // of fewer rows, and of these
		x := input(rng, dtype.BF16, rows, k)
		got = nil
		clear(calls)
		y := b.apply(made, x, rows)
		var want []taken
		for _, tile := range c.want {
			if ofOne == rows && ofTwo < rows {
				for i := range tile.tiles {
					want = append(want, taken{tile.tile + i, 1})
				}
				continue
			}
			want = append(want, slices.Repeat([]taken{tile}, rows/[]int{ofOne, ofTwo}[tile.tiles-1])...)
		}
		require.Equal(t, want, got, "%d columns", n)
		for row := range rows {
			require.Equal(t, b.apply(made, x[row*k:(row+1)*k], 1), y[row*n:(row+1)*n])
		}
	}
}

// TestOutputsOfStretches multiplies rows of x in several calls. Those by plain weights of two tiles, and those of int8
// by 4-bit codes that leave the second cache, take K in stretches; others do not; and outputs are those of each row by itself.
func TestOutputsOfStretches(t *testing.T) {
	everywhere(t, backend.OpenOptions{Threads: 1}, func(t *testing.T, b *bench) {
		u := b.table[0].unit
		if u == nil || u.name != "bf16" && u.name != "avx512" && u.name != "vnni" {
			return // has no kernels of two tiles, or none of 512 bits
		}
		exact := u.name != "vnni"
		rng := rand.New(rand.NewPCG(5, 140))
		for _, c := range []struct {
			k, bits int
			recipe  quant.Recipe
			parts   map[int]int // of K, by bytes of a value of x, of most rows; one if there is none
		}{
			{600, 0, quant.Recipe{}, nil}, {4096, 0, quant.Recipe{}, map[int]int{2: 2, 4: 4}}, {4160, 0, quant.Recipe{}, map[int]int{2: 3, 4: 5}},
			{6200, 0, quant.Recipe{}, map[int]int{2: 4, 4: 7}}, {4096, 8, quant.Recipe{}, nil}, {4096, 4, quant.Recipe{}, nil},
			{17408, 4, quant.Recipe{Kind: quant.Int8Token}, nil}, {22528, 4, quant.Recipe{Kind: quant.Int8Token}, map[int]int{1: 6}},
			{22560, 4, quant.Recipe{Kind: quant.Int8Group}, map[int]int{1: 6}}, {22528, 8, quant.Recipe{Kind: quant.Int8Token}, nil},
		} {
			if exact != (c.recipe.Kind == quant.Exact) {
				continue
			}
			s := shape{n: 90, k: c.k, plain: dtype.BF16} // six tiles, of which four are finished together
			if c.bits > 0 {
				s = shape{n: 90, k: c.k, bits: c.bits, scales: dtype.F16, groups: uniform(t, c.k, 32)}
			}
			made, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &c.recipe, X: b.x(), MaxRows: 37})
			l := made.(interface{ whole() *layer }).whole()
			w := l.parts[0].matrix.(*product)
			all := &w.integers().direct
			if exact {
				kind := w.weights()
				w.f.exact.unpackFrom[kind], w.f.exact.directWiderFrom[kind] = never, 1
				all = &w.f.exact.directWider[kind]
			} else {
				w.integers().wideFrom = never
			}
			parts := map[*asm.Block]bool{}
			steps := watched(*all, func(c *asm.Call) { parts[c.Blocks] = true })
			*all = steps
			for _, rows := range []int{steps[0].rows, 26, 37} {
				clear(parts)
				x := input(rng, b.x(), rows, c.k)
				y := b.apply(made, x, rows)
				want := c.parts[l.fronts[0].values.Size()]
				if want == 0 || rows == steps[0].rows || !exact && rows < 37 {
					want = 1
				}
				require.Len(t, parts, want, "K=%d, %d bits, %d rows", c.k, c.bits, rows)
				for row := range rows {
					require.Equal(t, b.apply(made, x[row*c.k:(row+1)*c.k], 1), y[row*s.n:(row+1)*s.n], "K=%d, row %d of %d", c.k, row, rows)
				}
			}
		}
	})
}

// watched is steps that tell f of each call before they run.
func watched(steps []step, f func(*asm.Call)) []step {
	steps = slices.Clone(steps)
	for i, s := range steps {
		steps[i].run = func(c *asm.Call) {
			f(c)
			s.run(c)
		}
	}
	return steps
}

// TestStretches holds kernels by plain weights to the order of stretches and tiles, and to what they fetch: each line
// of weights before it is read, but those of the very first tiles.
func TestStretches(t *testing.T) {
	everywhere(t, backend.OpenOptions{Threads: 1}, func(t *testing.T, b *bench) {
		u := b.table[0].unit
		if u == nil || u.name != "bf16" && u.name != "avx512" {
			return // has no kernels of two tiles
		}
		rng := rand.New(rand.NewPCG(5, 141))
		for _, plain := range []dtype.DType{dtype.BF16, dtype.F16, dtype.F32} {
			if plain != dtype.BF16 && u.name == "bf16" {
				continue
			}
			for _, c := range []struct{ n, k, m int }{{80, 2304, 16}, {272, 4160, 14}, {64, 6656, 33}, {16, 4096, 16}, {96, 500, 16}} {
				made, _ := b.prepare(shape{n: c.n, k: c.k, plain: plain}.linear(t, rng), backend.Request{Recipe: &quant.Recipe{}, X: b.x(), MaxRows: c.m})
				l := made.(interface{ whole() *layer }).whole()
				w := l.parts[0].matrix.(*product)
				kind := w.weights()
				e := &w.f.exact
				e.unpackFrom[kind], e.directWiderFrom[kind], w.ahead = never, 1, 4096
				base := uintptr(unsafe.Pointer(unsafe.SliceData(w.data)))
				fetched, read := map[int]bool{}, map[int]bool{}
				missed := 0
				type sweep struct{ tile, tiles, block int }
				var sweeps []sweep
				watch := func(steps []step, tiles int) []step {
					return watched(steps, func(c *asm.Call) {
						lines := 0
						blocks := unsafe.Slice(c.Blocks, c.Count)
						for _, b := range blocks {
							lines += int(b.Segments) * int(b.Lines)
						}
						block := int((uintptr(unsafe.Pointer(c.Blocks)) - uintptr(unsafe.Pointer(&w.blocks[0]))) / unsafe.Sizeof(w.blocks[0]))
						at := int(uintptr(c.W) - base)
						if this := (sweep{at / w.tileBytes(), tiles, block}); len(sweeps) == 0 || sweeps[len(sweeps)-1] != this {
							sweeps = append(sweeps, this)
						}
						for tile := range tiles {
							for i := range lines {
								line := (at+tile*int(c.WStep))/lineBytes + i
								if !read[line] && !fetched[line] {
									missed++
								}
								read[line] = true
							}
						}
						require.LessOrEqual(t, int(c.Pace), lineBytes)
						from := at + int(c.Ahead) + int(blocks[0].Segments)*int(blocks[0].Lines)*lineBytes
						for i := range lines * tiles { // of two tiles in turns, as kernels do
							turn := i / tiles
							fetched[(from+turn*tiles*int(c.Pace)+i%tiles*lineBytes)/lineBytes] = true
						}
					})
				}
				e.direct[kind], e.directWider[kind] = watch(e.direct[kind], 1), watch(e.directWider[kind], 2)
				e.shares[kind] = c.k < 2*runFeatures // in one stretch
				require.Equal(t, 1, (&block{product: w}).stretches(1), "with kernels of one tile")
				b.apply(made, input(rng, b.x(), c.m, c.k), c.m)

				of := up(len(w.runs), bytesTogether/(runFeatures*l.fronts[0].values.Size()))
				var want []sweep
				all := w.panel.tiles()
				for portion := 0; portion < all; portion += tilesStream {
					for first := portion; first < min(portion+tilesStream, all); first += tilesFinished {
						end := min(first+tilesFinished, portion+tilesStream, all)
						for i := range of {
							for tile := first; tile < end; tile += 2 {
								want = append(want, sweep{tile, min(2, end-tile), w.stretch(i, of).from})
							}
						}
					}
				}
				what := fmt.Sprintf("%v, N=%d K=%d M=%d", plain, c.n, c.k, c.m)
				require.Equal(t, want, sweeps, what)
				r := w.stretch(0, of)
				require.Equal(t, min(2, all)*(w.offset[r.to]-w.offset[r.from])/lineBytes, missed, what)
				require.Len(t, read, all*w.tileBytes()/lineBytes, what)
			}
		}
	})
}
