package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
)

// What the documentation promises of every search: no group is reconstructed worse
// than by parity mode, whatever the type that scales are stored in.
func TestSearchIsNeverWorseThanParity(t *testing.T) {
	const n, k = 6, 256
	rng := rand.New(rand.NewPCG(15, 16))
	for name, draw := range map[string]func() float64{
		"gaussian": rng.NormFloat64,
		"shifted":  func() float64 { return rng.NormFloat64() + 2 },
		"positive": rng.ExpFloat64,
		"negative": func() float64 { return -rng.Float64() },
		"outliers": func() float64 { return rng.NormFloat64() * math.Exp(2*rng.NormFloat64()) },
		"sparse":   func() float64 { return rng.NormFloat64() * float64(rng.IntN(40)/39) },
		"tiny":     func() float64 { return rng.NormFloat64() * 1e-4 },
		"ternary":  func() float64 { return float64(rng.IntN(3) - 1) },
	} {
		values := make([]float32, n*k)
		for i := range values {
			values[i] = float32(draw())
		}
		for _, dt := range floats {
			data := encoded(dt, values)
			exact := make([]float32, len(values))
			dtype.Decode(dt, exact, data)
			var power float64
			for _, v := range exact {
				power += float64(v) * float64(v)
			}
			for bits := 2; bits <= 8; bits++ {
				for _, asymmetric := range []bool{false, true} {
					var parity Weight
					require.NoError(t, RTN{Bits: bits, Group: 64, Asymmetric: asymmetric}.Quantize(&parity, "w", dt, n, k, data))
					p := groupErrors(&parity, exact)
					for _, stored := range []dtype.DType{dtype.F32, dt} {
						r := RTN{Bits: bits, Group: 64, Asymmetric: asymmetric, Accurate: true, Scales: stored}
						var w Weight
						require.NoError(t, r.Quantize(&w, "w", dt, n, k, data))
						require.Equal(t, stored, w.ScaleType())
						for i, e := range groupErrors(&w, exact) {
							if !(e <= p[i]*(1+1e-5)+power*1e-13) {
								require.Failf(t, "worse than parity", "%s %v %+v group %d: %v, parity %v", name, dt, r, i, e, p[i])
							}
						}
					}
				}
			}
		}
	}
}

// The search is there for few bits, where it is worth most.
func TestSearchGain(t *testing.T) {
	const n, k = 32, 1024
	values := gaussian(n*k, 21, 0.02)
	data := encoded(dtype.F32, values)
	for _, c := range []struct {
		bits       int
		asymmetric bool
		gain       float64
	}{{2, false, 0.5}, {2, true, 0.45}, {3, false, 0.3}, {3, true, 0.2}, {4, false, 0.1}, {4, true, 0.05}} {
		r := RTN{Bits: c.bits, Group: 128, Asymmetric: c.asymmetric}
		var plain, searched Weight
		require.NoError(t, r.Quantize(&plain, "w", dtype.F32, n, k, data))
		r.Accurate = true
		require.NoError(t, r.Quantize(&searched, "w", dtype.F32, n, k, data))
		require.Greater(t, 1-total(groupErrors(&searched, values))/total(groupErrors(&plain, values)), c.gain, "%+v", r)
	}
}

// A row is the same alone and among others, at once or one after another.
func TestRowsDoNotDependOnEachOther(t *testing.T) {
	const n, k = 7, 40
	data := encoded(dtype.BF16, gaussian(n*k, 22, 1))
	for _, r := range []RTN{{Bits: 4, Group: 8}, {Bits: 3, Group: 16, Accurate: true}, {Bits: 5, Group: -1, Asymmetric: true}, {Bits: 2, Group: 24, Accurate: true, Asymmetric: true}} {
		var whole, parts Weight
		require.NoError(t, r.Quantize(&whole, "w", dtype.BF16, n, k, data), "%+v", r)
		form, err := r.Form("w", dtype.BF16, n, k)
		require.NoError(t, err)
		require.NoError(t, parts.Reset(form))
		for _, rows := range [][2]int{{4, 7}, {0, 1}, {1, 4}} {
			require.NoError(t, r.QuantizeRows(&parts, "w", dtype.BF16, rows[0], data[rows[0]*k*2:rows[1]*k*2]))
		}
		requireSameWeight(t, &whole, &parts)
	}
	var w Weight
	r := RTN{Bits: 4, Group: 8}
	require.ErrorIs(t, r.QuantizeRows(&w, "w", dtype.BF16, 0, data), ErrShape, "no form")
	form, err := r.Form("w", dtype.BF16, n, k)
	require.NoError(t, err)
	require.NoError(t, w.Reset(form))
	require.ErrorContains(t, r.QuantizeRows(&w, "w", dtype.BF16, 5, data), "rows is 560 bytes from row 5")
	require.ErrorContains(t, r.QuantizeRows(&w, "w", dtype.BF16, 0, data[:81]), "rows is 81 bytes")
	require.ErrorContains(t, RTN{Bits: 5, Group: 8}.QuantizeRows(&w, "w", dtype.BF16, 0, data), "form")
}

func TestLeastZero(t *testing.T) {
	values := make([]float32, 4*32)
	for i := range values {
		values[i] = 1 + float32(i%16)/16 // one sign: the zero point is 0
	}
	data := encoded(dtype.F32, values)
	for bits := 2; bits <= 8; bits++ {
		for least := range 2 {
			var w Weight
			require.NoError(t, RTN{Bits: bits, Group: 16, Accurate: true, Asymmetric: true, LeastZero: least}.Quantize(&w, "w", dtype.F32, 4, 32, data))
			lo, _ := w.ZeroRange()
			require.GreaterOrEqual(t, lo, least)
			if bits > 4 {
				require.Less(t, total(groupErrors(&w, values)), 0.05)
			}
		}
	}
}

func TestAsymmetricRefusals(t *testing.T) {
	data := encoded(dtype.F32, []float32{1, 2})
	for want, r := range map[string]RTN{
		"RTN least zero point is 2, want 0, or 1": {Bits: 4, Group: -1, Accurate: true, Asymmetric: true, LeastZero: 2},
		"RTN least zero point is 1":               {Bits: 4, Group: -1, Asymmetric: true, LeastZero: 1},
		"RTN scale type is float16":               {Bits: 4, Group: -1, Scales: dtype.F16},
		"RTN scale type is dtype(9)":              {Bits: 4, Group: -1, Accurate: true, Scales: 9},
	} {
		var w Weight
		err := r.Quantize(&w, "w", dtype.F32, 1, 2, data)
		require.ErrorIs(t, err, ErrUnsupported)
		require.ErrorContains(t, err, want)
	}
	var w Weight
	err := RTN{Bits: 4, Group: -1, Accurate: true, Scales: dtype.F16}.Quantize(&w, "w", dtype.F32, 1, 2, encoded(dtype.F32, []float32{1e6, -1e6}))
	require.ErrorIs(t, err, ErrRange)
	require.ErrorContains(t, err, "overflows float16")
	for _, accurate := range []bool{false, true} {
		err = RTN{Bits: 4, Group: -1, Accurate: accurate, Asymmetric: true}.Quantize(&w, "w", dtype.F32, 1, 2, encoded(dtype.F32, []float32{1, float32(math.NaN())}))
		require.ErrorContains(t, err, "want finite weights", fmt.Sprint(accurate))
	}
}
