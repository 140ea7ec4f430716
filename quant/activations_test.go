package quant_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

var (
	inf32 = float32(math.Inf(1))
	nan32 = float32(math.NaN())
)

func quantizeRow(r quant.Recipe, t dtype.DType, weights *quant.Groups, x []float32) (codes []int8, scales []float32, zero int32) {
	act := r.ActGroups(weights)
	codes, scales = make([]int8, len(x)), make([]float32, act.Count())
	for i := range codes {
		codes[i] = 99 // every code must be written
	}
	zero = r.QuantizeRow(t, &act, codes, scales, x)
	return codes, scales, zero
}

// Vectors by hand: the ends, ties on both sides of zero, and what the recipes
// do differently with the same row.
func TestQuantizeRowByHand(t *testing.T) {
	tests := []struct {
		name  string
		kind  quant.RecipeKind
		t     dtype.DType
		x     []float32
		codes []int8
		scale float32
		zero  int32
	}{
		{"asym, zero from the lower end", quant.Int8TokenAsym, dtype.F32, []float32{-1, 0, 1, 2}, []int8{-128, -43, 42, 127}, 1 / float32(85), -43},
		{"asym, zero from the upper end", quant.Int8TokenAsym, dtype.F32, []float32{-254, 1, 0}, []int8{-128, 127, 126}, 1, 126},
		{"asym, ties away from zero", quant.Int8TokenAsym, dtype.F32, []float32{-1, .5, 1.5, 2.5, -.5, 254}, []int8{-128, -126, -125, -124, -128, 127}, 1, -127},
		{"asym, zero point ties to even", quant.Int8TokenAsym, dtype.F32, []float32{-.5, 254.5, 0}, []int8{-128, 127, -128}, 1, -128},
		{"asym, zeros", quant.Int8TokenAsym, dtype.F32, []float32{0, 0}, []int8{127, 127}, 1, 127},
		{"asym, range always holds 0", quant.Int8TokenAsym, dtype.F16, []float32{3, 3}, []int8{127, 127}, 1 / float32(85), -128},
		{"asym, max-min overflows", quant.Int8TokenAsym, dtype.F32, []float32{-3e38, 3e38}, []int8{127, 127}, 0, 127},
		{"asym, 255/(max-min) overflows", quant.Int8TokenAsym, dtype.F32, []float32{1e-38, 0}, []int8{0, 0}, 0, 0},

		{"token, clamp then half even", quant.Int8Token, dtype.F32, []float32{127.5, .5, 1.5, -127.5, -2.5}, []int8{127, 0, 2, -128, -2}, 1, 0},
		{"token, quotient rounded to bfloat16", quant.Int8Token, dtype.BF16, []float32{4, 2.5, -2.5}, []int8{127, 80, -80}, 129. / 4096, 0},
		{"token, same in float32", quant.Int8Token, dtype.F32, []float32{4, 2.5, -2.5}, []int8{127, 80, -80}, 4 / float32(127.5), 0},
		{"token, quotient rounded to float16", quant.Int8Token, dtype.F16, []float32{3, 1, -3}, []int8{127, 42, -128}, 0x1.818p-6, 0},
		{"token, zeros float32", quant.Int8Token, dtype.F32, []float32{0, 0}, []int8{0, 0}, 0x1p-23, 0},
		{"token, zeros float16", quant.Int8Token, dtype.F16, []float32{0, 0}, []int8{0, 0}, 0x1p-10, 0},
		{"token, zeros bfloat16", quant.Int8Token, dtype.BF16, []float32{0, 0}, []int8{0, 0}, 0x1p-7, 0},
		{"token, scale underflows", quant.Int8Token, dtype.F16, []float32{0x1p-24, 0}, []int8{0, 0}, 0x1p-10, 0},

		{"xpu, example of its source", quant.Int8TokenXPU, dtype.F32, []float32{.5, -1.27, .635, 0}, []int8{50, -127, 64, 0}, 0.0099999998, 0},
		{"xpu, least scale", quant.Int8TokenXPU, dtype.F32, []float32{1e-3, -1e-7}, []int8{100, 0}, 1e-5, 0},
		{"xpu, zeros", quant.Int8TokenXPU, dtype.F32, []float32{0, 0}, []int8{0, 0}, 1e-5, 0},
		{"xpu, zeros float16", quant.Int8TokenXPU, dtype.F16, []float32{0, 0}, []int8{0, 0}, 168 * 0x1p-24, 0},
		{"xpu, scale rounded to bfloat16", quant.Int8TokenXPU, dtype.BF16, []float32{4, 2.5}, []int8{127, 79}, 129. / 4096, 0},

		{"ascend, half even", quant.Int8TokenAscend, dtype.F16, []float32{127, .5, 1.5, 2.5, -.5, -2.5, -127}, []int8{127, 0, 2, 2, 0, -2, -127}, 1, 0},
		{"ascend, zeros", quant.Int8TokenAscend, dtype.F16, []float32{0, 0}, []int8{0, 0}, 0, 0},
		{"ascend, scale underflows", quant.Int8TokenAscend, dtype.F32, []float32{0x1p-149, 0}, []int8{0, 0}, 0, 0},
		{"ascend int4, half even", quant.Int4TokenAscend, dtype.F16, []float32{7, .5, 1.5, 2.5, -.5, -2.5, -7}, []int8{7, 0, 2, 2, 0, -2, -7}, 1, 0},
		{"ascend int4, zeros", quant.Int4TokenAscend, dtype.BF16, []float32{0, 0}, []int8{0, 0}, 0, 0},
		{"ascend int4, scale underflows", quant.Int4TokenAscend, dtype.F32, []float32{3 * 0x1p-149, 0}, []int8{0, 0}, 0, 0},
		{"ascend int4, subnormal scale clamps", quant.Int4TokenAscend, dtype.F32, []float32{10 * 0x1p-149, -10 * 0x1p-149}, []int8{7, -8}, 0x1p-149, 0},
		{"ascend, subnormal scale clamps", quant.Int8TokenAscend, dtype.F32, []float32{180 * 0x1p-149, -180 * 0x1p-149}, []int8{127, -128}, 0x1p-149, 0},
		{"group, subnormal scale clamps", quant.Int8Group, dtype.F32, []float32{180 * 0x1p-149, -180 * 0x1p-149}, []int8{127, -127}, 0x1p-149, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			one := quant.OneGroup(len(tt.x))
			codes, scales, zero := quantizeRow(quant.Recipe{Kind: tt.kind}, tt.t, &one, tt.x)
			require.Equal(t, tt.codes, codes)
			require.Equal(t, []float32{tt.scale}, scales)
			require.Equal(t, tt.zero, zero)
		})
	}
}

func TestQuantizeRowGroups(t *testing.T) {
	ragged, err := quant.RaggedGroups([]int32{0, 1, 5, 6})
	require.NoError(t, err)
	ordered, err := quant.IndexedGroups([]int32{1, 0, 1, 0, 3, 1}, 4) // group 2 has no features
	require.NoError(t, err)
	uniform, err := quant.UniformGroups(6, 4)
	require.NoError(t, err)
	tests := []struct {
		name   string
		groups quant.Groups
		x      []float32
		codes  []int8
		scales []float32
	}{
		{"uniform, runs of 2", uniform, []float32{127, -1, 0, 254, .5, 0}, []int8{127, -1, 0, 127, 127, 0}, []float32{1, 2, .5 / float32(127)}},
		{"ragged, runs of 2", ragged, []float32{-127, 254, 127, 0, 0, 381}, []int8{-127, 127, 64, 0, 0, 127}, []float32{1, 2, 0, 3}},
		// Weight group 1 is features 0, 2, 5: runs {0,2} and {5}.
		{"act-order, runs of 2", ordered, []float32{1.5, 0, -127, 0, 254, 381}, []int8{2, 0, -127, 0, 127, 127}, []float32{0, 1, 3, 2}},
		{"act-order, one group is not finite", ordered, []float32{1, 127, inf32, 1, 254, 381}, []int8{0, 127, 0, 1, 127, 127}, []float32{1, nan32, 3, 2}},
		{"act-order, NaN after a large value", ordered, []float32{3e38, 127, nan32, -1, 254, 381}, []int8{0, 127, 0, -1, 127, 127}, []float32{1, nan32, 3, 2}},
		{"ragged, one group is not finite", ragged, []float32{-127, nan32, 127, 0, 127, 381}, []int8{-127, 0, 0, 0, 127, 127}, []float32{1, nan32, 1, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			codes, scales, zero := quantizeRow(quant.Recipe{Kind: quant.Int8Group, Group: 2}, dtype.F32, &tt.groups, tt.x)
			require.Equal(t, tt.codes, codes)
			require.Equal(t, bitsOf(tt.scales), bitsOf(scales))
			require.Zero(t, zero)
		})
	}
}

// bitsOf makes floats comparable, NaN with NaN.
func bitsOf(x []float32) []uint32 {
	out := make([]uint32, len(x))
	for i, v := range x {
		out[i] = math.Float32bits(v)
		if v != v {
			out[i] = math.Float32bits(nan32)
		}
	}
	return out
}

func TestQuantizeRowNotFinite(t *testing.T) {
	one := quant.OneGroup(4)
	for _, kind := range quantizing() {
		for _, bad := range []float32{inf32, -inf32, nan32, -nan32} {
			x := []float32{1, -3e38, bad, 2}
			codes, scales, zero := quantizeRow(quant.Recipe{Kind: kind}, dtype.F32, &one, x)
			require.Equal(t, make([]int8, 4), codes, "%v %v", kind, bad)
			require.Equal(t, bitsOf([]float32{nan32}), bitsOf(scales), "%v %v", kind, bad)
			require.Zero(t, zero, "%v %v", kind, bad)
		}
	}
}

func quantizing() []quant.RecipeKind {
	return []quant.RecipeKind{quant.Int8TokenAsym, quant.Int8Token, quant.Int8TokenXPU, quant.Int8TokenAscend, quant.Int8Group, quant.Int4TokenAscend}
}

// Exact and FlatQuant have no codes of x itself.
func TestQuantizeRowWritesNothing(t *testing.T) {
	one := quant.OneGroup(2)
	for _, kind := range []quant.RecipeKind{quant.Exact, quant.Int4FlatQuant} {
		codes, scales := []int8{1, 2}, []float32{3}
		require.Zero(t, quant.Recipe{Kind: kind}.QuantizeRow(dtype.F32, &one, codes, scales, []float32{5, 6}))
		require.Equal(t, []int8{1, 2}, codes)
		require.Equal(t, []float32{3}, scales)
	}
}

// checkRow compares a row with the reference bit for bit, and with x.
func checkRow(t *testing.T, r quant.Recipe, xt dtype.DType, weights *quant.Groups, x []float32) {
	t.Helper()
	act := r.ActGroups(weights)
	codes, scales, zero := quantizeRow(r, xt, weights, x)
	wantCodes, wantScales, wantZero := reference.Quantize(r, xt, &act, x)
	require.Equal(t, wantCodes, codes, "%v %v", r, xt)
	require.Equal(t, bitsOf(wantScales), bitsOf(scales), "%v %v", r, xt)
	require.Equal(t, wantZero, zero, "%v %v", r, xt)

	lo, hi := reference.CodeRange(r.Kind)
	for k, v := range x {
		s, c := float64(scales[act.Of(k)]), int(codes[k])
		require.LessOrEqual(t, lo, c)
		require.GreaterOrEqual(t, hi, c)
		if !(s > 0x1p-100) || c == lo || c == hi {
			continue // poisoned, zero, too small for the relative bound, or clamped
		}
		// Half a step; what rounding the quotient to xt adds; for the asymmetric
		// recipe half a step more, its zero point being rounded as well.
		bound := s * (0.5 + 128*xt.Epsilon() + 1e-4)
		if r.Kind == quant.Int8TokenAsym {
			bound = s * 1.001
		}
		require.InDelta(t, float64(v), s*float64(c-int(zero)), bound, "%v %v x[%d]", r, xt, k)
	}
}

func TestQuantizeRowEqualsReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, k := range []int{1, 2, 7, 64, 129, 300} {
		index := make([]int32, k)
		for i := range index {
			index[i] = rng.Int32N(5)
		}
		ordered, err := quant.IndexedGroups(index, 5)
		require.NoError(t, err)
		uniform, err := quant.UniformGroups(k, 48)
		require.NoError(t, err)
		for _, xt := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
			for _, kind := range quantizing() {
				for _, magnitude := range []float64{1e-7, 1, 300} {
					x := make([]float32, k)
					for i := range x {
						x[i] = xt.Round(float32(rng.NormFloat64() * magnitude))
					}
					x[rng.IntN(k)] *= 8
					checkRow(t, quant.Recipe{Kind: kind, Group: 32}, xt, &uniform, x)
					checkRow(t, quant.Recipe{Kind: kind}, xt, &ordered, x)
				}
			}
		}
	}
}

func TestQuantizeRowAllocatesNothing(t *testing.T) {
	const k = 96
	index := make([]int32, k)
	x := make([]float32, k)
	for i := range index {
		index[i], x[i] = int32(i%3), float32(i)-40
	}
	ordered, err := quant.IndexedGroups(index, 3)
	require.NoError(t, err)
	ragged, err := quant.RaggedGroups([]int32{0, 5, k})
	require.NoError(t, err)
	codes, scales := make([]int8, k), make([]float32, k)
	for _, kind := range quant.Recipes() {
		for _, groups := range []quant.Groups{quant.OneGroup(k), ragged, ordered} {
			for _, xt := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
				r := quant.Recipe{Kind: kind, Group: 8}
				act := r.ActGroups(&groups)
				require.Zero(t, testing.AllocsPerRun(10, func() {
					r.QuantizeRow(xt, &act, codes, scales, x)
				}), "%v %v", r, groups.Kind())
			}
		}
	}
}

func FuzzQuantizeRow(f *testing.F) {
	f.Add(uint8(0), uint8(0), uint8(3), []byte{0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 192, 127})
	f.Add(uint8(4), uint8(1), uint8(2), []byte{1, 0, 0, 0, 255, 255, 127, 255, 0, 0, 128, 127})
	f.Fuzz(func(t *testing.T, kind, xt, groups uint8, data []byte) {
		r := quant.Recipe{Kind: quantizing()[int(kind)%5], Group: int(kind / 5)}
		d := dtype.F32 + dtype.DType(xt%3)
		x := make([]float32, len(data)/4)
		if len(x) == 0 {
			return
		}
		for i := range x {
			x[i] = d.Round(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		}
		count := int32(groups%5) + 1
		index := make([]int32, len(x))
		for i := range index {
			index[i] = int32(data[4*i]) % count
		}
		g, err := quant.IndexedGroups(index, int(count))
		require.NoError(t, err)
		checkRow(t, r, d, &g, x)
	})
}

func BenchmarkQuantizeRow(b *testing.B) {
	const k = 4096
	rng := rand.New(rand.NewPCG(3, 4))
	groups, err := quant.UniformGroups(k, 128)
	require.NoError(b, err)
	for _, kind := range quantizing() {
		for _, xt := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
			r := quant.Recipe{Kind: kind}
			act := r.ActGroups(&groups)
			x, codes, scales := make([]float32, k), make([]int8, k), make([]float32, k)
			for i := range x {
				x[i] = xt.Round(float32(rng.NormFloat64()))
			}
			b.Run(kind.String()+"/"+xt.String(), func(b *testing.B) {
				b.SetBytes(4 * k)
				for b.Loop() {
					r.QuantizeRow(xt, &act, codes, scales, x)
				}
			})
		}
	}
}
