package reference_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

// The quantizers of package quant and those here were written apart. They must
// give the same bits for every row; the rows below are those where a slip in
// rounding, clamping or ordering shows.

// rows are adversarial rows of k values of xt, by name.
func rows(rng *rand.Rand, xt dtype.DType, k int) map[string][]float32 {
	fill := func(f func(i int) float64) []float32 {
		x := make([]float32, k)
		for i := range x {
			x[i] = float32(xt.RoundF64(f(i)))
		}
		return x
	}
	sign := func(i int) float64 { return float64(1 - 2*(i%2)) }
	top := xt.MaxFinite()
	least := xt.SmallestNormal() * xt.Epsilon()
	m := map[string][]float32{
		"zeros":            fill(func(int) float64 { return 0 }),
		"negative zeros":   fill(func(int) float64 { return math.Copysign(0, -1) }),
		"ones":             fill(func(int) float64 { return 1 }),
		"ties":             fill(func(i int) float64 { return sign(i) * min(127, float64(i%127)+0.5) }),
		"ties of 127.5":    fill(func(i int) float64 { return sign(i) * (127.5 - float64(i%128)) }),
		"ties of 255":      fill(func(i int) float64 { return 255 - float64(i%256) + 0.5*float64(i%2) - 0.5 }),
		"ties of 7":        fill(func(i int) float64 { return sign(i) * (7 - float64(i%15)/2) }),
		"ties, negative":   fill(func(i int) float64 { return -(float64(i%127) + 0.5) }),
		"outlier":          fill(func(i int) float64 { return rng.NormFloat64() + 300*float64((i+1)/k) }),
		"huge":             fill(func(i int) float64 { return sign(i) * top * (1 - rng.Float64()/4) }),
		"huge, positive":   fill(func(i int) float64 { return top }),
		"least subnormals": fill(func(i int) float64 { return least * float64(i%300-150) }),
		"around 1e-5·127":  fill(func(i int) float64 { return sign(i) * 1.27e-3 * (0.98 + float64(i)/float64(k)/25) }),
		"reciprocal edge":  fill(func(i int) float64 { return sign(i) * 0x1p-121 * (1 + rng.Float64()) }),
		"NaN":              fill(func(i int) float64 { return []float64{1, math.NaN()}[(i+1)/k] }),
		"+Inf":             fill(func(i int) float64 { return []float64{1, math.Inf(1)}[(i+1)/k] }),
		"-Inf":             fill(func(i int) float64 { return []float64{math.Inf(-1), 1}[min(i, 1)] }),
	}
	random := 60
	if testing.Short() {
		random = 6
	}
	for i := range random {
		scale := math.Ldexp(1, rng.IntN(24)-12)
		m[fmt.Sprintf("Gaussian %d", i)] = fill(func(int) float64 { return scale * rng.NormFloat64() })
		m[fmt.Sprintf("uniform, shifted %d", i)] = fill(func(int) float64 { return scale * (rng.Float64() + float64(i%5-2)/3) })
		m[fmt.Sprintf("any bits %d", i)] = fill(func(int) float64 {
			v := float64(math.Float32frombits(rng.Uint32()))
			if v-v != 0 {
				return 0
			}
			return v
		})
	}
	for name, x := range m {
		if name == "+Inf" || name == "-Inf" {
			continue
		}
		for i, v := range x { // float16 cannot hold all of them
			if math.IsInf(float64(v), 0) {
				x[i] = float32(math.Copysign(top, float64(v)))
			}
		}
	}
	return m
}

// sameBits compares bit for bit, but for the payload of NaN.
func sameBits(t *testing.T, want, got []float32, name string) {
	t.Helper()
	require.Len(t, got, len(want), name)
	for i, w := range want {
		bothNaN := w != w && got[i] != got[i]
		if !bothNaN && math.Float32bits(w) != math.Float32bits(got[i]) {
			require.Fail(t, name, "element %d is %v, want %v", i, got[i], w)
		}
	}
}

func TestActivationQuantizersAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for _, k := range []int{1, 2, 31, 300} {
		order := make([]int32, k)
		for i := range order {
			order[i] = int32(rng.IntN(4))
		}
		maps := []quant.Groups{quant.OneGroup(k), uniform(t, k, 7), indexed(t, 4, order...)}
		for _, xt := range floats {
			for name, x := range rows(rng, xt, k) {
				for _, kind := range []quant.RecipeKind{quant.Int8TokenAsym, quant.Int8Token, quant.Int8TokenXPU, quant.Int8TokenAscend, quant.Int8Group, quant.Int4TokenAscend} {
					for _, g := range maps {
						r := quant.Recipe{Kind: kind}
						if kind == quant.Int8Group {
							r.Group = 5
						}
						act := r.ActGroups(&g)
						name := fmt.Sprintf("%v %v %v, K=%d, %v groups", name, xt, r, k, g.Kind())
						codes, scales, zero := reference.Quantize(r, xt, &act, x)
						gotCodes, gotScales := make([]int8, k), make([]float32, act.Count())
						for i := range gotCodes {
							gotCodes[i] = 99 // must be overwritten
						}
						gotZero := r.QuantizeRow(xt, &act, gotCodes, gotScales, x)
						sameBits(t, scales, gotScales, name)
						require.Equal(t, codes, gotCodes, name)
						require.Equal(t, zero, gotZero, name)
						lo, hi := reference.CodeRange(kind)
						require.GreaterOrEqual(t, int(slices.Min(codes)), lo, name)
						require.LessOrEqual(t, int(slices.Max(codes)), hi, name)
						if kind != quant.Int8Group {
							break // the weight's groups do not matter
						}
					}
				}
			}
		}
	}
}

func TestFlatQuantAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	for _, size := range [][2]int{{1, 1}, {1, 9}, {9, 1}, {3, 5}, {8, 16}, {9, 11}} {
		l, r := size[0], size[1]
		for _, xt := range floats {
			for name, x := range rows(rng, xt, l*r) {
				for i, tr := range []*quant.Transform{
					{L: l, R: r, P1: identity(l), P2: identity(r), Type: xt, Clip: 1},
					{L: l, R: r, P1: randomRow(rng, xt, l*l), P2: randomRow(rng, xt, r*r), Type: xt, Clip: 0.1 + 0.9*rng.Float32()},
					{L: l, R: r, P1: identity(l), P2: identity(r), Type: xt, Clip: 0x1p-140},
				} {
					name := fmt.Sprintf("%s %v %dx%d, transform %d", name, xt, l, r, i)
					b, codes, scale := reference.FlatQuant(tr, xt, x)
					got, tmp, gotCodes := make([]float32, l*r), make([]float32, l*r), make([]int8, l*r)
					tr.Apply(xt, got, x, tmp)
					sameBits(t, b, got, name)
					gotScale := tr.QuantizeRow(gotCodes, got)
					sameBits(t, []float32{scale}, []float32{gotScale}, name)
					require.Equal(t, codes, gotCodes, name)
				}
			}
		}
	}
}

func TestRTNAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 26))
	const n, k = 2, 120
	for _, wt := range floats {
		for name, w := range rows(rng, wt, n*k) {
			data := make([]byte, n*k*wt.Size())
			dtype.Encode(wt, data, w)
			for _, bits := range []int{2, 3, 4, 5, 8} {
				for _, size := range []int{-1, 1, 8, 120} {
					for _, asymmetric := range []bool{false, true} {
						agreeRTN(t, fmt.Sprintf("%s %v, group %d", name, wt, size), quant.RTN{Bits: bits, Group: size, Asymmetric: asymmetric}, wt, n, k, w, data)
					}
				}
			}
		}
	}
}

func agreeRTN(t *testing.T, name string, r quant.RTN, wt dtype.DType, n, k int, w []float32, data []byte) {
	name = fmt.Sprintf("%s %+v", name, r)
	codes, scales := reference.RTN(wt, r.Bits, r.Group, n, k, w)
	var zeros []int
	if r.Asymmetric {
		codes, scales, zeros = reference.RTNAsymmetric(wt, r.Bits, r.Group, n, k, w)
	}
	var got quant.Weight
	err := r.Quantize(&got, name, wt, n, k, data)
	for _, s := range scales {
		if s-s != 0 {
			require.ErrorIs(t, err, quant.ErrRange, name)
			return
		}
	}
	require.NoError(t, err, name)
	gotCodes := make([]uint8, n*k)
	var gotScales []float32
	var gotZeros []int
	for i := range n {
		got.UnpackRow(gotCodes[i*k:(i+1)*k], i)
		for g := range got.Groups().Count() {
			gotScales = append(gotScales, got.Scale(i, g))
			if r.Asymmetric {
				gotZeros = append(gotZeros, got.Zero(i, g))
			}
		}
	}
	sameBits(t, scales, gotScales, name)
	require.Equal(t, zeros, gotZeros, name)
	require.Equal(t, codes, gotCodes, name)
}

// quant's reader of packed codes and the one here agree, seen through Run.
func TestBitReadersAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(27, 28))
	for bits := 2; bits <= 8; bits++ {
		for _, k := range []int{1, 7, 8, 9, 31, 33, 64, 65} {
			l := randomLayer(t, rng, bits, 3, k, quant.OneGroup(k), dtype.F32, false)
			for n := range 3 {
				l.Weight.SetScale(n, 0, 1)
			}
			x := make([]float32, k*k) // the unit matrix
			for i := range k {
				x[i*k+i] = 1
			}
			res := run(t, l, quant.Recipe{}, dtype.F32, x, k)
			codes := make([]uint8, k)
			for n := range 3 {
				l.Weight.UnpackRow(codes, n)
				for i, u := range codes {
					require.Equal(t, float64(int(u)-1<<(bits-1)), res.Y[i*3+n], "%d bits, [%d,%d]", bits, n, i)
				}
			}
		}
	}
}
