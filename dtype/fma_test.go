package dtype

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// FMA against numbers of any length.
func TestFMA(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	any32 := func() float32 { return math.Float32frombits(rng.Uint32()) }
	near := func(v float32, spread uint32) float32 { // close exponents and long runs of equal bits make ties
		e := math.Float32bits(v)>>23&0xff + rng.Uint32N(2*spread+1) - spread
		return math.Float32frombits(rng.Uint32N(2)<<31 | e&0xff<<23 | rng.Uint32()&(math.MaxUint32<<rng.Uint32N(24))&0x7fffff)
	}
	finite := func(v float32) bool { return v-v == 0 }
	exact, addend := new(big.Float).SetPrec(1000), new(big.Float)
	ties, subnormal := 0, 0
	for range 400_000 {
		a, b := any32(), any32()
		if rng.Uint32N(2) == 0 {
			a, b = near(1, 70), near(1, 70)
		}
		c := near(a*b, 26)
		if rng.Uint32N(4) == 0 {
			c = any32()
		}
		got := FMA(a, b, c)
		twice := float32(float64(float64(a)*float64(b)) + float64(c))
		if !finite(a) || !finite(b) || !finite(c) {
			if got != twice && (got == got || twice == twice) {
				require.Fail(t, "differs", "%g·%g%+g = %g, want %g", a, b, c, got, twice)
			}
			continue
		}
		exact.SetFloat64(float64(a) * float64(b)) // 48 bits
		want, _ := exact.Add(exact, addend.SetFloat64(float64(c))).Float32()
		if got != want {
			require.Fail(t, "differs", "%g·%g%+g = %g, want %g", a, b, c, got, want)
		}
		if twice != want {
			ties++
		}
		if want != 0 && math.Abs(float64(want)) < 0x1p-126 {
			subnormal++
		}
	}
	require.Greater(t, ties, 100, "cases that rounding twice gets wrong")
	require.Greater(t, subnormal, 100)
}

func TestFMAByHand(t *testing.T) {
	inf, nan, negative := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	for _, tt := range []struct{ a, b, c, want float32 }{
		{1 + 0x1p-23, 1 - 0x1p-23, -1, -0x1p-46}, // the product rounded first is 1
		{1 + 0x1p-12, 1 + 0x1p-12, 0x1p-60, 1 + 0x1p-11 + 0x1p-23},
		{1 + 0x1p-12, 1 + 0x1p-12, -0x1p-60, 1 + 0x1p-11}, // a tie but for the last term
		{0x1p-100, 0x1p-49, 0, 0x1p-149},
		{0x1p-100, 0x1p-50, 0, 0},
		{0x1p-100, 0x1p-50, 0x1p-149, 0x1p-148},
		{0x1p-100, -0x1p-50, 0x1p-149, 0},
		{math.MaxFloat32, 1, 0x1p103, inf},
		{math.MaxFloat32, 2, -math.MaxFloat32, math.MaxFloat32},
		{inf, 1, 1, inf},
		{inf, 0, 1, nan},
		{inf, 1, -inf, nan},
		{1, 1, -inf, -inf},
		{nan, 1, 1, nan},
		{negative, 1, negative, negative},
		{negative, 1, 0, 0},
		{1, 1, -1, 0},
	} {
		got := FMA(tt.a, tt.b, tt.c)
		require.Equal(t, tt.want != tt.want, got != got, "%g·%g%+g", tt.a, tt.b, tt.c)
		if got == got {
			require.Equal(t, math.Float32bits(tt.want), math.Float32bits(got), "%g·%g%+g", tt.a, tt.b, tt.c)
		}
	}
}

func BenchmarkFMA(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	x, y := make([]float32, 1024), make([]float32, 1024)
	for i := range x {
		x[i], y[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
	}
	b.SetBytes(int64(len(x))) // MB/s counts operations
	var s float32
	for b.Loop() {
		for i, v := range x {
			s = FMA(v, y[i], s)
		}
	}
	if s != s {
		b.Error("NaN")
	}
}
