package reference_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

// next returns the value of t after v, towards +Inf for up, −Inf otherwise.
func next(t dtype.DType, v float32, up bool) float32 {
	to := float32(math.Inf(-1))
	if up {
		to = -to
	}
	for w := math.Nextafter32(v, to); ; w = math.Nextafter32(w, to) {
		if t.Round(w) == w {
			return w
		}
	}
}

func TestAcceptIsTightToOneUlp(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	g := uniform(t, 256, 64)
	l := randomLayer(t, rng, 4, 6, 256, g, dtype.F16, true)
	x := randomRow(rng, dtype.BF16, 2*256)
	res := run(t, l, quant.Recipe{}, dtype.BF16, x, 2)
	for _, yt := range floats {
		for m := range 2 {
			for n := range 6 {
				b := reference.Bound{Depth: 1 + n}
				ref, e := res.Y[m*6+n], res.Bound(m, n, b)
				lo, hi := float32(yt.RoundF64(ref-e)), float32(yt.RoundF64(ref+e))
				require.True(t, res.Accept(m, n, lo, yt, b))
				require.True(t, res.Accept(m, n, float32(yt.RoundF64(ref)), yt, b))
				require.True(t, res.Accept(m, n, hi, yt, b))
				require.False(t, res.Accept(m, n, next(yt, lo, false), yt, b), "%v: one ulp below", yt)
				require.False(t, res.Accept(m, n, next(yt, hi, true), yt, b), "%v: one ulp above", yt)
				require.False(t, res.Accept(m, n, nan, yt, b))
				require.False(t, res.Accept(m, n, inf, yt, b))
			}
		}
	}
}

func TestAcceptWantsAValueOfItsType(t *testing.T) {
	l := layer(t, 4, quant.OneGroup(1), dtype.F32, [][]uint8{{9}}, [][]float32{{1}}, nil)
	res := run(t, l, quant.Recipe{}, dtype.F32, []float32{1}, 1)
	wide := reference.Bound{Depth: 1 << 22}
	require.True(t, res.Accept(0, 0, 1.25, dtype.BF16, wide))
	require.False(t, res.Accept(0, 0, 1+0x1p-20, dtype.BF16, wide), "not a bfloat16")
}

// Each case is one fault that a kernel or packer may have.
func TestTheJudgeIsSharp(t *testing.T) {
	const n, k = 8, 256
	rng := rand.New(rand.NewPCG(9, 10))
	same := func(zeros bool) *quant.Linear {
		return randomLayer4(t, rand.New(rand.NewPCG(11, 12)), zeros)
	}
	x := randomRow(rng, dtype.F16, k)
	for i, v := range x { // none so small that B swallows it
		x[i] = dtype.F16.Round(v + float32(math.Copysign(0.25, float64(v))))
	}
	most := reference.Bound{Depth: k/8 + 32} // the most that the suite allows
	rejected := func(good, bad *quant.Linear, yt dtype.DType) int {
		ref := run(t, good, quant.Recipe{}, dtype.F16, x, 1)
		got := run(t, bad, quant.Recipe{}, dtype.F16, x, 1)
		count := 0
		for i := range n {
			y := float32(yt.RoundF64(got.Y[i]))
			require.True(t, got.Accept(0, i, y, yt, most), "the judge accepts what its own layer gives")
			if !ref.Accept(0, i, y, yt, most) {
				count++
			}
		}
		return count
	}
	t.Run("one code off by one, any feature", func(t *testing.T) {
		for j := range k {
			good, bad := same(true), same(true)
			codes := make([]uint8, k)
			bad.Weight.UnpackRow(codes, 3)
			codes[j] ^= 1
			bad.Weight.PackRow(3, codes)
			require.Equal(t, 1, rejected(good, bad, dtype.F32), "feature %d", j)
		}
	})
	for _, yt := range floats {
		t.Run("scale of the neighbouring group, "+yt.String(), func(t *testing.T) {
			good, bad := same(true), same(true)
			for i := range n {
				bad.Weight.SetScale(i, 1, good.Weight.Scale(i, 2))
			}
			require.Equal(t, n, rejected(good, bad, yt))
		})
		t.Run("groups shifted by one feature, "+yt.String(), func(t *testing.T) {
			good, bad := same(true), same(true)
			index := bad.Weight.Groups().Index(nil)
			copy(index[1:], index[:k-1])
			shifted := indexed(t, 4, index...)
			form := bad.Weight.Form()
			form.Groups = shifted
			var w quant.Weight
			require.NoError(t, w.Reset(form))
			for i := range n {
				copy(w.Row(i), bad.Weight.Row(i))
				copy(w.ScaleRow(i), bad.Weight.ScaleRow(i))
				copy(w.ZeroRow(i), bad.Weight.ZeroRow(i))
			}
			bad.Weight = w
			require.Equal(t, n, rejected(good, bad, yt))
		})
		t.Run("v1 zeros read as v2, "+yt.String(), func(t *testing.T) {
			good, bad := same(true), same(true)
			for i := range n {
				z := bad.Weight.ZeroRow(i)
				for g := range z {
					z[g]--
				}
			}
			// Σx of a row may all but vanish, so that in bfloat16 one may pass.
			require.GreaterOrEqual(t, rejected(good, bad, yt), n-1)
		})
	}
	t.Run("bias forgotten", func(t *testing.T) {
		good, bad := same(true), same(true)
		good.Bias = []float32{1, 1, 1, 1, 1, 1, 1, 1}
		require.Equal(t, n, rejected(good, bad, dtype.BF16))
	})
	t.Run("activation code off by one", func(t *testing.T) {
		r := quant.Recipe{Kind: quant.Int8TokenXPU}
		l := same(false)
		ref := run(t, l, r, dtype.F16, x, 1)
		codes := append([]int8{}, ref.Codes...)
		codes[100]++
		bad, err := reference.RunGiven(l, r, codes, ref.Scales, ref.Zeros, 1)
		require.NoError(t, err)
		for i := range n {
			if l.Weight.Code(i, 100) == 8 {
				continue // its weight is 0
			}
			y := float32(bad.Y[i])
			require.False(t, ref.Accept(0, i, y, dtype.F32, most))
			slack := most
			slack.CodeSlack = 1
			require.True(t, ref.Accept(0, i, y, dtype.F32, slack))
		}
	})
}

func randomLayer4(t testing.TB, rng *rand.Rand, zeros bool) *quant.Linear {
	return randomLayer(t, rng, 4, 8, 256, uniform(t, 256, 64), dtype.F16, zeros)
}

// An honest float32 kernel, one product and one sum after the other, is
// accepted with the depth that it has.
func TestAcceptsAnHonestKernel(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	const n, k = 16, 256
	l := randomLayer(t, rng, 4, n, k, uniform(t, k, 32), dtype.BF16, true)
	l.Bias = randomRow(rng, dtype.F32, n)
	for _, xt := range floats {
		x := randomRow(rng, xt, k)
		res := run(t, l, quant.Recipe{}, xt, x, 1)
		b := reference.Bound{Depth: k + 3} // w, the product, k−1 sums, the bias
		for i := range n {
			var y float32
			for j := range k {
				y += float32(x[j] * l.Weight.Value(i, j))
			}
			y += l.Bias[i]
			require.True(t, res.Accept(0, i, y, dtype.F32, b))
			require.LessOrEqual(t, res.Ratio(0, i, y, b), 1.0)
			for _, yt := range floats {
				require.True(t, res.Accept(0, i, yt.Round(y), yt, b))
			}
		}
	}
}

func TestBoundGrowsWithItsTerms(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	l := randomLayer4(t, rng, false)
	x := randomRow(rng, dtype.F32, 256)
	for _, kind := range []quant.RecipeKind{quant.Exact, quant.Int8Token} {
		res := run(t, l, quant.Recipe{Kind: kind}, dtype.F32, x, 1)
		last := -1.0
		for depth := range 100 {
			b := res.Bound(0, 0, reference.Bound{Depth: depth})
			require.Greater(t, b, last)
			last = b
		}
		base := res.Bound(0, 0, reference.Bound{Depth: 4})
		require.Greater(t, res.Bound(0, 0, reference.Bound{Depth: 4, WeightRound: 0x1p-8}), base)
		require.Greater(t, res.Bound(0, 0, reference.Bound{Depth: 4, FlushBelow: 0x1p-20}), base)
	}
}

func TestNonFiniteInput(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	l := randomLayer(t, rng, 4, 4, 8, uniform(t, 8, 4), dtype.F16, false)
	b := reference.Bound{Depth: 12}
	for _, kind := range []quant.RecipeKind{quant.Exact, quant.Int8TokenAsym, quant.Int8Token, quant.Int8TokenXPU, quant.Int8TokenAscend, quant.Int8Group} {
		for _, bad := range []float32{nan, inf, -inf} {
			x := randomRow(rng, dtype.F16, 3*8)
			x[8+5] = bad
			r := quant.Recipe{Kind: kind}
			if kind == quant.Int8Group {
				r.Group = 2
			}
			res := run(t, l, r, dtype.F16, x, 3)
			require.Equal(t, []bool{false, true, false}, res.NonFinite, "%v", kind)
			for n := range 4 {
				for _, y := range []float32{nan, inf, -inf} {
					require.True(t, res.Accept(1, n, y, dtype.F16, b))
					require.Zero(t, res.Ratio(1, n, y, b))
					require.False(t, res.Accept(0, n, y, dtype.F16, b), "row 0 is finite")
				}
				require.False(t, res.Accept(1, n, 0, dtype.F16, b))
				require.True(t, math.IsInf(res.Ratio(1, n, 0, b), 1))
			}
			// The other rows are what they are without it.
			x[8+5] = 1
			clean := run(t, l, r, dtype.F16, x, 3)
			require.Equal(t, clean.Y[:4], res.Y[:4])
			require.Equal(t, clean.Y[8:], res.Y[8:])
		}
	}
}

func TestNonFiniteWeights(t *testing.T) {
	l := layer(t, 4, quant.OneGroup(2), dtype.F16, [][]uint8{{9, 9}, {9, 9}}, [][]float32{{nan}, {1}}, nil)
	res := run(t, l, quant.Recipe{}, dtype.F16, []float32{1, 2}, 1)
	require.False(t, res.Accept(0, 0, 0, dtype.F16, reference.Bound{}))
	require.True(t, res.Accept(0, 0, nan, dtype.F16, reference.Bound{}))
	require.True(t, res.Accept(0, 1, 3, dtype.F16, reference.Bound{}))
}

func TestOverflow(t *testing.T) {
	b := reference.Bound{Depth: 4}
	one := func(w float32) *reference.Result {
		l := layer(t, 4, quant.OneGroup(1), dtype.F32, [][]uint8{{9}}, [][]float32{{w}}, nil)
		return run(t, l, quant.Recipe{}, dtype.F32, []float32{1}, 1)
	}
	// 70000 is infinite in float16 and 65504 is the largest value below; in
	// bfloat16 and float32 it is finite.
	require.True(t, one(70000).Accept(0, 0, inf, dtype.F16, b))
	require.False(t, one(70000).Accept(0, 0, 65504, dtype.F16, b))
	require.False(t, one(70000).Accept(0, 0, -inf, dtype.F16, b))
	require.False(t, one(70000).Accept(0, 0, inf, dtype.BF16, b))
	require.True(t, one(70000).Accept(0, 0, 70144, dtype.BF16, b))
	// 65520 is the tie between 65504 and infinity: B reaches to both sides.
	require.True(t, one(65520).Accept(0, 0, inf, dtype.F16, b))
	require.True(t, one(65520).Accept(0, 0, 65504, dtype.F16, b))

	// A partial sum may overflow: 3e38 + 3e38 − 3e38 − 3e38.
	l := layer(t, 4, quant.OneGroup(4), dtype.F32, [][]uint8{{9, 9, 7, 7}}, [][]float32{{1}}, nil)
	big := float32(3e38)
	res := run(t, l, quant.Recipe{}, dtype.F32, []float32{big, big, big, big}, 1)
	for _, y := range []float32{0, inf, -inf, nan} {
		require.True(t, res.Accept(0, 0, y, dtype.F32, b), "%v", y)
	}

	// Codes times the scale of the weight, 127·7·1e36, come before the scale of x.
	l = layer(t, 2, quant.OneGroup(2), dtype.F32, [][]uint8{{15, 15}}, [][]float32{{1e36}}, nil)
	small := []float32{0x1p-100, 0x1p-100}
	for _, kind := range []quant.RecipeKind{quant.Int8TokenAscend, quant.Int8Group} {
		res = run(t, l, quant.Recipe{Kind: kind}, dtype.F32, small, 1)
		require.True(t, res.Accept(0, 0, inf, dtype.F32, b), "%v", kind)
		require.False(t, res.Accept(0, 0, 0, dtype.F32, b), "%v", kind)
	}
	// Without codes only a weight itself can overflow: 7·1e36 does not, 7·1e38 does.
	require.False(t, run(t, l, quant.Recipe{}, dtype.F32, small, 1).Accept(0, 0, inf, dtype.F32, b))
	l = layer(t, 2, quant.OneGroup(2), dtype.F32, [][]uint8{{15, 15}}, [][]float32{{1e38}}, nil)
	require.True(t, run(t, l, quant.Recipe{}, dtype.F32, small, 1).Accept(0, 0, inf, dtype.F32, b))
	// A huge x is no excuse where the weights are ordinary.
	l = layer(t, 2, quant.OneGroup(2), dtype.F32, [][]uint8{{15, 15}}, [][]float32{{0x1p-10}}, nil)
	for _, kind := range []quant.RecipeKind{quant.Exact, quant.Int8TokenAscend, quant.Int8Group} {
		res = run(t, l, quant.Recipe{Kind: kind}, dtype.F32, []float32{big, big}, 1)
		require.False(t, res.Accept(0, 0, inf, dtype.F32, b), "%v", kind)
	}
}

func TestRatio(t *testing.T) {
	// y = 1, Σ|x|s(u+z) = 17 + 0.5·16 = 25: B = 2·25·2⁻²⁴ (and 10·2⁻¹⁴⁹).
	l := layer(t, 4, quant.OneGroup(2), dtype.F32, [][]uint8{{9, 8}}, [][]float32{{1}}, nil)
	res := run(t, l, quant.Recipe{}, dtype.F32, []float32{1, 0.5}, 1)
	b := reference.Bound{Depth: 2}
	require.Equal(t, 2*25*0x1p-24+10*0x1p-149, res.Bound(0, 0, b))
	require.Zero(t, res.Ratio(0, 0, 1, b))
	require.InDelta(t, 0.4, res.Ratio(0, 0, 1+20*0x1p-24, b), 1e-9)
	require.InDelta(t, 0.4, res.Ratio(0, 0, 1-20*0x1p-24, b), 1e-9)
	require.True(t, math.IsInf(res.Ratio(0, 0, nan, b), 1))
	require.True(t, math.IsInf(res.Ratio(0, 0, inf, b), 1))
}
