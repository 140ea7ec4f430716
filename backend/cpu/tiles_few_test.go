package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// fewOf is a product of 4096 by 4096 codes with kernels for few rows.
func fewOf(bits int, groups backend.GroupSpec) *product {
	s := backend.Spec{N: 4096, K: 4096, Bits: bits, Scales: dtype.F16, Symmetric: true, Groups: groups, Recipe: quant.Recipe{Kind: quant.Int8Token}}
	w := &product{panel: newPanel(bytePanel, &s)}
	w.tileFeatures = w.canTile()
	w.f.codes4.tilesFew, w.f.codes8.tilesFew = func(*asm.Call) {}, func(*asm.Call) {}
	w.runs = w.divide()
	return w
}

// A block of four groups of 128 has 128 bytes of scales, then tiles of 512 bytes.
func TestPlaces(t *testing.T) {
	w := fewOf(4, backend.GroupSpec{Count: 32, Longest: 128})
	all := w.placesOf(w.runs)
	require.Len(t, all, 8)
	for _, places := range all {
		require.Equal(t, []uint32{128, 640, 1152, 1664, 2176, 2688, 3200, 3712}, places)
	}
	w = fewOf(4, backend.GroupSpec{Count: 64, Longest: 64}) // two blocks of four groups
	require.Equal(t, []uint32{128, 640, 1152, 1664, 2304, 2816, 3328, 3840}, w.placesOf(w.runs)[0])
}

// Exact products have lines of the segments of a block in turn, and zero points of each.
func TestPairPlaces(t *testing.T) {
	s := backend.Spec{N: 32, K: 256, Bits: 4, Scales: dtype.F16, ZeroMax: 15, Groups: backend.GroupSpec{Count: 4, Longest: 64}}
	p := newPanel(tilePanel, &s)
	p.tileFeatures = p.canTile()
	all := p.placesOf(p.divide())
	require.Len(t, all, 1)
	const zeros, lines, four = 128, 192, 4 // bytes, and lines from one to the next
	require.Equal(t, []uint32{
		lines | four, zeros, lines + 4*256 | four, zeros, lines + 64 | four, zeros + 16, lines + 64 + 4*256 | four, zeros + 16,
		lines + 128 | four, zeros + 32, lines + 128 + 4*256 | four, zeros + 32, lines + 192 | four, zeros + 48, lines + 192 + 4*256 | four, zeros + 48,
	}, all[0])
}

// exactOf is an exact product on tiles of 4096 by 4096 weights, of 0 bits plain ones.
func exactOf(bits int) *product {
	s := backend.Spec{N: 4096, K: 4096, Bits: bits, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 32, Longest: 128}}
	if bits == 0 {
		s.Plain = dtype.BF16
	}
	w := &product{panel: newPanel(tilePanel, &s)}
	w.tileFeatures = w.canTile()
	w.f.exact.tilesFew = [weightKinds]func(*asm.Call){weight4: func(*asm.Call) {}}
	w.runs = w.divide()
	return w
}

// All exact rows by codes of 4 bits are few, none by other weights.
func TestFewExactOnTiles(t *testing.T) {
	w := exactOf(4)
	most, _ := w.portion()
	for rows := 3; rows <= most; rows++ {
		require.True(t, w.fewOnTiles(rows), "%d rows", rows)
		require.Zero(t, w.tail(rows), "%d rows", rows)
	}
	require.Equal(t, 3, w.from())
	require.False(t, exactOf(8).fewOnTiles(16))
	require.False(t, exactOf(0).fewOnTiles(16))
	require.Equal(t, []int{5, 5}, []int{exactOf(8).from(), exactOf(0).from()})
	w.f.exact.tilesFew = [weightKinds]func(*asm.Call){}
	require.False(t, w.fewOnTiles(16), "no kernel")
}

// Kernels of units have whole units of columns, and segments that all end sums.
func TestInUnits(t *testing.T) {
	in := func(w *product, rows, tiles int) bool {
		b := block{product: w, height: tiledRows(rows)}
		return b.inUnits(w.runs[0], tiles)
	}
	of := func(w *product) (rows []bool) {
		for _, m := range []int{16, 17, 32, 33, 256} {
			rows = append(rows, in(w, m, tilesOfAMX))
		}
		return rows
	}
	codes := fewOf(8, backend.GroupSpec{Count: 32, Longest: 128})
	require.Equal(t, []bool{false, true, true, true, true}, of(codes))
	require.Equal(t, []bool{false, true, true, true, true}, of(exactOf(8)))
	require.Equal(t, []bool{false, false, false, true, true}, of(exactOf(0)), "plain")
	require.False(t, in(codes, 64, 1), "one tile of columns")
	require.False(t, in(fewOf(8, backend.GroupSpec{Count: 64, Longest: 64}), 64, tilesOfAMX), "sums of one tile")
	s := backend.Spec{N: 64, K: 1024, Bits: 8, Scales: dtype.F16, ZeroMax: 255, Groups: backend.GroupSpec{Count: 1, Longest: 1024}, Recipe: quant.Recipe{Kind: quant.Int8Token}}
	open := &product{panel: newPanel(bytePanel, &s)}
	open.tileFeatures = open.canTile()
	open.runs = open.divide()
	require.False(t, in(open, 64, tilesOfAMX), "segments that end no sum")
}

// Few rows of codes whose segments do not all end sums go to no units of two by two tiles: the
// model's would panic, and the processor's take the scales of other columns.
func TestFewWithOpenSegments(t *testing.T) {
	rng := rand.New(rand.NewPCG(39, 40))
	const k, most = 1088, 67
	onTiles(t, 1, func(t *testing.T, b *bench) {
		for _, s := range []shape{{n: 70, bits: 4, groups: quant.OneGroup(k), zeros: true}, {n: 33, bits: 4, groups: uniform(t, k, 192), zeros: true}} {
			s.k, s.scales = k, dtype.F16
			l, x := s.linear(t, rng), input(rng, dtype.F32, most, k)
			layer, kernel := b.prepare(l, backend.Request{Recipe: &quant.Recipe{Kind: quant.Int8Token}, X: dtype.F32, MaxRows: most})
			spec := layer.Spec()
			p := kernel.panel(&spec)
			require.False(t, p.allEnd(run{0, len(p.blocks)}))
			want := b.apply(layer, x, most)
			b.accepted(layer, kernel, l, x, want, most)
			for _, m := range []int{1, 7, 8, 16, 17, 31, 32, 33, 48, 64, 65} {
				require.Equal(t, bitsOf(want[:m*s.n]), bitsOf(b.apply(layer, x[:m*k], m)), "%s: %d rows", s, m)
			}
		}
	})
}

func TestFewOnTiles(t *testing.T) {
	w := fewOf(4, backend.GroupSpec{Count: 32, Longest: 128})
	for rows, want := range map[int]bool{8: true, 16: true, 32: true, 64: true, 65: false, 256: false} {
		require.Equal(t, want, w.fewOnTiles(rows), "%d rows", rows)
	}
	require.False(t, fewOf(4, backend.GroupSpec{Count: 128, Longest: 32}).fewOnTiles(16), "half of a tile")
	eight := fewOf(8, backend.GroupSpec{Count: 32, Longest: 128})
	require.Equal(t, []bool{true, false}, []bool{eight.fewOnTiles(16), eight.fewOnTiles(17)})
	require.Nil(t, eight.placesOf(eight.runs))
	w.f.codes4.tilesFew = nil
	require.False(t, w.fewOnTiles(16), "no kernel")
}

// Some rows behind whole units of x are multiplied apart, as long as the others are few.
func TestTail(t *testing.T) {
	w := fewOf(4, backend.GroupSpec{Count: 32, Longest: 128})
	for rows, want := range map[int]int{1: 0, 3: 0, 16: 0, 17: 0, 32: 0, 33: 0, 35: 0, 36: 0, 48: 0, 49: 0, 65: 1, 67: 3, 68: 0, 97: 0, 241: 0} {
		require.Equal(t, want, w.tail(rows), "%d rows", rows)
	}
	require.Zero(t, fewOf(4, backend.GroupSpec{Count: 128, Longest: 32}).tail(17))
	s := backend.Spec{N: 64, K: 1024, Bits: 4, Scales: dtype.F16, ZeroMax: 15, Groups: backend.GroupSpec{Count: 1, Longest: 1024}, Recipe: quant.Recipe{Kind: quant.Int8Token}}
	open := &product{panel: newPanel(bytePanel, &s), f: w.f}
	open.tileFeatures = open.canTile()
	require.Equal(t, []int{1, 3, 0}, []int{open.tail(33), open.tail(35), open.tail(36)}, "segments that end no sum are in no units")
	require.Zero(t, fewOf(8, backend.GroupSpec{Count: 32, Longest: 128}).tail(17))
}

// Rows of three tiles go in one unit, where there is a kernel, and others in those of two by two tiles.
func TestUnitsOfFew(t *testing.T) {
	which := 0
	kernel := func(n int) func(*asm.Call) { return func(*asm.Call) { which = n } }
	codes, exact := fewOf(4, backend.GroupSpec{Count: 32, Longest: 128}), exactOf(4)
	require.Nil(t, codes.fewUnits(40))
	codes.f.codes4.fewUnits, exact.f.exact.fewUnits[weight4] = kernel(2), kernel(2)
	codes.fewUnits(40)(nil)
	require.Equal(t, 2, which)
	codes.f.codes4.fewTall, exact.f.exact.fewTall[weight4] = kernel(3), kernel(3)
	for rows, want := range map[int]int{17: 2, 32: 2, 33: 3, 40: 3, 48: 3, 49: 2, 64: 2} {
		for _, w := range []*product{codes, exact} {
			w.fewUnits(rows)(nil)
			require.Equal(t, want, which, "%d rows", rows)
		}
	}
}

// Portions of few rows have the tiles of a call, where there are enough of them for all
// threads.
func TestGridOfFew(t *testing.T) {
	w := fewOf(4, backend.GroupSpec{Count: 32, Longest: 128})
	for _, c := range []struct {
		rows, threads int
		want          grid
	}{
		{7, 1, grid{16, 16, 1, 16}}, {8, 1, grid{16, 8, 1, 32}}, {17, 1, grid{32, 8, 1, 32}}, {67, 1, grid{80, 8, 1, 32}}, {68, 1, grid{80, 4, 1, 64}},
		{16, 2, grid{16, 4, 1, 64}},
	} {
		require.Equal(t, c.want, w.grid(c.rows, c.threads), "%d rows, %d threads", c.rows, c.threads)
	}
}

// Kernels are told how many rows there are, where tiles can have as few.
func TestRowsOfCalls(t *testing.T) {
	told := map[int]bool{}
	rowsTold = func(rows int) { told[rows] = true }
	defer func() { rowsTold = func(int) {} }()
	b := open(t, backend.OpenOptions{Threads: 1})
	b.table = tableOf([]*unit{modelOfTiles()})
	rng := rand.New(rand.NewPCG(43, 44))
	const k, most = 256, 80
	for _, s := range []shape{{bits: 4, groups: uniform(t, k, 128)}, {bits: 8, groups: uniform(t, k, 128)}, {plain: dtype.BF16}} {
		for _, kind := range []quant.RecipeKind{quant.Int8Token, quant.Exact} {
			if s.n, s.k, s.scales = 64, k, dtype.F16; s.plain.Valid() && kind != quant.Exact {
				continue
			}
			layer, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &quant.Recipe{Kind: kind}, X: dtype.BF16, MaxRows: most})
			for _, m := range []int{13, 16, 17, 31, 33, 40, 77} {
				clear(told)
				b.apply(layer, input(rng, dtype.BF16, m, k), m)
				want := map[int]bool{m: true}
				if s.plain.Valid() && 16 < m && m <= 32 { // of one tile of rows each
					want = map[int]bool{32: true}
				}
				require.Equal(t, want, told, "%s, %v, %d rows", s, kind, m)
			}
		}
	}
}
