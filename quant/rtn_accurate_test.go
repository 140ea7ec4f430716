package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bitlane/bitlane/dtype"
	"github.com/stretchr/testify/require"
)

// groupErrors returns the squared error of each group of w against values.
func groupErrors(w *Weight, values []float32) []float64 {
	groups := w.Groups().Count()
	errs := make([]float64, w.N()*groups)
	for n := range w.N() {
		for k := range w.K() {
			d := float64(w.Value(n, k)) - float64(values[n*w.K()+k])
			errs[n*groups+w.Groups().Of(k)] += d * d
		}
	}
	return errs
}

func total(errs []float64) (sum float64) {
	for _, e := range errs {
		sum += e
	}
	return sum
}

// What the documentation promises: no group is reconstructed worse than by
// parity mode, whatever the weights look like.
func TestAccurateRTNIsNeverWorseThanParity(t *testing.T) {
	const n, k = 16, 512
	rng := rand.New(rand.NewPCG(5, 6))
	for _, shape := range []struct {
		name string
		draw func() float64
	}{
		{"gaussian", rng.NormFloat64},
		{"uniform", func() float64 { return 2*rng.Float64() - 1 }},
		{"laplace", func() float64 { return rng.ExpFloat64() * float64(1-2*rng.IntN(2)) }},
		{"outliers", func() float64 { return rng.NormFloat64() * math.Exp(2*rng.NormFloat64()) }},
		{"positive", rng.ExpFloat64},
		{"sparse", func() float64 { return rng.NormFloat64() * float64(rng.IntN(8)/7) }},
		{"tiny", func() float64 { return rng.NormFloat64() * 1e-5 }},
		{"ternary", func() float64 { return float64(rng.IntN(3) - 1) }},
	} {
		name, draw := shape.name, shape.draw
		values := make([]float32, n*k)
		for i := range values {
			values[i] = float32(draw())
		}
		for _, dt := range floats {
			data := encoded(dt, values)
			exact := make([]float32, len(values))
			dtype.Decode(dt, exact, data)
			for _, bits := range []int{4, 8} {
				for _, group := range []int{16, 128, -1} {
					var parity, accurate Weight
					require.NoError(t, RTN{Bits: bits, Group: group}.Quantize(&parity, "w", dt, n, k, data))
					require.NoError(t, RTN{Bits: bits, Group: group, Accurate: true}.Quantize(&accurate, "w", dt, n, k, data))
					require.Equal(t, dtype.F32, accurate.ScaleType())
					msg := fmt.Sprintf("%s, %v, %d bits, group %d", name, dt, bits, group)
					p, a := groupErrors(&parity, exact), groupErrors(&accurate, exact)
					var power float64
					for _, v := range exact {
						power += float64(v) * float64(v)
					}
					for i := range p {
						// The slack is the rounding of a float32 scale and product.
						if !(a[i] <= p[i]*(1+1e-5)+power*1e-13) {
							require.Failf(t, "worse than parity", "%s: group %d: %v, parity %v", msg, i, a[i], p[i])
						}
					}
					switch {
					case name == "ternary": // no error at all in both
					case bits == 4 && (name == "gaussian" || name == "laplace" || name == "outliers"):
						require.Less(t, total(a), total(p)*0.99, msg)
					default:
						require.Less(t, total(a), total(p), msg)
					}
				}
			}
		}
	}
}

// With 4 bits and groups of 128 the search is worth a tenth of the squared
// error; that is what it is there for.
func TestAccurateRTNGain(t *testing.T) {
	const n, k = 32, 1024
	values := gaussian(n*k, 11, 0.02)
	for _, dt := range floats {
		data := encoded(dt, values)
		exact := make([]float32, len(values))
		dtype.Decode(dt, exact, data)
		var parity, accurate Weight
		require.NoError(t, RTN{Bits: 4, Group: 128}.Quantize(&parity, "w", dt, n, k, data))
		require.NoError(t, RTN{Bits: 4, Group: 128, Accurate: true}.Quantize(&accurate, "w", dt, n, k, data))
		gain := 1 - total(groupErrors(&accurate, exact))/total(groupErrors(&parity, exact))
		require.Greater(t, gain, 0.10, "%v", dt)
	}
}

func TestAccurateRTNOfEveryWidth(t *testing.T) {
	const n, k = 8, 300 // groups of 128, 128 and 44
	values := gaussian(n*k, 12, 1)
	data := encoded(dtype.F32, values)
	last := math.Inf(1)
	for bits := 2; bits <= 8; bits++ {
		var w Weight
		require.NoError(t, RTN{Bits: bits, Group: 128, Accurate: true}.Quantize(&w, "w", dtype.F32, n, k, data))
		require.Equal(t, 3, w.Groups().Count())
		require.Equal(t, Uniform, w.Groups().Kind())
		for row := range n {
			for g := range 3 {
				require.Positive(t, w.Scale(row, g))
			}
		}
		sum := total(groupErrors(&w, values))
		require.Less(t, sum, last*0.4, "%d bits: one bit more halves the step", bits)
		last = sum
	}
	var w Weight
	require.NoError(t, RTN{Bits: 3, Group: 1000, Accurate: true}.Quantize(&w, "w", dtype.F32, n, k, data))
	require.Equal(t, PerChannel, w.Groups().Kind())
}

// Weights that a scale expresses without error come back without error.
func TestAccurateRTNRecoversAGrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for bits := 2; bits <= 8; bits++ {
		half := 1 << (bits - 1)
		values := make([]float32, 4*64)
		for i := range values {
			values[i] = float32(rng.IntN(2*half)-half) * 0.0371
		}
		for row := range 4 {
			values[row*64] = float32(-half) * 0.0371 // both ends are there
			values[row*64+1] = float32(half-1) * 0.0371
		}
		var w Weight
		require.NoError(t, RTN{Bits: bits, Group: 64, Accurate: true}.Quantize(&w, "w", dtype.F32, 4, 64, encoded(dtype.F32, values)))
		for row := range 4 {
			for k := range 64 {
				require.InDelta(t, values[row*64+k], w.Value(row, k), 1e-6, "%d bits", bits)
			}
		}
	}
}

// Magnitudes that no float32 scale can express are rounded to zero, codes too.
func TestAccurateRTNOfTheSmallestNumbers(t *testing.T) {
	tiny := float32(math.SmallestNonzeroFloat32)
	var w Weight
	require.NoError(t, RTN{Bits: 8, Group: -1, Accurate: true}.Quantize(&w, "w", dtype.F32, 1, 3, encoded(dtype.F32, []float32{tiny, -tiny, 0})))
	require.Zero(t, w.Scale(0, 0))
	require.Equal(t, []int{0, 0, 0}, signedCodes(&w, 0))
}
