package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bitlane/bitlane/dtype"
	"github.com/stretchr/testify/require"
)

func mustUniform(t testing.TB, k, size int) Groups {
	g, err := UniformGroups(k, size)
	require.NoError(t, err)
	return g
}

// dirty fills every number of w, so that whatever a Reset leaves shows.
func dirty(w *Weight) {
	for i := range w.data {
		w.data[i] = 0xff
	}
	for i := range w.scales {
		w.scales[i] = 0xff
	}
	for i := range w.zeros {
		w.zeros[i] = -1
	}
}

func TestWeightResetLeavesNothingBehind(t *testing.T) {
	var w Weight
	forms := []Form{
		{N: 7, K: 100, Bits: 8, Scales: dtype.F32, Zeros: true, Groups: mustUniform(t, 100, 10)},
		{N: 3, K: 50, Bits: 3, Scales: dtype.F16, Groups: OneGroup(50)},
		{N: 3, K: 50, Bits: 3, Scales: dtype.F16, Zeros: true, Groups: mustUniform(t, 50, 16)},
		{N: 5, K: 33, Plain: dtype.BF16},
		{N: 9, K: 200, Plain: dtype.F32},
		{N: 2, K: 7, Bits: 5, Scales: dtype.BF16, Groups: mustUniform(t, 7, 2)},
	}
	for round := range 3 {
		for i, f := range forms {
			require.NoError(t, w.Reset(f))
			require.Equal(t, f, w.Form(), "round %d, form %d", round, i)
			for _, b := range [][]byte{w.data, w.scales} {
				for _, c := range b {
					require.Zero(t, c)
				}
			}
			for _, z := range w.zeros {
				require.Zero(t, z)
			}
			dirty(&w)
		}
	}
	largest := forms[4]
	require.NoError(t, w.Reset(largest))
	allocs := testing.AllocsPerRun(10, func() {
		for _, f := range forms {
			if err := w.Reset(f); err != nil {
				t.Fatal(err)
			}
		}
	})
	require.Zero(t, allocs, "memory is reused")
}

func TestWeightResetFailsWithoutHarm(t *testing.T) {
	var w Weight
	good := Form{N: 2, K: 8, Bits: 4, Scales: dtype.F32, Groups: OneGroup(8)}
	require.NoError(t, w.Reset(good))
	w.PackRow(1, []uint8{1, 2, 3, 4, 5, 6, 7, 8})
	require.Error(t, w.Reset(Form{N: 0, K: 8, Bits: 4, Scales: dtype.F32, Groups: OneGroup(8)}))
	for _, f := range []Form{
		{N: MaxDim, K: MaxDim, Plain: dtype.F32},
		{N: MaxDim, K: 1 << 13, Bits: 8, Scales: dtype.F32, Groups: OneGroup(1 << 13)},
		{N: MaxDim, K: 1 << 10, Bits: 2, Scales: dtype.F32, Groups: mustUniform(t, 1<<10, 1)},
	} {
		err := w.Reset(f)
		require.ErrorIs(t, err, ErrShape)
		require.ErrorContains(t, err, "size is 1073741824 rows of")
	}
	require.Equal(t, good, w.Form())
	require.Equal(t, 5, w.Code(1, 4))
}

func TestFormCheck(t *testing.T) {
	ok := Form{N: 2, K: 8, Bits: 4, Scales: dtype.F16, Groups: OneGroup(8)}
	require.NoError(t, ok.Check())
	plain := Form{N: 2, K: 8, Plain: dtype.F16}
	require.NoError(t, plain.Check())
	for _, c := range []struct {
		base  Form
		edit  func(*Form)
		class error
		want  string
	}{
		{ok, func(f *Form) { f.N = 0 }, ErrShape, "N is 0, want 1..2^30"},
		{ok, func(f *Form) { f.N = MaxDim + 1 }, ErrShape, "N is 1073741825"},
		{ok, func(f *Form) { f.K = -1 }, ErrShape, "K is -1"},
		{ok, func(f *Form) { f.K = MaxDim + 1 }, ErrShape, "K is 1073741825"},
		{ok, func(f *Form) { f.Bits = 1 }, ErrUnsupported, "bits is 1, want 2..8"},
		{ok, func(f *Form) { f.Bits = 9 }, ErrUnsupported, "bits is 9"},
		{ok, func(f *Form) { f.Bits = 0 }, ErrUnsupported, "bits is 0"},
		{ok, func(f *Form) { f.Scales = dtype.Invalid }, ErrDType, "scale type is dtype(0)"},
		{ok, func(f *Form) { f.Scales = 77 }, ErrDType, "scale type is dtype(77)"},
		{ok, func(f *Form) { f.Plain = 77 }, ErrDType, "element type is dtype(77)"},
		{ok, func(f *Form) { f.Groups = OneGroup(7) }, ErrShape, "group map is 7 features in 1 groups, want 8 features"},
		{ok, func(f *Form) { f.Groups = Groups{} }, ErrShape, "group map is 0 features in 0 groups"},
		{plain, func(f *Form) { f.Bits = 4 }, ErrShape, "form is plain float16 with some, want no bits, scales, zeros or groups"},
		{plain, func(f *Form) { f.Scales = dtype.F32 }, ErrShape, "plain float16 with some"},
		{plain, func(f *Form) { f.Zeros = true }, ErrShape, "plain float16 with some"},
		{plain, func(f *Form) { f.Groups = OneGroup(8) }, ErrShape, "plain float16 with some"},
	} {
		f := c.base
		c.edit(&f)
		err := f.Check()
		require.ErrorIs(t, err, c.class, c.want)
		require.ErrorContains(t, err, c.want)
		var w Weight
		require.Equal(t, err, w.Reset(f))
		require.Zero(t, w.N())
	}
}

// Every accessor against arrays that the test keeps beside the weight.
func TestWeightAccessors(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	var w Weight
	for bits := 2; bits <= 8; bits++ {
		for _, st := range floats {
			for _, zeros := range []bool{false, true} {
				for kind, groups := range []Groups{OneGroup(45), mustUniform(t, 45, 8), mustIndexed(t, randomIndex(rng, 45, 5), 5)} {
					const n, k = 3, 45
					f := Form{N: n, K: k, Bits: bits, Scales: st, Zeros: zeros, Groups: groups}
					msg := fmt.Sprintf("%d bits, %v, zeros %v, groups %d", bits, st, zeros, kind)
					require.NoError(t, w.Reset(f), msg)
					count := groups.Count()
					codes, scales, zs := make([][]uint8, n), make([][]float32, n), make([][]int16, n)
					for row := range n {
						codes[row] = make([]uint8, k)
						for i := range codes[row] {
							codes[row][i] = uint8(rng.Uint32()) >> (8 - bits)
						}
						w.PackRow(row, codes[row])
						scales[row], zs[row] = make([]float32, count), make([]int16, count)
						for g := range count {
							s := float32(rng.NormFloat64())
							w.SetScale(row, g, s)
							scales[row][g] = st.Round(s)
							zs[row][g] = 1 << (bits - 1)
							if zeros {
								zs[row][g] = int16(rng.IntN(600) - 300)
								w.ZeroRow(row)[g] = zs[row][g]
							}
						}
					}

					require.Equal(t, n, w.N())
					require.Equal(t, k, w.K())
					require.Equal(t, bits, w.Bits())
					require.Equal(t, !zeros, w.Symmetric())
					require.Equal(t, st, w.ScaleType())
					require.True(t, w.Groups().Equal(&groups))
					_, isPlain := w.Plain()
					require.False(t, isPlain)
					require.Zero(t, w.RowStride()%8)
					require.GreaterOrEqual(t, w.RowStride()*8, k*bits)
					require.Less(t, w.RowStride()*8, k*bits+64)
					size := int64(n*w.RowStride() + n*count*st.Size())
					lo, hi := 1<<(bits-1), 1<<(bits-1)
					if zeros {
						size += int64(2 * n * count)
						lo, hi = math.MaxInt, math.MinInt
					}
					require.Equal(t, size, w.Bytes(), msg)
					for row := range n {
						require.Len(t, w.Row(row), w.RowStride())
						require.Equal(t, naivePack(w.RowStride(), codes[row], bits), w.Row(row), msg)
						got := make([]uint8, k)
						w.UnpackRow(got, row)
						require.Equal(t, codes[row], got, msg)
						require.Len(t, w.ScaleRow(row), count*st.Size())
						if zeros {
							require.Equal(t, zs[row], w.ZeroRow(row))
						} else {
							require.Nil(t, w.ZeroRow(row))
						}
						for g := range count {
							require.Equal(t, scales[row][g], w.Scale(row, g), msg)
							require.Equal(t, scales[row][g], st.At(w.ScaleRow(row), g), msg)
							require.Equal(t, int(zs[row][g]), w.Zero(row, g), msg)
							lo, hi = min(lo, int(zs[row][g])), max(hi, int(zs[row][g]))
						}
						for i := range k {
							g := groups.Of(i)
							require.Equal(t, int(codes[row][i]), w.Code(row, i), msg)
							want := scales[row][g] * float32(int(codes[row][i])-int(zs[row][g]))
							require.Equal(t, want, w.Value(row, i), msg)
						}
						require.Panics(t, func() { _ = append(w.Row(row)[:0:0], w.Row(row)[:w.RowStride()+1]...) }, "a row does not reach into the next")
					}
					gotLo, gotHi := w.ZeroRange()
					require.Equal(t, [2]int{lo, hi}, [2]int{gotLo, gotHi}, msg)
				}
			}
		}
	}
}

func TestPlainWeight(t *testing.T) {
	const n, k = 3, 5
	for _, dt := range floats {
		var w Weight
		require.NoError(t, w.Reset(Form{N: n, K: k, Plain: dt}))
		values := gaussian(n*k, 31, 1)
		for row := range n {
			require.Len(t, w.Row(row), k*dt.Size())
			dtype.Encode(dt, w.Row(row), values[row*k:][:k])
		}
		for row := range n {
			for i := range k {
				require.Equal(t, dt.Round(values[row*k+i]), w.Value(row, i))
			}
		}
		got, isPlain := w.Plain()
		require.True(t, isPlain)
		require.Equal(t, dt, got)
		require.Equal(t, int64(n*k*dt.Size()), w.Bytes())
		require.Zero(t, w.Bits())
		require.Equal(t, dtype.Invalid, w.ScaleType())
		require.Nil(t, w.ZeroRow(0))
		require.Empty(t, w.ScaleRow(n-1))
		require.Zero(t, w.Zero(0, 0))
		lo, hi := w.ZeroRange()
		require.Equal(t, [2]int{0, 0}, [2]int{lo, hi})
		_, _, bad := w.NonFiniteScale()
		require.False(t, bad)
	}
}

func TestScaleRange(t *testing.T) {
	for _, st := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		var w Weight
		require.NoError(t, w.Reset(Form{N: 2, K: 12, Bits: 4, Scales: st, Groups: mustUniform(t, 12, 4)}))
		scales := func(v ...float64) [2]float32 {
			for i := range 6 {
				w.SetScale(i/3, i%3, float32(v[i%len(v)]))
			}
			least, most, finite := w.ScaleRange()
			_, _, bad := w.NonFiniteScale()
			require.Equal(t, !bad, finite)
			return [2]float32{least, most}
		}
		require.Equal(t, [2]float32{0.25, 3}, scales(0.5, -0.25, 0, 2, math.Copysign(0, -1), -3), st)
		require.Equal(t, [2]float32{1.5, 1.5}, scales(1.5), st)
		require.Equal(t, [2]float32{}, scales(0), st)
		require.Equal(t, [2]float32{}, scales(1, math.Inf(-1)), st)
		require.Equal(t, [2]float32{}, scales(1, math.NaN()), st)
		tiny, huge := map[dtype.DType]float64{dtype.F32: 0x1p-149, dtype.F16: 0x1p-24, dtype.BF16: 0x1p-133}[st], map[dtype.DType]float64{dtype.F32: math.MaxFloat32, dtype.F16: 65504, dtype.BF16: 0x1.fep127}[st]
		require.Equal(t, [2]float32{float32(tiny), float32(huge)}, scales(1, tiny, -huge), st)
	}
	var plain Weight
	require.NoError(t, plain.Reset(Form{N: 2, K: 3, Plain: dtype.BF16}))
	least, most, finite := plain.ScaleRange()
	require.True(t, finite)
	require.Equal(t, [2]float32{}, [2]float32{least, most})
}

func TestNonFiniteScale(t *testing.T) {
	patterns := map[dtype.DType]struct{ finite, not []uint32 }{
		dtype.F32:  {[]uint32{0, 0x80000000, 1, 0x7f7fffff, 0xff7fffff}, []uint32{0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff}},
		dtype.F16:  {[]uint32{0, 0x8000, 1, 0x7bff, 0xfbff}, []uint32{0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff}},
		dtype.BF16: {[]uint32{0, 0x8000, 1, 0x7f7f, 0xff7f}, []uint32{0x7f80, 0xff80, 0x7fc0, 0x7f81, 0xffff}},
	}
	for st, p := range patterns {
		for n := 3; n <= 6; n++ { // 9 to 18 scales: no and all sorts of rests of 8 bytes
			const count = 3
			put := func(w *Weight, row, g int, bits uint32) {
				if st == dtype.F32 {
					binary.LittleEndian.PutUint32(w.ScaleRow(row)[4*g:], bits)
				} else {
					binary.LittleEndian.PutUint16(w.ScaleRow(row)[2*g:], uint16(bits))
				}
			}
			f := Form{N: n, K: 12, Bits: 4, Scales: st, Groups: mustUniform(t, 12, 4)}
			for row := range n {
				for g := range count {
					for _, bits := range p.not {
						var w Weight
						require.NoError(t, w.Reset(f))
						for i, b := range p.finite {
							put(&w, i%n, i%count, b)
						}
						_, _, found := w.NonFiniteScale()
						require.False(t, found, "%v", st)
						put(&w, row, g, bits)
						put(&w, n-1, count-1, bits) // a later one does not hide the first
						r, gg, found := w.NonFiniteScale()
						require.True(t, found, "%v %x", st, bits)
						require.Equal(t, [2]int{row, g}, [2]int{r, gg}, "%v %x", st, bits)
					}
				}
			}
		}
	}
}
