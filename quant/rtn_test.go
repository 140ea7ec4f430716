package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bitlane/bitlane/dtype"
	"github.com/stretchr/testify/require"
)

var floats = []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}

func encoded(t dtype.DType, values []float32) []byte {
	b := make([]byte, len(values)*t.Size())
	dtype.Encode(t, b, values)
	return b
}

func gaussian(n int, seed uint64, scale float64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 9))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64() * scale)
	}
	return v
}

func signedCodes(w *Weight, n int) []int {
	codes := make([]int, w.K())
	for k := range codes {
		codes[k] = w.Code(n, k) - w.Zero(n, 0)
	}
	return codes
}

// The numbers were computed with PyTorch on a CPU. −1/scale is nearly a tie,
// so that the rounding of the scale to the weight's type decides.
func TestRTNWorkedNumbers(t *testing.T) {
	near := []float32{-1, .5, .25, 1}
	small := []float32{.3, -.7, .011, .0039}
	for _, c := range []struct {
		t     dtype.DType
		bits  int
		w     []float32
		codes []int
		scale float32
	}{
		{dtype.F32, 4, near, []int{-7, 4, 2, 7}, .13333334},
		{dtype.BF16, 4, near, []int{-7, 4, 2, 7}, .1337890625},
		{dtype.F16, 4, near, []int{-8, 4, 2, 7}, .13330078},
		{dtype.F32, 8, near, []int{-127, 64, 32, 127}, .007843138},
		{dtype.BF16, 8, near, []int{-127, 64, 32, 127}, .00787353516},
		{dtype.F16, 8, near, []int{-128, 64, 32, 127}, .00784301758},
		{dtype.F32, 8, small, []int{55, -128, 2, 1}, .7 * 2 / 255.},
		{dtype.BF16, 8, small, []int{55, -128, 2, 1}, .0054931640625},
		{dtype.F16, 8, small, []int{55, -127, 2, 1}, .00549316},
	} {
		msg := fmt.Sprintf("%v, %d bits, %v", c.t, c.bits, c.w)
		for _, group := range []int{-1, 4} {
			var w Weight
			require.NoError(t, RTN{Bits: c.bits, Group: group}.Quantize(&w, "w", c.t, 1, 4, encoded(c.t, c.w)), msg)
			require.Equal(t, c.codes, signedCodes(&w, 0), msg)
			require.Equal(t, c.t.Round(c.scale), w.Scale(0, 0), msg)
			require.Equal(t, c.t, w.ScaleType(), msg)
			require.True(t, w.Symmetric(), msg)
		}
	}
}

func TestPackRTNWorkedBytes(t *testing.T) {
	var w Weight
	require.NoError(t, w.Reset(Form{N: 2, K: 4, Bits: 4, Scales: dtype.F16, Groups: OneGroup(4)}))
	for n, row := range [][]int{{-8, 4, 2, 7}, {1, -1, -2, 3}} {
		codes := make([]uint8, 4)
		for k, q := range row {
			codes[k] = uint8(q + 8)
		}
		w.PackRow(n, codes)
		w.SetScale(n, 0, float32(n)+.5)
	}
	packed, err := PackRTN(&w)
	require.NoError(t, err)
	require.Equal(t, []byte{0x48, 0x72, 0xf1, 0x3e}, packed)
	second := append(append([]byte{}, w.Row(0)[:2]...), w.Row(1)[:2]...)
	require.Equal(t, []byte{0xc0, 0xfa, 0x79, 0xb6}, second, "the second version's bytes are the canonical rows")

	var back Weight
	require.NoError(t, UnpackRTN(&back, dtype.F16, 4, -1, 2, 4, packed, w.scales))
	requireSameWeight(t, &w, &back)
}

func requireSameWeight(t *testing.T, want, got *Weight) {
	t.Helper()
	require.Equal(t, want.Form(), got.Form())
	require.Equal(t, want.data, got.data)
	require.Equal(t, want.scales, got.scales)
}

// slowRTN is the definition, one element at a time: each operation in float64,
// rounded once to the type. That is the same as float32 arithmetic rounded to
// a 16-bit type, since a quotient of two of its numbers is never so close to a
// midpoint that rounding twice would show.
func slowRTN(t dtype.DType, w []float32, bits int) (codes []int, scale float64) {
	m := 0.0
	for _, v := range w {
		m = math.Max(m, math.Abs(float64(v)))
	}
	top := math.Pow(2, float64(bits)) - 1
	scale = t.RoundF64(t.RoundF64(m*2) / top)
	for _, v := range w {
		q := t.RoundF64(float64(v) / scale)
		q = math.Min(math.Max(q, -(top+1)/2), (top-1)/2)
		if math.IsNaN(q) {
			q = 0
		}
		codes = append(codes, int(math.RoundToEven(q)))
	}
	return codes, scale
}

func TestRTNIsItsDefinition(t *testing.T) {
	const n, k = 6, 192
	var w Weight // one for all, so that nothing of the one before may stay
	for _, bits := range []int{4, 8} {
		for _, group := range []int{-1, 1, 6, 32, 96, 192} {
			for _, dt := range floats {
				for kind, scale := range []float64{1, 1e-3, 300, 3e-6, 1e-7, 2e-44, 1e-39} {
					values := gaussian(n*k, uint64(bits*1000+group*10+kind), scale)
					if kind == 0 {
						for i := range values { // multiples of an eighth: many ties
							values[i] = float32(math.Round(float64(values[i]*16))) / 8
						}
					}
					data := encoded(dt, values)
					dtype.Decode(dt, values, data)
					require.NoError(t, RTN{Bits: bits, Group: group}.Quantize(&w, "w", dt, n, k, data))
					size := w.Groups().Size()
					for row := range n {
						all := signedCodes(&w, row)
						for g := range w.Groups().Count() {
							at := row*k + g*size
							codes, s := slowRTN(dt, values[at:at+size], bits)
							got := all[g*size:][:size]
							if s != float64(w.Scale(row, g)) || !slices.Equal(codes, got) { // a message for each takes most of the time
								msg := fmt.Sprintf("%v, %d bits, group %d, kind %d, row %d, group %d", dt, bits, group, kind, row, g)
								require.Equal(t, s, float64(w.Scale(row, g)), msg)
								require.Equal(t, codes, got, msg)
							}
						}
					}
				}
			}
		}
	}
}

func TestRTNOfAGroupOfZeros(t *testing.T) {
	for _, dt := range floats {
		for _, r := range []RTN{{Bits: 4, Group: 2}, {Bits: 8, Group: 2}, {Bits: 3, Group: 2, Accurate: true}} {
			var w Weight
			values := []float32{0, float32(math.Copysign(0, -1)), 1, 0.5}
			require.NoError(t, r.Quantize(&w, "w", dt, 1, 4, encoded(dt, values)))
			require.Equal(t, []int{0, 0}, signedCodes(&w, 0)[:2])
			require.Zero(t, w.Scale(0, 0))
			require.NotZero(t, w.Scale(0, 1))
			require.Zero(t, w.Value(0, 1))
		}
	}
}

// The smallest float16 over 7.5 is below half of itself: upstream divides by
// the zero that it becomes and clamps the infinities.
func TestRTNScaleUnderflow(t *testing.T) {
	tiny := float32(0x1p-24)
	data := encoded(dtype.F16, []float32{tiny, -tiny, 0, tiny})
	var w Weight
	require.NoError(t, RTN{Bits: 4, Group: -1}.Quantize(&w, "w", dtype.F16, 1, 4, data))
	require.Equal(t, []int{7, -8, 0, 7}, signedCodes(&w, 0))
	require.Zero(t, w.Scale(0, 0))
	require.NoError(t, RTN{Bits: 4, Group: -1, Accurate: true}.Quantize(&w, "w", dtype.F16, 1, 4, data))
	for k, v := range []float32{tiny, -tiny, 0, tiny} {
		require.InDelta(t, v, w.Value(0, k), float64(tiny)*1e-6)
	}
}

func TestRTNRefusesScalesThatAreNotFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		t        dtype.DType
		bad      float32
		accurate bool
		want     string
	}{
		{dtype.F32, nan, false, "finite weights"},
		{dtype.F16, nan, false, "finite weights"},
		{dtype.BF16, inf, false, "finite weights"},
		{dtype.F32, inf, true, "finite weights"},
		{dtype.F16, nan, true, "finite weights"},
		{dtype.F16, -32768, false, "twice the largest magnitude 32768 overflows float16"},
		{dtype.BF16, 3e38, false, "overflows bfloat16"},
		{dtype.F32, math.MaxFloat32, false, "overflows float32"},
	} {
		values := make([]float32, 3*8)
		values[2*8+5] = c.bad // row 2, group 1
		var w Weight
		err := RTN{Bits: 4, Group: 4, Accurate: c.accurate}.Quantize(&w, "mlp.up_proj.weight", c.t, 3, 8, encoded(c.t, values))
		require.ErrorIs(t, err, ErrRange)
		require.ErrorContains(t, err, "mlp.up_proj.weight: RTN scale of row 2, group 1 is")
		require.ErrorContains(t, err, c.want)
	}
	var w Weight
	data := encoded(dtype.F16, []float32{32752, 0})
	require.NoError(t, RTN{Bits: 4, Group: -1}.Quantize(&w, "w", dtype.F16, 1, 2, data), "the largest that does not overflow")
	for _, big := range []float32{65504, 32768} {
		require.NoError(t, RTN{Bits: 8, Group: -1, Accurate: true}.Quantize(&w, "w", dtype.F16, 1, 2, encoded(dtype.F16, []float32{big, -big})))
		require.InEpsilon(t, big, w.Value(0, 0), 1e-2)
	}
	require.NoError(t, RTN{Bits: 4, Group: -1, Accurate: true}.Quantize(&w, "w", dtype.F32, 1, 2, encoded(dtype.F32, []float32{math.MaxFloat32, -math.MaxFloat32})))
	require.InEpsilon(t, math.MaxFloat32, w.Value(0, 0), 0.07)
}

func TestRTNRefusals(t *testing.T) {
	ok := RTN{Bits: 4, Group: 4}
	for _, c := range []struct {
		r      RTN
		t      dtype.DType
		n, k   int
		bytes  int
		class  error
		detail string
	}{
		{RTN{Bits: 1, Group: 4}, dtype.F32, 1, 8, 32, ErrUnsupported, "RTN bits is 1, want 2..8"},
		{RTN{Bits: 9, Group: 4, Accurate: true}, dtype.F32, 1, 8, 32, ErrUnsupported, "RTN bits is 9, want 2..8"},
		{RTN{Bits: 1, Group: 4, Accurate: true}, dtype.F32, 1, 8, 32, ErrUnsupported, "RTN bits is 1"},
		{RTN{Bits: 4}, dtype.F32, 1, 8, 32, ErrUnsupported, "RTN group size is 0, want -1 or at least 1"},
		{RTN{Bits: 4, Group: -2}, dtype.F32, 1, 8, 32, ErrUnsupported, "RTN group size is -2"},
		{RTN{Bits: 4, Group: 3}, dtype.F32, 3, 8, 96, ErrUnsupported, "RTN group size is 3, want a divisor of K=8: groups do not cross rows"},
		{RTN{Bits: 4, Group: 16}, dtype.F32, 2, 8, 64, ErrUnsupported, "RTN group size is 16, want a divisor of K=8"},
		{ok, dtype.Invalid, 1, 8, 32, ErrDType, "element type is dtype(0)"},
		{ok, dtype.F32, 0, 8, 0, ErrShape, "shape is [0, 8]"},
		{ok, dtype.F32, 1, 0, 0, ErrShape, "shape is [1, 0]"},
		{ok, dtype.F32, -1, -8, 32, ErrShape, "shape is [-1, -8]"},
		{ok, dtype.F32, 1 << 40, 1 << 40, 32, ErrShape, "shape is"},
		{ok, dtype.F16, 1 << 30, 1 << 30, 32, ErrShape, "data is 32 bytes"},
		{ok, dtype.F32, 1, 8, 31, ErrShape, "data is 31 bytes, want [1, 8] elements of float32"},
		{ok, dtype.F32, 1, 8, 33, ErrShape, "data is 33 bytes"},
		{ok, dtype.BF16, 1, 8, 32, ErrShape, "data is 32 bytes, want [1, 8] elements of bfloat16"},
	} {
		var w Weight
		err := c.r.Quantize(&w, "a.weight", c.t, c.n, c.k, make([]byte, c.bytes))
		require.ErrorIs(t, err, c.class, "%+v", c)
		require.ErrorContains(t, err, "a.weight: "+c.detail, "%+v", c)
	}
}

func TestPackRTNRoundTrip(t *testing.T) {
	var w, back Weight
	for _, dt := range floats {
		for _, bits := range []int{4, 8} {
			for _, group := range []int{-1, 2, 6} {
				const n, k = 4, 18
				require.NoError(t, RTN{Bits: bits, Group: group}.Quantize(&w, "w", dt, n, k, encoded(dt, gaussian(n*k, 7, 1))))
				packed, err := PackRTN(&w)
				require.NoError(t, err)
				require.Len(t, packed, n*k*bits/8)
				for row := range n {
					for col, q := range signedCodes(&w, row) {
						got := int(int8(packed[(row*k+col)*bits/8]))
						if bits == 4 {
							got = got << (60 - col%2*4) >> 60
						}
						require.Equal(t, q, got, "row %d, feature %d", row, col)
					}
				}
				require.NoError(t, UnpackRTN(&back, dt, bits, group, n, k, packed, w.scales))
				requireSameWeight(t, &w, &back)
			}
		}
	}
}

func TestPackRTNRefusals(t *testing.T) {
	for _, c := range []struct {
		form  Form
		class error
		want  string
	}{
		{Form{N: 2, K: 4, Bits: 3, Scales: dtype.F32, Groups: OneGroup(4)}, ErrUnsupported, "bits is 3, want 4 or 8"},
		{Form{N: 2, K: 4, Plain: dtype.F16}, ErrUnsupported, "bits is 0"},
		{Form{N: 3, K: 4, Bits: 4, Scales: dtype.F32, Groups: OneGroup(4)}, ErrShape, "shape is [3, 4], want even sizes"},
		{Form{N: 2, K: 5, Bits: 4, Scales: dtype.F32, Groups: OneGroup(5)}, ErrShape, "shape is [2, 5]"},
		{Form{N: 2, K: 4, Bits: 8, Zeros: true, Scales: dtype.F32, Groups: OneGroup(4)}, ErrUnsupported, "zero points is explicit, want implied"},
	} {
		var w Weight
		require.NoError(t, w.Reset(c.form))
		_, err := PackRTN(&w)
		require.ErrorIs(t, err, c.class)
		require.ErrorContains(t, err, c.want)
	}
	for _, c := range []struct {
		t                    dtype.DType
		bits, group, n, k    int
		packedLen, scalesLen int
		class                error
		want                 string
	}{
		{dtype.F16, 5, -1, 2, 4, 4, 4, ErrUnsupported, "bits is 5"},
		{dtype.F16, 4, -1, 0, 4, 0, 0, ErrShape, "shape is [0, 4]"},
		{dtype.F16, 4, -1, 2, 1 << 40, 4, 4, ErrShape, "shape is"},
		{dtype.F16, 4, 3, 2, 4, 4, 4, ErrUnsupported, "a divisor of K=4"},
		{dtype.Invalid, 4, -1, 2, 4, 4, 4, ErrDType, "scale type"},
		{dtype.F16, 4, -1, 2, 4, 3, 4, ErrShape, "packed codes is 3 bytes, want [2, 4] codes of 4 bits"},
		{dtype.F16, 8, -1, 2, 4, 4, 4, ErrShape, "packed codes is 4 bytes"},
		{dtype.F16, 4, 2, 2, 4, 4, 4, ErrShape, "scales is 4 bytes, want [2, 2] of float16"},
		{dtype.F16, 8, -1, 1 << 30, 1 << 30, 1 << 10, 4, ErrShape, "packed codes is 1024 bytes"},
	} {
		var w Weight
		err := UnpackRTN(&w, c.t, c.bits, c.group, c.n, c.k, make([]byte, c.packedLen), make([]byte, c.scalesLen))
		require.ErrorIs(t, err, c.class, "%+v", c)
		require.ErrorContains(t, err, c.want, "%+v", c)
	}
}

func BenchmarkRTN(b *testing.B) {
	const n, k = 64, 4096
	for _, dt := range floats {
		data := encoded(dt, gaussian(n*k, 1, 0.02))
		for _, r := range []RTN{{Bits: 4, Group: 128}, {Bits: 8, Group: 128}, {Bits: 4, Group: 128, Accurate: true}, {Bits: 3, Group: 128, Accurate: true},
			{Bits: 4, Group: 128, Accurate: true, Asymmetric: true}} {
			name := fmt.Sprintf("%v/w%dg%d", dt, r.Bits, r.Group)
			if r.Accurate {
				name += "-accurate"
			}
			if r.Asymmetric {
				name += "-asymmetric"
			}
			b.Run(name, func(b *testing.B) {
				var w Weight
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if err := r.Quantize(&w, "w", dt, n, k, data); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
