package quant_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// randomLinear fills a layer of the form f. Codes are random, scales powers of
// two, so that sums of products with small integers are exact.
func randomLinear(t testing.TB, rng *rand.Rand, name string, f quant.Form, bias bool) *quant.Linear {
	t.Helper()
	l := &quant.Linear{Name: name, DType: dtype.BF16}
	require.NoError(t, l.Weight.Reset(f))
	codes := make([]uint8, f.K)
	for n := range f.N {
		if f.Plain.Valid() {
			for k := range f.K {
				f.Plain.Put(l.Weight.Row(n), k, float32(rng.IntN(17)-8))
			}
			continue
		}
		for k := range codes {
			codes[k] = uint8(rng.IntN(1 << f.Bits))
		}
		l.Weight.PackRow(n, codes)
		for g := range f.Groups.Count() {
			l.Weight.SetScale(n, g, float32(int(1)<<rng.IntN(4))/4)
			if z := l.Weight.ZeroRow(n); z != nil {
				z[g] = int16(rng.IntN(1<<f.Bits + 1))
			}
		}
	}
	if bias {
		l.ResizeBias(f.N)
		for i := range l.Bias {
			l.Bias[i] = float32(rng.IntN(9) - 4)
		}
	}
	require.NoError(t, l.Check())
	return l
}

func groupsOf(t testing.TB, rng *rand.Rand, kind quant.GroupKind, k int) quant.Groups {
	t.Helper()
	var g quant.Groups
	var err error
	switch kind {
	case quant.PerChannel:
		return quant.OneGroup(k)
	case quant.Uniform:
		g, err = quant.UniformGroups(k, 1+rng.IntN(k))
	case quant.Ragged:
		bounds := []int32{0}
		for at := 0; at < k; {
			at = min(k, at+1+rng.IntN(9))
			bounds = append(bounds, int32(at))
		}
		g, err = quant.RaggedGroups(bounds)
	default:
		index := make([]int32, k)
		for i := range index {
			index[i] = rng.Int32N(7)
		}
		g, err = quant.IndexedGroups(index, 7)
	}
	require.NoError(t, err)
	return g
}

// forms calls f with layers of every width, kind of groups and kind of zeros,
// and plain ones.
func forms(t *testing.T, rng *rand.Rand, n, k int, f func(t *testing.T, l *quant.Linear)) {
	for bits := 2; bits <= 8; bits++ {
		for kind := quant.PerChannel; kind <= quant.ActOrder; kind++ {
			for _, zeros := range []bool{false, true} {
				scales := dtype.F32 + dtype.DType(rng.IntN(3))
				name := fmt.Sprintf("w%d/%v/zeros=%v/%v", bits, kind, zeros, scales)
				t.Run(name, func(t *testing.T) {
					form := quant.Form{N: n, K: k, Bits: bits, Scales: scales, Zeros: zeros, Groups: groupsOf(t, rng, kind, k)}
					f(t, randomLinear(t, rng, name, form, zeros))
				})
			}
		}
	}
	for _, plain := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		t.Run(plain.String(), func(t *testing.T) {
			f(t, randomLinear(t, rng, plain.String(), quant.Form{N: n, K: k, Plain: plain}, plain != dtype.F16))
		})
	}
}

func randomRanges(rng *rand.Rand, limit int) []quant.Range {
	ranges := make([]quant.Range, 1+rng.IntN(3))
	for i := range ranges {
		start := rng.IntN(limit)
		ranges[i] = quant.Range{Start: start, End: start + 1 + rng.IntN(limit-start)}
	}
	return ranges
}

func indices(ranges []quant.Range) (out []int) {
	for _, r := range ranges {
		for i := r.Start; i < r.End; i++ {
			out = append(out, i)
		}
	}
	return out
}

// Every element of a random part, and of a part of it, along either axis, is
// the element of the whole that the ranges name.
func TestSelectTakesTheElementsItNames(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	forms(t, rng, 9, 41, func(t *testing.T, whole *quant.Linear) {
		for range 20 {
			l := whole
			rows, features := indices([]quant.Range{{End: 9}}), indices([]quant.Range{{End: 41}})
			for range 3 {
				axis := quant.Axis(rng.IntN(2))
				dim := &rows
				if axis == quant.AxisK {
					dim = &features
				}
				ranges := randomRanges(rng, len(*dim))
				var picked []int
				for _, i := range indices(ranges) {
					picked = append(picked, (*dim)[i])
				}
				*dim = picked
				var err error
				l, err = l.Select(axis, ranges...)
				require.NoError(t, err)
			}
			require.NoError(t, l.Check())
			requirePart(t, whole, l, rows, features)
		}
	})
}

func requirePart(t *testing.T, whole, l *quant.Linear, rows, features []int) {
	t.Helper()
	require.Equal(t, len(rows), l.Weight.N())
	require.Equal(t, len(features), l.Weight.K())
	if l.NRanges != nil {
		require.Equal(t, rows, indices(l.NRanges))
	}
	if l.KRanges != nil {
		require.Equal(t, features, indices(l.KRanges))
	}
	n, k := l.Full()
	require.Equal(t, [2]int{whole.Weight.N(), whole.Weight.K()}, [2]int{n, k})
	_, plain := whole.Weight.Plain()
	keepsBias := false
	for j, k := range features {
		keepsBias = keepsBias || k == 0
		g, wg := l.Weight.Groups().Of(j), whole.Weight.Groups().Of(k)
		for i, n := range rows {
			if l.Weight.Value(i, j) != whole.Weight.Value(n, k) {
				require.Equal(t, whole.Weight.Value(n, k), l.Weight.Value(i, j), "[%d,%d] from [%d,%d]", i, j, n, k)
			}
			if !plain && (l.Weight.Code(i, j) != whole.Weight.Code(n, k) || l.Weight.Zero(i, g) != whole.Weight.Zero(n, wg)) {
				require.Fail(t, "code or zero", "[%d,%d] from [%d,%d]", i, j, n, k)
			}
		}
	}
	require.Equal(t, keepsBias && whole.HasBias(), l.HasBias())
	for i, b := range l.Bias {
		require.Equal(t, whole.Bias[rows[i]], b)
	}
	if !plain { // the padding of a row is zero
		for i := range l.Weight.N() {
			codes := make([]uint8, l.Weight.K())
			l.Weight.UnpackRow(codes, i)
			row := make([]byte, l.Weight.RowStride())
			quant.Pack(row, codes, l.Weight.Bits())
			require.Equal(t, row, l.Weight.Row(i))
		}
	}
}

// The sum of what the shards give is what the whole gives, also with the bias,
// exactly: the numbers are such that nothing is rounded.
func TestShardsSumToTheWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	forms(t, rng, 5, 23, func(t *testing.T, whole *quant.Linear) {
		x := make([]float64, 23)
		for i := range x {
			x[i] = float64(rng.IntN(31) - 15)
		}
		want := apply(whole, x)
		for _, size := range []int{1, 2, 3, 7, 23} {
			sum, at := make([]float64, 5), 0
			for rank := range size {
				l, err := whole.Shard(quant.AxisK, rank, size)
				require.NoError(t, err)
				require.Equal(t, rank == 0 && whole.HasBias(), l.HasBias())
				for n, y := range apply(l, x[at:at+l.Weight.K()]) {
					sum[n] += y
				}
				at += l.Weight.K()
			}
			require.Equal(t, 23, at)
			require.Equal(t, want, sum, "%d shards", size)
		}
		var rows []float64
		for rank := range 3 {
			l, err := whole.Shard(quant.AxisN, rank, 3)
			require.NoError(t, err)
			rows = append(rows, apply(l, x)...)
		}
		require.Equal(t, want, rows)
	})
}

func apply(l *quant.Linear, x []float64) []float64 {
	y := make([]float64, l.Weight.N())
	for n := range y {
		if l.HasBias() {
			y[n] = float64(l.Bias[n])
		}
		for k, v := range x {
			y[n] += v * float64(l.Weight.Value(n, k))
		}
	}
	return y
}

// The worked examples of the loaders' rules: a shard may start inside a group.
func TestShardByHand(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	groups, err := quant.UniformGroups(12, 8)
	require.NoError(t, err)
	l := randomLinear(t, rng, "down", quant.Form{N: 2, K: 12, Bits: 4, Scales: dtype.F32, Groups: groups}, false)
	p, err := l.Shard(quant.AxisK, 1, 2)
	require.NoError(t, err)
	require.Equal(t, []int32{0, 0, 1, 1, 1, 1}, p.Weight.Groups().Index(nil))
	require.Equal(t, []quant.Range{{Start: 6, End: 12}}, p.KRanges)
	for n := range 2 {
		require.Equal(t, l.Weight.Scale(n, 0), p.Weight.Scale(n, 0))
		require.Equal(t, l.Weight.Scale(n, 1), p.Weight.Scale(n, 1))
	}

	ordered, err := quant.IndexedGroups([]int32{0, 1, 0, 1, 1, 0, 1, 0}, 2)
	require.NoError(t, err)
	l = randomLinear(t, rng, "down", quant.Form{N: 1, K: 8, Bits: 3, Scales: dtype.F16, Groups: ordered}, false)
	p, err = l.Shard(quant.AxisK, 0, 2)
	require.NoError(t, err)
	require.Equal(t, []int32{0, 1, 0, 1}, p.Weight.Groups().Index(nil))
	require.Equal(t, []int32{0, 2, 1, 3}, p.Weight.Groups().Order())
	require.Equal(t, []int32{0, 2, 4}, p.Weight.Groups().Bounds(nil))

	// Group 0 is not used by features 5..9 of 10 in groups of 5.
	groups, err = quant.UniformGroups(10, 5)
	require.NoError(t, err)
	l = randomLinear(t, rng, "down", quant.Form{N: 1, K: 10, Bits: 8, Scales: dtype.BF16, Zeros: true, Groups: groups}, true)
	p, err = l.Shard(quant.AxisK, 1, 2)
	require.NoError(t, err)
	require.Equal(t, 1, p.Weight.Groups().Count())
	require.Equal(t, l.Weight.ZeroRow(0)[1:], p.Weight.ZeroRow(0))
	require.Equal(t, l.Weight.ScaleRow(0)[2:], p.Weight.ScaleRow(0))
	require.False(t, p.HasBias())
}

func TestShardSplitsEvenly(t *testing.T) {
	l := randomLinear(t, rand.New(rand.NewPCG(17, 18)), "up", quant.Form{N: 10, K: 3, Plain: dtype.F16}, false)
	var got []quant.Range
	for rank := range 4 {
		p, err := l.Shard(quant.AxisN, rank, 4)
		require.NoError(t, err)
		got = append(got, p.NRanges...)
	}
	require.Equal(t, []quant.Range{{0, 3}, {3, 6}, {6, 8}, {8, 10}}, got)

	p, err := l.Shard(quant.AxisN, 0, 1)
	require.NoError(t, err)
	require.Nil(t, p.NRanges, "all of a layer is no part of it")

	p, err = l.Select(quant.AxisN, quant.Range{Start: 0, End: 4}, quant.Range{Start: 4, End: 10})
	require.NoError(t, err)
	require.Nil(t, p.NRanges)
}

// A part is a copy: writing to it leaves the whole as it is.
func TestSelectCopies(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	l := randomLinear(t, rng, "up", quant.Form{N: 4, K: 16, Bits: 4, Scales: dtype.F32, Zeros: true, Groups: quant.OneGroup(16)}, true)
	before := linearBits(l)
	for _, axis := range []quant.Axis{quant.AxisN, quant.AxisK} {
		p, err := l.Select(axis, quant.Range{Start: 0, End: 4})
		require.NoError(t, err)
		for n := range p.Weight.N() {
			clear(p.Weight.Row(n))
			clear(p.Weight.ScaleRow(n))
			clear(p.Weight.ZeroRow(n))
		}
		clear(p.Bias)
	}
	require.Equal(t, before, linearBits(l))
}

// linearBits is all numbers of a layer, comparable.
func linearBits(l *quant.Linear) string {
	s := fmt.Sprint(bitsOf(l.Bias))
	for n := range l.Weight.N() {
		s += fmt.Sprint(l.Weight.Row(n), l.Weight.ScaleRow(n), l.Weight.ZeroRow(n))
	}
	return s
}

func TestSelectTransform(t *testing.T) {
	l := randomLinear(t, rand.New(rand.NewPCG(21, 22)), "q_proj", quant.Form{N: 4, K: 6, Bits: 4, Scales: dtype.F32, Groups: quant.OneGroup(6)}, false)
	l.Recipe.Kind = quant.Int4FlatQuant
	l.Transform = &quant.Transform{L: 2, R: 3, P1: identity(2), P2: identity(3), Type: dtype.F16, Clip: 1}
	p, err := l.Shard(quant.AxisN, 1, 2)
	require.NoError(t, err)
	require.NoError(t, p.Check())
	require.Same(t, l.Transform, p.Transform)

	_, err = l.Shard(quant.AxisK, 0, 2)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.EqualError(t, err, "q_proj: selection along K is 3 of 6 features, want one along N: the 2 x 3 transform mixes all features (unsupported)")
	_, err = l.Select(quant.AxisK, quant.Range{Start: 3, End: 6}, quant.Range{Start: 0, End: 3})
	require.ErrorIs(t, err, quant.ErrUnsupported, "another order is a cut, too")

	p, err = l.Shard(quant.AxisK, 0, 1)
	require.NoError(t, err)
	require.NoError(t, p.Check())
}

func TestSelectRefuses(t *testing.T) {
	l := randomLinear(t, rand.New(rand.NewPCG(23, 24)), "up", quant.Form{N: 4, K: 6, Plain: dtype.F16}, false)
	many := make([]quant.Range, 0, 1<<16)
	wide := &quant.Linear{Name: "wide"}
	require.NoError(t, wide.Weight.Reset(quant.Form{N: 1 << 15, K: 1, Plain: dtype.F16}))
	for range cap(many) {
		many = append(many, quant.Range{Start: 0, End: 1 << 15})
	}
	tests := []struct {
		name  string
		err   func() (*quant.Linear, error)
		class error
		text  string
	}{
		{"no ranges", func() (*quant.Linear, error) { return l.Select(quant.AxisN) }, quant.ErrShape, "up: selection is empty"},
		{"outside N", func() (*quant.Linear, error) { return l.Select(quant.AxisN, quant.Range{Start: 3, End: 5}) }, quant.ErrShape, "up: range is [3,5), want a non-empty part of [0,4)"},
		{"outside K", func() (*quant.Linear, error) { return l.Select(quant.AxisK, quant.Range{Start: -1, End: 5}) }, quant.ErrShape, "up: range is [-1,5), want a non-empty part of [0,6)"},
		{"reversed", func() (*quant.Linear, error) { return l.Select(quant.AxisK, quant.Range{Start: 2, End: 2}) }, quant.ErrShape, "[2,2)"},
		{"too much", func() (*quant.Linear, error) { return wide.Select(quant.AxisN, many...) }, quant.ErrShape, "wide: selection is more in 65536 ranges, want at most 2^30 in all"},
		{"axis", func() (*quant.Linear, error) { return l.Select(2, quant.Range{Start: 0, End: 2}) }, quant.ErrUnsupported, "up: axis is Axis(2), want N or K"},
		{"empty layer", func() (*quant.Linear, error) { return new(quant.Linear).Select(quant.AxisK, quant.Range{End: 1}) }, quant.ErrShape, "[0,0)"},
		{"rank", func() (*quant.Linear, error) { return l.Shard(quant.AxisN, 2, 2) }, quant.ErrShape, "up: rank is 2, want 0..1"},
		{"negative rank", func() (*quant.Linear, error) { return l.Shard(quant.AxisN, -1, 2) }, quant.ErrShape, "up: rank is -1"},
		{"size 0", func() (*quant.Linear, error) { return l.Shard(quant.AxisN, 0, 0) }, quant.ErrShape, "up: number of parts along N is 0, want 1..4"},
		{"size beyond K", func() (*quant.Linear, error) { return l.Shard(quant.AxisK, 0, 7) }, quant.ErrShape, "up: number of parts along K is 7, want 1..6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tt.err()
			require.ErrorIs(t, err, tt.class)
			require.ErrorContains(t, err, tt.text)
			require.Nil(t, p)
		})
	}
}

func BenchmarkSelectK(b *testing.B) {
	rng := rand.New(rand.NewPCG(25, 26))
	for _, bits := range []int{3, 4, 8} {
		groups, err := quant.UniformGroups(4096, 128)
		require.NoError(b, err)
		l := randomLinear(b, rng, "down", quant.Form{N: 1024, K: 4096, Bits: bits, Scales: dtype.F16, Groups: groups}, false)
		for _, r := range []quant.Range{{Start: 2048, End: 4096}, {Start: 1023, End: 3071}} {
			b.Run(fmt.Sprintf("w%d/%v", bits, r), func(b *testing.B) {
				b.SetBytes(int64(1024 * r.Len() * bits / 8))
				for b.Loop() {
					_, err := l.Select(quant.AxisK, r)
					require.NoError(b, err)
				}
			})
		}
	}
}
