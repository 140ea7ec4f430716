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

var (
	floats = []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}
	nan    = float32(math.NaN())
	inf    = float32(math.Inf(1))
)

// layer makes a linear layer from its numbers: codes [N][K], scales and zeros
// [N][groups]; nil zeros are implied.
func layer(t testing.TB, bits int, groups quant.Groups, st dtype.DType, codes [][]uint8, scales [][]float32, zeros [][]int16) *quant.Linear {
	t.Helper()
	l := &quant.Linear{Name: "test"}
	form := quant.Form{N: len(codes), K: len(codes[0]), Bits: bits, Scales: st, Zeros: zeros != nil, Groups: groups}
	require.NoError(t, l.Weight.Reset(form))
	for n := range codes {
		l.Weight.PackRow(n, codes[n])
		for g, s := range scales[n] {
			l.Weight.SetScale(n, g, s)
		}
		if zeros != nil {
			copy(l.Weight.ZeroRow(n), zeros[n])
		}
	}
	return l
}

func uniform(t testing.TB, k, size int) quant.Groups {
	t.Helper()
	g, err := quant.UniformGroups(k, size)
	require.NoError(t, err)
	return g
}

func indexed(t testing.TB, count int, index ...int32) quant.Groups {
	t.Helper()
	g, err := quant.IndexedGroups(index, count)
	require.NoError(t, err)
	return g
}

// randomLayer has Gaussian-like scales and random codes and zeros.
func randomLayer(t testing.TB, rng *rand.Rand, bits, n, k int, groups quant.Groups, st dtype.DType, zeros bool) *quant.Linear {
	codes := make([][]uint8, n)
	scales := make([][]float32, n)
	var z [][]int16
	for i := range codes {
		codes[i] = make([]uint8, k)
		for j := range codes[i] {
			codes[i][j] = uint8(rng.IntN(1 << bits))
		}
		scales[i] = make([]float32, groups.Count())
		for j := range scales[i] {
			scales[i][j] = 0.001 + 0.01*rng.Float32()
		}
		if zeros {
			row := make([]int16, groups.Count())
			for j := range row {
				row[j] = int16(rng.IntN(1<<bits + 1))
			}
			z = append(z, row)
		}
	}
	return layer(t, bits, groups, st, codes, scales, z)
}

func randomRow(rng *rand.Rand, xt dtype.DType, k int) []float32 {
	x := make([]float32, k)
	for i := range x {
		x[i] = xt.Round(float32(rng.NormFloat64()))
	}
	return x
}

func run(t testing.TB, l *quant.Linear, r quant.Recipe, xt dtype.DType, x []float32, m int) *reference.Result {
	t.Helper()
	res, err := reference.Run(l, r, xt, x, m)
	require.NoError(t, err)
	return res
}
