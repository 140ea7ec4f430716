package quant_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

func identity(n int) []float32 {
	p := make([]float32, n*n)
	for i := range n {
		p[i*n+i] = 1
	}
	return p
}

// The vectors of the kernel's description: B as given, through identities.
func TestTransformQuantizeRow(t *testing.T) {
	tests := []struct {
		name  string
		b     []float32
		clip  float32
		codes []int8
		scale float32
	}{
		{"half even", []float32{7, .5, 1.5, 2.5, -.5, -1.5, -2.5, -7}, 1, []int8{7, 0, 2, 2, 0, -2, -2, -7}, 1},
		{"saturation", []float32{7, -7, 3.25, -3.75, -4.25, 1, .25, -.25}, .5, []int8{7, -8, 6, -8, -8, 2, 0, 0}, .5},
		{"zeros", make([]float32, 8), .9, make([]int8, 8), 0},
		{"product rounded to float16 on the way", []float32{4, 0.85693359375}, 1, []int8{7, 2}, 4. / 7},
		// 7/(clip·max|b|) in float32 would be one ulp less, and the code 4.
		{"order of the divisions", []float32{2.560546875, 0.84912109375}, .515625, []int8{7, 5}, 0x1.8246dcp-3},
		{"largest and smallest of float16", []float32{65504, -0x1p-24}, 1, []int8{7, 0}, 65504. / 7},
		{"smallest of float16, least clip", []float32{0x1p-24, 0, -0x1p-24}, quant.MinClip, []int8{7, 0, -8}, float32(0x1p-48) / 7},
		{"NaN", []float32{1, nan32}, 1, []int8{0, 0}, nan32},
		{"infinity", []float32{-inf32, 1}, 1, []int8{0, 0}, nan32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := &quant.Transform{L: 1, R: len(tt.b), Clip: tt.clip}
			codes := slices.Repeat([]int8{99}, len(tt.b))
			scale := tr.QuantizeRow(codes, tt.b)
			require.Equal(t, tt.codes, codes)
			require.Equal(t, bitsOf([]float32{tt.scale}), bitsOf([]float32{scale}))
		})
	}
}

func TestTransformByHand(t *testing.T) {
	tests := []struct {
		name   string
		xt     dtype.DType
		l, r   int
		p1, p2 []float32
		x, b   []float32
	}{
		// left_trans [[1,1],[0,1]], stored transposed.
		{"left", dtype.F16, 2, 2, []float32{1, 0, 1, 1}, identity(2), []float32{1, 2, 3, 4}, []float32{1, 2, 4, 6}},
		{"right", dtype.BF16, 2, 2, identity(2), []float32{1, 2, 0, 1}, []float32{1, 2, 3, 4}, []float32{1, 4, 3, 10}},
		{"not square", dtype.F32, 1, 3, []float32{2}, []float32{0, 1, 0, 0, 0, 1, 1, 0, 0}, []float32{1, 2, 3}, []float32{6, 2, 4}},
		// A = [1+2⁻¹², 1] survives in float32 only.
		{"first product in float32", dtype.F32, 2, 1, []float32{1, -1, 0, 1}, []float32{1}, []float32{1 + 0x1p-12, 1}, []float32{0x1p-12, 1}},
		{"first product in float16", dtype.F16, 2, 1, []float32{1, -1, 0, 1}, []float32{1}, []float32{1 + 0x1p-12, 1}, []float32{0, 1}},
		{"first product in bfloat16", dtype.BF16, 1, 2, []float32{1}, []float32{1, 0, 1, 1}, []float32{1, 0x1p-9}, []float32{1, 0x1p-9}},
		{"second product in float16", dtype.F32, 1, 1, []float32{1}, []float32{1}, []float32{1 + 0x1p-12}, []float32{1}},
		// 1e8+1 is 1e8 in float32: descending order would give 1.
		{"ascending sums", dtype.F32, 1, 3, []float32{1}, []float32{1, 0, 0, 1, 0, 0, 1, 0, 0}, []float32{1, 1e8, -1e8}, []float32{0, 0, 0}},
		// (1+2⁻¹²)² is 1+2⁻¹¹ in float32.
		{"products are not rounded", dtype.F32, 1, 2, []float32{1}, []float32{1 + 0x1p-11, 0, 1 + 0x1p-12, 0}, []float32{-1, 1 + 0x1p-12}, []float32{0x1p-24, 0}},
		{"bfloat16 overflows the float16 tile", dtype.BF16, 1, 1, []float32{1}, []float32{1}, []float32{0x1p17}, []float32{inf32}},
		{"infinity spreads", dtype.F16, 2, 2, identity(2), identity(2), []float32{inf32, 1, 1, 1}, []float32{nan32, nan32, nan32, nan32}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := &quant.Transform{L: tt.l, R: tt.r, P1: tt.p1, P2: tt.p2, Type: dtype.F32, Clip: 1}
			dst, tmp := make([]float32, len(tt.x)), make([]float32, len(tt.x))
			tr.Apply(tt.xt, dst, tt.x, tmp)
			if tt.name == "infinity spreads" {
				require.Equal(t, inf32, dst[0])
				dst[0] = nan32
			}
			require.Equal(t, bitsOf(tt.b), bitsOf(dst))
		})
	}
}

// The example of the format's description, from x to codes.
func TestFlatQuantExample(t *testing.T) {
	for clip, want := range map[float32]struct {
		codes []int8
		scale float32
	}{
		1:  {[]int8{1, 2, 5, 7}, 6. / 7},
		.5: {[]int8{2, 5, 7, 7}, 3. / 7},
	} {
		tr := &quant.Transform{L: 2, R: 2, P1: []float32{1, 0, 1, 1}, P2: identity(2), Type: dtype.F16, Clip: clip}
		b, codes := make([]float32, 4), make([]int8, 4)
		tr.Apply(dtype.F16, b, []float32{1, 2, 3, 4}, make([]float32, 4))
		require.Equal(t, want.scale, tr.QuantizeRow(codes, b))
		require.Equal(t, want.codes, codes)
	}
}

func randomTransform(rng *rand.Rand, l, r int, d dtype.DType) *quant.Transform {
	tr := &quant.Transform{L: l, R: r, P1: make([]float32, l*l), P2: make([]float32, r*r), Type: d, Clip: 0.75 + rng.Float32()/4}
	for _, p := range [][]float32{tr.P1, tr.P2} {
		for i := range p {
			p[i] = d.Round(float32(rng.NormFloat64()))
		}
	}
	return tr
}

func TestTransformEqualsReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, size := range [][2]int{{1, 1}, {1, 5}, {5, 1}, {3, 7}, {4, 8}, {9, 11}, {24, 32}} {
		l, r := size[0], size[1]
		for _, xt := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
			tr := randomTransform(rng, l, r, xt)
			require.NoError(t, tr.Check("t", l*r))
			x, b, tmp := make([]float32, l*r), make([]float32, l*r), make([]float32, l*r)
			for range 5 {
				for i := range x {
					x[i] = xt.Round(float32(rng.NormFloat64()))
				}
				codes := make([]int8, l*r)
				tr.Apply(xt, b, x, tmp)
				scale := tr.QuantizeRow(codes, b)
				wantB, wantCodes, wantScale := reference.FlatQuant(tr, xt, x)
				require.Equal(t, wantB, b, "%dx%d %v", l, r, xt)
				require.Equal(t, wantCodes, codes, "%dx%d %v", l, r, xt)
				require.Equal(t, wantScale, scale, "%dx%d %v", l, r, xt)
			}
		}
	}
}

func TestTransformAllocatesNothing(t *testing.T) {
	tr := randomTransform(rand.New(rand.NewPCG(7, 8)), 4, 6, dtype.F16)
	x, b, tmp, codes := make([]float32, 24), make([]float32, 24), make([]float32, 24), make([]int8, 24)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		tr.Apply(dtype.BF16, b, x, tmp)
		tr.QuantizeRow(codes, b)
	}))
}

func TestDecompose(t *testing.T) {
	for k, want := range map[int][2]int{
		99: {9, 11}, 100: {10, 10}, 768: {24, 32}, 1024: {32, 32}, 2048: {32, 64}, 2560: {40, 64}, 3584: {56, 64},
		4096: {64, 64}, 5120: {64, 80}, 8192: {64, 128}, 11008: {86, 128}, 12288: {96, 128}, 13824: {108, 128},
		14336: {112, 128}, 17408: {128, 136}, 18432: {128, 144}, 18944: {128, 148}, 22016: {128, 172},
		24576: {128, 192}, 25600: {160, 160}, 27648: {144, 192}, 28672: {128, 224}, 29568: {168, 176}, 53248: {208, 256},
		1: {1, 1}, 3: {1, 3}, 4: {2, 2}, 1<<30 - 35: {1, 1<<30 - 35}, 1 << 30: {1 << 15, 1 << 15},
	} {
		l, r, err := quant.Decompose(k)
		require.NoError(t, err, "K = %d", k)
		require.Equal(t, want, [2]int{l, r}, "K = %d", k)
	}
	for _, k := range []int{2, 6, 10, 4098, 1<<30 - 2} {
		_, _, err := quant.Decompose(k)
		require.ErrorIs(t, err, quant.ErrUnsupported, "K = %d", k)
		require.ErrorContains(t, err, "multiple of 4")
	}
	for _, k := range []int{0, -4, quant.MaxDim + 1} {
		_, _, err := quant.Decompose(k)
		require.ErrorIs(t, err, quant.ErrShape, "K = %d", k)
	}
}

// The search as its authors wrote it, which ends for these K only.
func TestDecomposeIsTheOriginalRule(t *testing.T) {
	isqrt := func(v int) int {
		r := int(math.Sqrt(float64(v)))
		for r*r > v {
			r--
		}
		return r
	}
	for k := 1; k < 3000; k++ {
		if k%4 == 2 {
			continue
		}
		a := isqrt(k)
		if a*a < k {
			a++
		}
		for isqrt(a*a-k)*isqrt(a*a-k) != a*a-k {
			a++
		}
		b := isqrt(a*a - k)
		l, r, err := quant.Decompose(k)
		require.NoError(t, err)
		require.Equal(t, [2]int{a - b, a + b}, [2]int{l, r}, "K = %d", k)
	}
}

func TestTransformCheck(t *testing.T) {
	good := func() *quant.Transform {
		return &quant.Transform{L: 2, R: 3, P1: identity(2), P2: identity(3), Type: dtype.BF16, Clip: .5}
	}
	require.NoError(t, good().Check("q", 6))
	tests := []struct {
		name  string
		k     int
		spoil func(*quant.Transform)
		class error
		text  string
	}{
		{"product", 8, func(tr *quant.Transform) {}, quant.ErrShape, "q: transform is 2 x 3, want L·R = K = 8"},
		{"overflowing product", 6, func(tr *quant.Transform) { tr.L, tr.R = math.MinInt, math.MinInt }, quant.ErrShape, "transform is"},
		{"left size", 6, func(tr *quant.Transform) { tr.P1 = tr.P1[:3] }, quant.ErrShape, "left transform is 3 elements, want 4 elements"},
		{"right size", 6, func(tr *quant.Transform) { tr.P2 = nil }, quant.ErrShape, "right transform is 0 elements, want 9 elements"},
		{"type", 6, func(tr *quant.Transform) { tr.Type = dtype.Invalid }, quant.ErrDType, "type of the transform"},
		{"clip 0", 6, func(tr *quant.Transform) { tr.Clip = 0 }, quant.ErrRange, "clip ratio is 0"},
		{"clip above 1", 6, func(tr *quant.Transform) { tr.Clip = 1.5 }, quant.ErrRange, "clip ratio is 1.5"},
		{"clip NaN", 6, func(tr *quant.Transform) { tr.Clip = nan32 }, quant.ErrRange, "clip ratio is NaN"},
		{"left NaN", 6, func(tr *quant.Transform) { tr.P1[2] = nan32 }, quant.ErrRange, "left transform[2] is NaN"},
		{"right infinite", 6, func(tr *quant.Transform) { tr.P2[8] = -inf32 }, quant.ErrRange, "right transform[8] is -Inf"},
		{"not exact", 6, func(tr *quant.Transform) { tr.P1[0] = 1.001 }, quant.ErrDType, "left transform[0] is 1.001, want exact in bfloat16"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := good()
			tt.spoil(tr)
			err := tr.Check("q", tt.k)
			require.ErrorIs(t, err, tt.class)
			require.ErrorContains(t, err, tt.text)
		})
	}
}

func TestTransformEqual(t *testing.T) {
	var none *quant.Transform
	make := func() *quant.Transform {
		return &quant.Transform{L: 2, R: 3, P1: identity(2), P2: identity(3), Type: dtype.BF16, Clip: .5}
	}
	a := make()
	require.True(t, none.Equal(nil))
	require.True(t, a.Equal(a))
	require.True(t, a.Equal(make()))
	require.False(t, a.Equal(nil))
	require.False(t, none.Equal(a))
	require.Equal(t, "none", none.String())
	require.Equal(t, "2 x 3 bfloat16, clip 0.5", a.String())
	for _, change := range []func(*quant.Transform){
		func(u *quant.Transform) { u.L, u.R = 3, 2 },
		func(u *quant.Transform) { u.P1[1] = 1 },
		func(u *quant.Transform) { u.P2[1] = 1 },
		func(u *quant.Transform) { u.Type = dtype.F16 },
		func(u *quant.Transform) { u.Clip = 1 },
	} {
		u := make()
		change(u)
		require.False(t, a.Equal(u), "%v", u)
	}
}

func BenchmarkTransform(b *testing.B) {
	tr := randomTransform(rand.New(rand.NewPCG(9, 10)), 64, 64, dtype.F16)
	x, dst, tmp, codes := make([]float32, 4096), make([]float32, 4096), make([]float32, 4096), make([]int8, 4096)
	copy(x, tr.P2)
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			tr.Apply(dtype.F16, dst, x, tmp)
		}
	})
	b.Run("quantize", func(b *testing.B) {
		for b.Loop() {
			tr.QuantizeRow(codes, dst)
		}
	})
}
