package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// shapes are odd sizes and every kind of groups, groups of one feature and
// tables (long groups of few bits) among them.
func shapes(t testing.TB, rng *rand.Rand) []shape {
	return []shape{
		{n: 1, k: 1, groups: quant.OneGroup(1)},
		{n: 3, k: 7, groups: uniform(t, 7, 2)},
		{n: 17, k: 8, groups: uniform(t, 8, 1)},
		{n: 9, k: 67, groups: quant.OneGroup(67)},
		{n: 33, k: 130, groups: uniform(t, 130, 64)},
		{n: 5, k: 300, groups: uniform(t, 300, 1)},
		{n: 6, k: 257, groups: uniform(t, 257, 3)},
		{n: 11, k: 100, groups: ragged(t, 0, 1, 40, 41, 99, 100)},
		{n: 10, k: 96, groups: actOrder(t, rng, 96, 4)},
		{n: 8, k: 131, groups: actOrder(t, rng, 131, 40)},
	}
}

// forEach runs f for every shape, number of bits, scale type and output type,
// the last three cycling so that every pair of them occurs somewhere.
func forEach(t *testing.T, f func(t *testing.T, rng *rand.Rand, s shape, x, y dtype.DType)) {
	rng := rand.New(rand.NewPCG(1, 2))
	i := 0
	for _, s := range shapes(t, rng) {
		for bits := 2; bits <= 8; bits++ {
			for _, x := range floats {
				s.bits, s.scales, s.zeros, s.bias = bits, floats[i%3], i%2 == 0, i%4 < 2
				y := floats[i/3%3]
				t.Run(fmt.Sprintf("%v x=%v y=%v", s, x, y), func(t *testing.T) { f(t, rng, s, x, y) })
				i++
			}
			i++
		}
	}
}

func TestExactIsAccepted(t *testing.T) { everywhere(t, backend.OpenOptions{}, testExactIsAccepted) }

func testExactIsAccepted(t *testing.T, b *bench) {
	forEach(t, func(t *testing.T, rng *rand.Rand, s shape, xt, yt dtype.DType) {
		b := &bench{t, b.dev, b.st, b.table}
		l := s.linear(t, rng)
		layer, k := b.prepare(l, backend.Request{X: xt, Y: yt, MaxRows: 5})
		x := input(rng, xt, 5, s.k)
		b.accepted(layer, k, l, x, b.apply(layer, x, 5), 5)
	})
}

func TestInt8IsAccepted(t *testing.T) { everywhere(t, backend.OpenOptions{}, testInt8IsAccepted) }

func testInt8IsAccepted(t *testing.T, b *bench) {
	next := 0
	forEach(t, func(t *testing.T, rng *rand.Rand, s shape, xt, yt dtype.DType) {
		b := &bench{t, b.dev, b.st, b.table}
		l := s.linear(t, rng)
		for range 3 { // of the recipes, in turn
			r := int8Recipes[next%len(int8Recipes)]
			next++
			layer, k := b.prepare(l, backend.Request{Recipe: &r, X: xt, Y: yt, MaxRows: 5})
			x := input(rng, xt, 5, s.k)
			clear(x[s.k : 2*s.k]) // a row of zeros
			b.accepted(layer, k, l, x, b.apply(layer, x, 5), 5)
		}
	})
}

func TestFlatQuantIsAccepted(t *testing.T) {
	everywhere(t, backend.OpenOptions{}, testFlatQuantIsAccepted)
}

func testFlatQuantIsAccepted(t *testing.T, b *bench) {
	forEach(t, func(t *testing.T, rng *rand.Rand, s shape, xt, yt dtype.DType) {
		b := &bench{t, b.dev, b.st, b.table}
		s.flat = true
		l := s.linear(t, rng)
		layer, k := b.prepare(l, backend.Request{X: xt, Y: yt, MaxRows: 3})
		x := input(rng, xt, 3, s.k)
		b.accepted(layer, k, l, x, b.apply(layer, x, 3), 3)
	})
}

func TestPlainIsAccepted(t *testing.T) { everywhere(t, backend.OpenOptions{}, testPlainIsAccepted) }

func testPlainIsAccepted(t *testing.T, b *bench) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i, w := range floats {
		for j, xt := range floats {
			for _, k := range []int{1, 8, 63, 200} {
				s := shape{n: 19, k: k, plain: w, bias: j == 1}
				l := s.linear(t, rng)
				layer, kernel := b.prepare(l, backend.Request{X: xt, Y: floats[(i+j)%3], MaxRows: 4})
				x := input(rng, xt, 4, k)
				b.accepted(layer, kernel, l, x, b.apply(layer, x, 4), 4)
			}
		}
	}
}

// TestExactCells has nothing to round: integer x, scales that are powers of
// two, sums below 2^24, rows whose largest code is 127, or 7 for int4. y must equal the sum.
func TestExactCells(t *testing.T) { everywhere(t, backend.OpenOptions{}, testExactCells) }

func testExactCells(t *testing.T, b *bench) {
	rng := rand.New(rand.NewPCG(5, 6))
	recipes := b.recipes(append([]quant.Recipe{{Kind: quant.Exact}}, int8Recipes...))
	for _, s := range shapes(t, rng) {
		for bits := 2; bits <= 8; bits++ {
			s.bits, s.scales, s.zeros = bits, floats[bits%3], bits%2 == 0
			l := s.linear(t, rng)
			for n := range s.n {
				for g := range s.groups.Count() {
					l.Weight.SetScale(n, g, float32([]float64{0.25, 1, 2}[g%3]))
				}
			}
			index := s.groups.Index(nil)
			w := make([]float64, s.n*s.k) // without scale and zero point for every element this takes minutes, emulated
			for i := range w {
				n, g := i/s.k, int(index[i%s.k])
				w[i] = float64(l.Weight.Scale(n, g)) * float64(l.Weight.Code(n, i%s.k)-l.Weight.Zero(n, g))
			}
			const m = 3
			for _, r := range recipes {
				if r.Kind == quant.Int8Token {
					continue // its scale of a row with maximum 127 is not one
				}
				layer, _ := b.prepare(l, backend.Request{Recipe: &r, X: b.x(), Y: dtype.F32, MaxRows: m})
				x := make([]float32, m*s.k)
				top := 127
				if r.Kind == quant.Int4TokenAscend {
					top = 7
				}
				for i := range x {
					x[i] = float32(rng.IntN(2*top+1) - top)
				}
				act := r.ActGroups(l.Weight.Groups())
				seen := map[[2]int]bool{}
				for i := range x { // the largest of each scale
					if g := [2]int{i / s.k, act.Of(i % s.k)}; r.Kind != quant.Exact && !seen[g] {
						seen[g], x[i] = true, float32(top)
					}
				}
				if r.Kind == quant.Int8TokenAsym {
					if s.k == 1 {
						continue // 127 alone spans no 255 steps
					}
					for row := range m {
						x[row*s.k+1] = -128
					}
				}
				y := b.apply(layer, x, m)
				for i := range y {
					row, n := i/s.n, i%s.n
					var want float64 // every sum on the way is exact
					x := x[row*s.k:][:s.k]
					for k, w := range w[n*s.k:][:s.k] {
						want += float64(x[k]) * w
					}
					if want != float64(y[i]) {
						t.Fatalf("%v %v y[%d,%d] is %v, want %v", s, r, row, n, y[i], want)
					}
				}
			}
		}
	}
}

// TestDynamic4BitOrder recomputes Int8TokenAsym in the very order of PyTorch's
// float32 operator, channel-wise and in groups.
func TestDynamic4BitOrder(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	rng := rand.New(rand.NewPCG(7, 8))
	r := quant.Recipe{Kind: quant.Int8TokenAsym}
	for _, size := range []int{-1, 32, 64} {
		const n, k, m = 24, 256, 3
		s := shape{n: n, k: k, bits: 4, groups: uniform(t, k, size), scales: dtype.F32}
		l := s.linear(t, rng)
		layer, _ := b.prepare(l, backend.Request{Recipe: &r, X: dtype.F32, MaxRows: m})
		x := input(rng, dtype.F32, m, k)
		y := b.apply(layer, x, m)
		g := s.groups
		for row := range m {
			codes, recip := make([]int8, k), make([]float32, 1)
			one := quant.OneGroup(k)
			zero := r.QuantizeRow(dtype.F32, &one, codes, recip, x[row*k:][:k])
			for col := range n {
				var sum float32
				for group := range g.Count() {
					var acc int32
					for i := group * g.Size(); i < (group+1)*g.Size(); i++ {
						acc += (int32(codes[i]) - zero) * int32(l.Weight.Code(col, i)-8)
					}
					sum += float32(float32(acc) * l.Weight.Scale(col, group))
				}
				require.Equal(t, float32(sum*recip[0]), y[row*n+col], "group size %d, y[%d,%d]", size, row, col)
			}
		}
	}
}

// TestWideZeroPoints has weights of the largest magnitude that a zero point
// allows, whose sums leave an int32.
func TestWideZeroPoints(t *testing.T) { everywhere(t, backend.OpenOptions{}, testWideZeroPoints) }

func testWideZeroPoints(t *testing.T, b *bench) {
	rng := rand.New(rand.NewPCG(9, 10))
	s := shape{n: 4, k: 3000, bits: 8, groups: quant.OneGroup(3000), scales: dtype.F32, zeros: true}
	l := s.linear(t, rng)
	for n, z := range []int16{-32768, 32767, 255, -1} {
		l.Weight.ZeroRow(n)[0] = z
	}
	for _, r := range b.recipes(append([]quant.Recipe{{Kind: quant.Exact}}, int8Recipes...)) {
		layer, k := b.prepare(l, backend.Request{Recipe: &r, X: b.x(), MaxRows: 2})
		x := make([]float32, 2*s.k)
		for i := range x {
			x[i] = b.x().Round(1 + rng.Float32()) // all of one sign
		}
		b.accepted(layer, k, l, x, b.apply(layer, x, 2), 2)
	}
}

// TestSameBits compares runs that must not differ: another number of threads,
// other rows in the call, another call.
func TestSameBits(t *testing.T) {
	everywhere(t, backend.OpenOptions{Threads: 5}, func(t *testing.T, many *bench) {
		one := open(t, backend.OpenOptions{Threads: 1})
		one.table = many.table
		testSameBits(t, one, many)
	})
}

func testSameBits(t *testing.T, one, many *bench) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, kind := range quant.Recipes() {
		if many.pairs() && kind != quant.Exact {
			continue // nothing that the others do not do
		}
		s := shape{n: 90, k: 264, bits: 4, groups: uniform(t, 264, 64), scales: dtype.F16, zeros: true, bias: true, flat: kind == quant.Int4FlatQuant}
		l := s.linear(t, rng)
		r := backend.Request{Recipe: &quant.Recipe{Kind: kind}, X: many.x(), MaxRows: 20}
		a, _ := one.prepare(l, r)
		b, _ := many.prepare(l, r)
		x := input(rng, many.x(), 20, s.k)
		want := one.apply(a, x, 20)
		require.Equal(t, want, many.apply(b, x, 20), kind)
		require.Equal(t, want, many.apply(b, x, 20), kind)
		for _, row := range []int{0, 7, 19} {
			require.Equal(t, want[row*s.n:(row+1)*s.n], many.apply(b, x[row*s.k:(row+1)*s.k], 1), kind)
		}
	}
}

// TestManyRowsHaveTheBitsOfOne crosses the numbers of rows from which weights
// are unpacked, which differ between weights.
func TestManyRowsHaveTheBitsOfOne(t *testing.T) {
	everywhere(t, backend.OpenOptions{Threads: 3}, testManyRows)
}

// TestManyRowsOfOneThread is the same where portions have many tiles, of which two go together.
func TestManyRowsOfOneThread(t *testing.T) {
	everywhere(t, backend.OpenOptions{Threads: 1}, testManyRows)
}

// TestRunsHaveTheBitsOfOne multiplies rows by several runs of blocks, unpacked where kernels read
// that, whatever number of rows the processor is tuned to: each has the bits of a row alone.
func TestRunsHaveTheBitsOfOne(t *testing.T) {
	everywhere(t, backend.OpenOptions{Threads: 1}, func(t *testing.T, b *bench) {
		const m, n, k, from = 31, 56, 1216, 2
		rng := rand.New(rand.NewPCG(5, 134))
		recipes := []quant.RecipeKind{quant.Exact}
		if !b.pairs() {
			recipes = append(recipes, quant.Int8Token, quant.Int8TokenAsym, quant.Int8Group)
		}
		for _, s := range []shape{
			{bits: 4, scales: dtype.F16}, {bits: 4, scales: dtype.F32, zeros: true}, {bits: 8, scales: dtype.BF16}, {bits: 8, scales: dtype.F16, zeros: true},
		} {
			s.n, s.k, s.groups = n, k, uniform(t, k, 64)
			l := s.linear(t, rng)
			for _, kind := range recipes {
				made, kernel := b.prepare(l, backend.Request{Recipe: &quant.Recipe{Kind: kind}, X: b.x(), Y: dtype.F32, MaxRows: m})
				w, ok := made.(interface{ whole() *layer }).whole().parts[0].matrix.(*product)
				if !ok {
					continue // in plain Go
				}
				require.Greater(t, len(w.runs), 1)
				if w.integers().wideFrom > 0 {
					w.integers().wideFrom = from
				}
				for i := range w.f.exact.unpackFrom {
					w.f.exact.unpackFrom[i] = from
				}
				x := input(rng, b.x(), m, k)
				alone := make([][]float32, m)
				for row := range m {
					alone[row] = b.apply(made, x[row*k:(row+1)*k], 1)
				}
				counts := []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, m} // each kernel, and several
				if kernel.unit.name == "model" {
					counts = []int{2, m}
				}
				for _, w.short = range []bool{false, true} {
					for _, rows := range counts {
						y := b.apply(made, x[:rows*k], rows)
						for row := range rows {
							require.Equal(t, alone[row], y[row*n:(row+1)*n], "%s, %v, %v, short %v, row %d of %d", kernel.name, s, kind, w.short, row, rows)
						}
					}
				}
			}
		}
	})
}

func testManyRows(t *testing.T, b *bench) {
	const m, n, k = 131, 40, 96
	rng := rand.New(rand.NewPCG(5, 131))
	for _, s := range []shape{
		{bits: 4, scales: dtype.F16, zeros: true}, {bits: 7, scales: dtype.BF16, zeros: true}, {bits: 8, scales: dtype.BF16}, {bits: 3, scales: dtype.F32},
		{bits: 4, scales: dtype.F16, groups: actOrder(t, rng, k, 4)}, // a few rows are put in their places together
		{plain: dtype.F32}, {plain: dtype.F16}, {plain: dtype.BF16},
	} {
		recipes, xt := []quant.RecipeKind{quant.Exact}, b.x()
		u := b.table[0].unit
		if u != nil && u.exact.kind.pairs() && s.plain.Valid() && s.plain != dtype.BF16 {
			continue // not for this unit
		}
		s.n, s.k = n, k
		if !s.plain.Valid() {
			if s.groups.Count() == 0 {
				s.groups = uniform(t, k, 32)
			} else {
				xt = dtype.BF16
			}
			if !b.pairs() {
				recipes = append(recipes, quant.Int8Token, quant.Int8Group)
			}
		}
		l := s.linear(t, rng)
		for _, kind := range recipes {
			layer, kernel := b.prepare(l, backend.Request{Recipe: &quant.Recipe{Kind: kind}, X: xt, Y: dtype.F32, MaxRows: m})
			if u != nil && u.exact.is && kind == quant.Exact {
				require.True(t, kernel.unit == u, "%s, %v", kernel.name, s)
			}
			x := input(rng, xt, m, k)
			alone := map[int][]float32{}
			for row := range m {
				if !testing.Short() || row%26 == 0 { // of an emulator few are enough
					alone[row] = b.apply(layer, x[row*k:(row+1)*k], 1)
				}
			}
			counts := []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 17, 24, 25, 40, 48, 100, m} // all kernels of two tiles, and of one
			if testing.Short() {
				counts = []int{7, 12, 27, m}
			}
			for _, rows := range counts {
				y := b.apply(layer, x[:rows*k], rows)
				for row, want := range alone {
					if row < rows {
						require.Equal(t, want, y[row*n:(row+1)*n], "%s, %v, row %d of %d", kernel.name, s, row, rows)
					}
				}
			}
		}
	}
}

// TestHugeInput has codes times the scale of x beyond float32, and y within it.
func TestHugeInput(t *testing.T) { everywhere(t, backend.OpenOptions{}, testHugeInput) }

func testHugeInput(t *testing.T, b *bench) {
	rng := rand.New(rand.NewPCG(19, 3))
	const n, k, m = 5, 300, 2
	l := shape{n: n, k: k, bits: 8, groups: uniform(t, k, 100), scales: dtype.F32}.linear(t, rng)
	for i := range n {
		for g := range 3 {
			l.Weight.SetScale(i, g, 1e-5*rng.Float32())
		}
	}
	x := make([]float32, m*k)
	for i := range x {
		x[i] = dtype.BF16.Round(2e37 * (2*rng.Float32() - 1))
	}
	for _, r := range append(int8Recipes, quant.Recipe{}) {
		layer, kernel := b.prepare(l, backend.Request{Recipe: &r, X: dtype.BF16, Y: dtype.F32, MaxRows: m})
		y := b.apply(layer, x, m)
		for _, v := range y {
			require.Zero(t, v-v, "%v: %v", r, v)
		}
		b.accepted(layer, kernel, l, x, y, m)
	}
}

// TestHugeBesideTiny has an x near the largest float32 that meets a weight of
// zero, and one near the smallest that does not: what the first needs must not
// cost the second more than is stated.
func TestHugeBesideTiny(t *testing.T) { everywhere(t, backend.OpenOptions{}, testHugeBesideTiny) }

func testHugeBesideTiny(t *testing.T, b *bench) {
	for _, plain := range []bool{true, false} {
		l := &quant.Linear{Name: "huge beside tiny"}
		if plain {
			require.NoError(t, l.Weight.Reset(quant.Form{N: 1, K: 8, Plain: b.x()}))
			b.x().Put(l.Weight.Row(0), 1, 1)
		} else {
			require.NoError(t, l.Weight.Reset(quant.Form{N: 1, K: 8, Bits: 4, Scales: dtype.F32, Zeros: true, Groups: quant.OneGroup(8)}))
			l.Weight.SetScale(0, 0, 1)
			l.Weight.PackRow(0, []uint8{0, 1, 0, 0, 0, 0, 0, 0})
		}
		layer, k := b.prepare(l, backend.Request{X: b.x(), MaxRows: 4})
		x := []float32{
			0x1p100, 0x1.6789abp-80, 0, 0, 0, 0, 0, 0,
			0x1p120, 0x1.6789abp-90, 0, 0, 0, 0, 0, 0,
			0x1p126, 0x1.6789abp-112, 0, 0, 0, 0, 0, 0,
			0x1p-130, 0x1.6789abp-100, 0, 0, 0, 0, 0, 0,
		}
		for i, v := range x {
			x[i] = b.x().Round(v)
		}
		b.accepted(layer, k, l, x, b.apply(layer, x, 4), 4)
	}
}

func TestNonFiniteRows(t *testing.T) { everywhere(t, backend.OpenOptions{}, testNonFiniteRows) }

func testNonFiniteRows(t *testing.T, b *bench) {
	rng := rand.New(rand.NewPCG(13, 14))
	for _, kind := range quant.Recipes() {
		if b.pairs() && kind != quant.Exact {
			continue
		}
		for _, order := range []bool{false, true} {
			s := shape{n: 20, k: 96, bits: 4, groups: uniform(t, 96, 32), scales: dtype.F16, bias: true, flat: kind == quant.Int4FlatQuant}
			if order {
				s.groups = actOrder(t, rng, 96, 4)
			}
			l := s.linear(t, rng)
			layer, k := b.prepare(l, backend.Request{Recipe: &quant.Recipe{Kind: kind}, X: b.x(), MaxRows: 4})
			x := input(rng, b.x(), 4, s.k)
			x[s.k+5] = float32nan()
			x[3*s.k+95] = float32inf()
			b.accepted(layer, k, l, x, b.apply(layer, x, 4), 4)
		}
	}
}
