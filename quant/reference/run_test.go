package reference_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

func TestExactByHand(t *testing.T) {
	// W4, groups of 2, implied zero 8.
	// row 0: u−8 = 1 −1 | 0 7, s = 0.5 | 0.25: w = 0.5 −0.5 0 1.75
	// row 1: u−8 = −8 0 | 2 −3, s = 1 | 2:     w = −8 0 4 −6
	l := layer(t, 4, uniform(t, 4, 2), dtype.F16,
		[][]uint8{{9, 7, 8, 15}, {0, 8, 10, 5}}, [][]float32{{0.5, 0.25}, {1, 2}}, nil)
	l.Bias = []float32{0.25, -1}
	x := []float32{
		1, 2, 3, 4, // 0.5 − 1 + 0 + 7 + 0.25 = 6.75     −8 + 0 + 12 − 24 − 1 = −21
		-1, 0, 0.5, 0, // −0.5 + 0.25 = −0.25           8 + 2 − 1 = 9
	}
	res := run(t, l, quant.Recipe{}, dtype.F16, x, 2)
	require.Equal(t, []float64{6.75, -21, -0.25, 9}, res.Y)
	require.Nil(t, res.Codes)
	require.Equal(t, []bool{false, false}, res.NonFinite)

	// Magnitudes s·(u+8): row 0: 8.5 7.5 | 4 5.75; row 1: 8 16 | 36 26.
	// [0,0]: 8.5 + 15 + 12 + 23 + 0.25 = 58.75; [1,1]: 8 + 18 + 1 = 27.
	// Σ|x||w| of [0,0]: 0.5 + 1 + 0 + 7 = 8.5, of [1,1]: 8 + 2 = 10.
	under := 12 * 0x1p-149
	require.Equal(t, 3*0x1p-24*58.75+under, res.Bound(0, 0, reference.Bound{Depth: 3}))
	require.Equal(t, 3*0x1p-24*27+under, res.Bound(1, 1, reference.Bound{Depth: 3}))
	require.Equal(t, 0.125*8.5+under, res.Bound(0, 0, reference.Bound{WeightRound: 0.125}))
	require.Equal(t, 0.125*10+under, res.Bound(1, 1, reference.Bound{WeightRound: 0.125}))
	// Flushing: 4 products, Σ|x| = 10, Σs(u+z) = 25.75 of row 0.
	require.Equal(t, 0.5*(4+10+25.75)+under, res.Bound(0, 0, reference.Bound{FlushBelow: 0.5}))
	// An exact recipe has no codes to be off.
	require.Equal(t, under, res.Bound(0, 0, reference.Bound{CodeSlack: 1}))
}

func TestExactZerosAndVersions(t *testing.T) {
	// qweight 0, qzeros 0, scale 1: GPTQ v1 has the zero point 1 and reads −1, v2 has 0 and reads 0.
	for zero, want := range map[int16]float64{1: -6, 0: 0} {
		l := layer(t, 4, quant.OneGroup(3), dtype.BF16, [][]uint8{{0, 0, 0}}, [][]float32{{1}}, [][]int16{{zero}})
		res := run(t, l, quant.Recipe{}, dtype.BF16, []float32{1, 2, 3}, 1)
		require.Equal(t, []float64{want}, res.Y)
		// Σ|x|·s·(u+|z|) = 6·|z|
		require.Equal(t, 6*float64(zero)*0x1p-24+11*0x1p-149, res.Bound(0, 0, reference.Bound{Depth: 1}))
	}
	// A zero point outside the codes, and below zero: w = 2·(1 − 16) and 2·(3 + 4).
	l := layer(t, 2, indexed(t, 2, 1, 0), dtype.F32, [][]uint8{{1, 3}}, [][]float32{{2, 2}}, [][]int16{{-4, 16}})
	res := run(t, l, quant.Recipe{}, dtype.F32, []float32{1, 1}, 1)
	require.Equal(t, []float64{-30 + 14}, res.Y)
	// |z| counts: 2·(1+16) + 2·(3+4) = 48.
	require.Equal(t, 48*0x1p-24+10*0x1p-149, res.Bound(0, 0, reference.Bound{Depth: 1}))
}

// Codes are read from bytes that are written out here, for every width.
func TestBitReader(t *testing.T) {
	for _, c := range []struct {
		bits  int
		row   []byte
		codes []int
	}{
		{2, []byte{0xE4, 0x1B}, []int{0, 1, 2, 3, 3, 2, 1, 0}},
		{3, []byte{0x88, 0xC6, 0xFA}, []int{0, 1, 2, 3, 4, 5, 6, 7}}, // formats.md: 0xFAC688
		{4, []byte{0x10, 0x32, 0x54, 0x76}, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{5, []byte{0x20, 0x88, 0x41, 0x8A, 0x39}, []int{0, 1, 2, 3, 4, 5, 6, 7}}, // q = −16..−9 of formats.md
		{6, []byte{0x3F, 0x10, 0x08}, []int{63, 0, 1, 2}},
		{7, []byte{0xFF, 0xC0, 0x00}, []int{127, 1, 3}},
		{8, []byte{0, 1, 0x7F, 0xFF}, []int{0, 1, 127, 255}},
	} {
		k := len(c.codes)
		zero := [][]int16{{0}}
		l := layer(t, c.bits, quant.OneGroup(k), dtype.F32, [][]uint8{make([]uint8, k)}, [][]float32{{1}}, zero)
		copy(l.Weight.Row(0), c.row)
		for i, want := range c.codes {
			x := make([]float32, k)
			x[i] = 1
			res := run(t, l, quant.Recipe{}, dtype.F32, x, 1)
			require.Equal(t, float64(want), res.Y[0], "%d bits, code %d", c.bits, i)
		}
	}
}

// Every 16-bit pattern as a scale or a plain element is what its format says.
func TestWidening(t *testing.T) {
	for _, st := range []dtype.DType{dtype.F16, dtype.BF16} {
		l := &quant.Linear{}
		require.NoError(t, l.Weight.Reset(quant.Form{N: 1 << 16, K: 1, Plain: st}))
		for u := range 1 << 16 {
			row := l.Weight.Row(u)
			row[0], row[1] = byte(u), byte(u>>8)
		}
		res := run(t, l, quant.Recipe{}, dtype.F32, []float32{1}, 1)
		for u := range 1 << 16 {
			want := float64(dtype.BF16ToF32(uint16(u)))
			if st == dtype.F16 {
				want = float64(dtype.F16ToF32(uint16(u)))
			}
			if math.IsNaN(want) {
				require.True(t, math.IsNaN(res.Y[u]), "%v %#x", st, u)
				continue
			}
			require.Equal(t, want, res.Y[u], "%v %#x", st, u)
		}
	}
	values := []float32{0, 0x1p-149, -0x1p-127, 0x1p-126, 1.5, -math.MaxFloat32, inf, nan}
	codes, scales := make([][]uint8, len(values)), make([][]float32, len(values))
	for i, v := range values {
		codes[i], scales[i] = []uint8{129}, []float32{v}
	}
	l := layer(t, 8, quant.OneGroup(1), dtype.F32, codes, scales, nil)
	res := run(t, l, quant.Recipe{}, dtype.F32, []float32{1}, 1)
	for i, v := range values {
		if v != v {
			require.True(t, math.IsNaN(res.Y[i]))
			continue
		}
		require.Equal(t, float64(v), res.Y[i])
	}
}

func TestPlainByHand(t *testing.T) {
	l := &quant.Linear{Bias: []float32{-0.5}}
	require.NoError(t, l.Weight.Reset(quant.Form{N: 1, K: 3, Plain: dtype.BF16}))
	dtype.Encode(dtype.BF16, l.Weight.Row(0), []float32{1, -2, 0.5})
	res := run(t, l, quant.Recipe{}, dtype.F16, []float32{4, 1, -2}, 1)
	require.Equal(t, []float64{4 - 2 - 1 - 0.5}, res.Y)
	// Σ|x||w| + |bias| = 4 + 2 + 1 + 0.5
	require.Equal(t, 7.5*0x1p-24+11*0x1p-149, res.Bound(0, 0, reference.Bound{Depth: 1}))
}

func TestQuantizingRecipesByHand(t *testing.T) {
	// W4 per channel: w = 2·(1, −2, 3, 7).
	weights := func() *quant.Linear {
		l := layer(t, 4, quant.OneGroup(4), dtype.F32, [][]uint8{{9, 6, 11, 15}}, [][]float32{{2}}, nil)
		l.Bias = []float32{10}
		return l
	}
	for _, c := range []struct {
		kind  quant.RecipeKind
		x     []float32
		codes []int8
		y     float64 // without bias
	}{
		// Codes − zero are 255 1 2 3, scale 1 (see TestQuantizersByHand).
		{quant.Int8TokenAsym, []float32{255, 0.5, 1.5, 2.5}, []int8{127, -127, -126, -125}, 2 * (255 - 2 + 6 + 21)},
		{quant.Int8Token, []float32{127.5, -127.5, 0.5, 1.5}, []int8{127, -128, 0, 2}, 2 * (127 + 256 + 14)},
		{quant.Int8TokenXPU, []float32{127, 0.5, 1.5, -127}, []int8{127, 0, 2, -127}, 2 * (127 + 6 - 7*127)},
		{quant.Int8TokenAscend, []float32{-127, 2.5, 0, 3.5}, []int8{-127, 2, 0, 4}, 2 * (-127 - 4 + 28)},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			l := weights()
			res := run(t, l, quant.Recipe{Kind: c.kind}, dtype.F32, append(c.x, 0, 0, 0, 0), 2)
			require.Equal(t, c.codes, res.Codes[:4])
			require.Equal(t, []float64{c.y + 10, 10}, res.Y, "a row of zeros gives the bias")

			given, err := reference.RunGiven(l, quant.Recipe{Kind: c.kind}, res.Codes, res.Scales, res.Zeros, 2)
			require.NoError(t, err)
			require.Equal(t, res, given)
		})
	}
}

func TestInt8GroupLayerByHand(t *testing.T) {
	// Weight groups: features 0 2 3 in group 0 (s = 1), 1 4 in group 1 (s = 0.5).
	// Activation groups of at most 2: {0,2} {3} {1,4}.
	l := layer(t, 8, indexed(t, 2, 0, 1, 0, 0, 1), dtype.F16, [][]uint8{{129, 130, 127, 138, 128}}, [][]float32{{1, 0.5}}, nil)
	// w = 1, 1, −1, 10, 0
	x := []float32{254, 127, 3, -381, 0.5}
	// {254,3}: scale 2, codes 127, 1.5 → 2. {−381}: scale 3, code −127. {127,0.5}: scale 1, codes 127 0.
	res := run(t, l, quant.Recipe{Kind: quant.Int8Group, Group: 2}, dtype.F32, x, 1)
	require.Equal(t, []int8{127, 127, 2, -127, 0}, res.Codes)
	require.ElementsMatch(t, []float32{2, 3, 1}, res.Scales)
	require.Equal(t, []float64{254 + 127 - 4 - 3810}, res.Y)
}

func TestFlatQuantLayerByHand(t *testing.T) {
	// The worked example: codes 1 2 5 7, scale 6/7. w = 0.5·(1, −1, 2, −8).
	l := layer(t, 4, quant.OneGroup(4), dtype.F32, [][]uint8{{9, 7, 10, 0}}, [][]float32{{0.5}}, nil)
	l.Transform = shear(1)
	res := run(t, l, quant.Recipe{Kind: quant.Int4FlatQuant}, dtype.F16, []float32{1, 2, 3, 4, 0, 0, 0, 0}, 2)
	require.Equal(t, []int8{1, 2, 5, 7, 0, 0, 0, 0}, res.Codes)
	require.Equal(t, []float32{float32(6) / 7, 0}, res.Scales)
	require.InEpsilon(t, float64(float32(6)/7)*0.5*(1-2+10-56), res.Y[0], 1e-15)
	require.Zero(t, res.Y[1])
}

func TestCodeSlack(t *testing.T) {
	// Codes 127, 0, −127 under scale 1; w = 1, −2, 4. hi − lo for a slack of one:
	// 126..127 is 1 (cut), −1..1 is 2, −128..−126 is 2: 1·1 + 2·2 + 2·4 = 13.
	l := layer(t, 4, quant.OneGroup(3), dtype.F32, [][]uint8{{9, 6, 12}}, [][]float32{{1}}, nil)
	res := run(t, l, quant.Recipe{Kind: quant.Int8TokenAscend}, dtype.F32, []float32{127, 0, -127}, 1)
	exact := res.Bound(0, 0, reference.Bound{})
	require.Equal(t, 13+exact, res.Bound(0, 0, reference.Bound{CodeSlack: 1}))
	require.Equal(t, 26+exact, res.Bound(0, 0, reference.Bound{CodeSlack: 2}))
}

// A plain sum in the order of k, with the weight's own accessors, agrees.
func TestRandomLayersAgreeWithTheFormula(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ragged, err := quant.RaggedGroups([]int32{0, 1, 30, 31, 67})
	require.NoError(t, err)
	order := make([]int32, 67)
	for i := range order {
		order[i] = int32(rng.IntN(5))
	}
	for _, g := range []quant.Groups{quant.OneGroup(67), uniform(t, 67, 16), ragged, indexed(t, 5, order...)} {
		for bits := 2; bits <= 8; bits++ {
			for i, st := range floats {
				l := randomLayer(t, rng, bits, 37, 67, g, st, bits%2 == i%2)
				x := randomRow(rng, st, 3*67)
				res := run(t, l, quant.Recipe{}, st, x, 3)
				w := &l.Weight
				for m := range 3 {
					for n := range 37 {
						var want float64
						for k := range 67 {
							gk := w.Groups().Of(k)
							want += float64(x[m*67+k]) * float64(w.Scale(n, gk)) * float64(w.Code(n, k)-w.Zero(n, gk))
						}
						require.InDelta(t, want, res.Y[m*37+n], 1e-12, "%d bits, %v groups, %v, [%d,%d]", bits, g.Kind(), st, m, n)
					}
				}
			}
		}
	}
}

func TestSameBitsWhateverTheProcessors(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	l := randomLayer(t, rng, 4, 100, 64, uniform(t, 64, 32), dtype.F16, true)
	x := randomRow(rng, dtype.F16, 5*64)
	r := quant.Recipe{Kind: quant.Int8Group, Group: 16}
	want := run(t, l, r, dtype.F16, x, 5)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	require.Equal(t, want, run(t, l, r, dtype.F16, x, 5))
}

func TestRunRefuses(t *testing.T) {
	good := func() *quant.Linear {
		return layer(t, 4, quant.OneGroup(2), dtype.F32, [][]uint8{{9, 7}}, [][]float32{{1}}, nil)
	}
	plain := &quant.Linear{}
	require.NoError(t, plain.Weight.Reset(quant.Form{N: 1, K: 2, Plain: dtype.F16}))
	bias := good()
	bias.Bias = []float32{1, 2}
	transform := good()
	transform.Transform = &quant.Transform{L: 1, R: 3, P1: identity(1), P2: identity(3), Clip: 1}
	int8Token := quant.Recipe{Kind: quant.Int8Token}
	flat := quant.Recipe{Kind: quant.Int4FlatQuant}
	two := []float32{1, 2}
	for _, c := range []struct {
		name  string
		l     *quant.Linear
		r     quant.Recipe
		xt    dtype.DType
		x     []float32
		m     int
		class error
	}{
		{"empty layer", &quant.Linear{}, quant.Recipe{}, dtype.F32, two, 1, quant.ErrShape},
		{"short x", good(), quant.Recipe{}, dtype.F32, two[:1], 1, quant.ErrShape},
		{"half a row more", good(), quant.Recipe{}, dtype.F32, []float32{1, 2, 3}, 1, quant.ErrShape},
		{"negative rows", good(), quant.Recipe{}, dtype.F32, nil, -1, quant.ErrShape},
		{"no type", good(), quant.Recipe{}, dtype.Invalid, two, 1, quant.ErrDType},
		{"x not of its type", good(), quant.Recipe{}, dtype.BF16, []float32{1, 1 + 0x1p-9}, 1, quant.ErrDType},
		{"bias length", bias, quant.Recipe{}, dtype.F32, two, 1, quant.ErrShape},
		{"codes for plain weights", plain, int8Token, dtype.F32, two, 1, quant.ErrUnsupported},
		{"no transform", good(), flat, dtype.F32, two, 1, quant.ErrUnsupported},
		{"transform with another recipe", transform, int8Token, dtype.F32, two, 1, quant.ErrUnsupported},
		{"transform of another size", transform, flat, dtype.F32, two, 1, quant.ErrShape},
		{"negative group", good(), quant.Recipe{Kind: quant.Int8Group, Group: -1}, dtype.F32, two, 1, quant.ErrShape},
		{"unknown recipe", good(), quant.Recipe{Kind: 99}, dtype.F32, two, 1, quant.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := reference.Run(c.l, c.r, c.xt, c.x, c.m)
			require.ErrorIs(t, err, c.class)
		})
	}
	_, err := reference.RunGiven(good(), quant.Recipe{}, nil, nil, nil, 0)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	_, err = reference.RunGiven(plain, int8Token, nil, nil, nil, 0)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	for _, short := range [][3]int{{1, 1, 1}, {3, 1, 1}, {2, 0, 1}, {2, 1, 0}} {
		_, err = reference.RunGiven(good(), int8Token, make([]int8, short[0]), make([]float32, short[1]), make([]int32, short[2]), 1)
		require.ErrorIs(t, err, quant.ErrShape, "%v", short)
	}
	// No rows are no error.
	res := run(t, good(), int8Token, dtype.F32, nil, 0)
	require.Empty(t, res.Y)
}

// BenchmarkRun judges a large layer: 4096 inputs, 14336 outputs, 16 tokens.
func BenchmarkRun(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 6))
	l := &quant.Linear{}
	g := uniform(b, 4096, 128)
	require.NoError(b, l.Weight.Reset(quant.Form{N: 14336, K: 4096, Bits: 4, Scales: dtype.F16, Groups: g}))
	for n := range 14336 {
		row := l.Weight.Row(n)
		for i := range row {
			row[i] = byte(rng.Uint32())
		}
		for i := range g.Count() {
			l.Weight.SetScale(n, i, 0.01)
		}
	}
	x := randomRow(rng, dtype.F16, 16*4096)
	for _, kind := range []quant.RecipeKind{quant.Exact, quant.Int8Group} {
		b.Run(kind.String(), func(b *testing.B) {
			for b.Loop() {
				run(b, l, quant.Recipe{Kind: kind}, dtype.F16, x, 16)
			}
		})
	}
}
