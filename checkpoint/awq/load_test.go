package awq

import (
	"context"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Words that are written down elsewhere or made by hand: if the packer of
// these tests had the reader's mistakes, these would show it.
func TestWorkedExamples(t *testing.T) {
	require.Equal(t, uint32(0x75316420), gemmWord([]int{0, 1, 2, 3, 4, 5, 6, 7}))
	ones := func(n int) []float32 { return slices.Repeat([]float32{1}, n) }

	src := tensors{}
	src.words("m.qweight", []uint32{0x75316420, 0x00000010, 0xf0000000}, 3, 1)
	src.words("m.qzeros", []uint32{0x75316420}, 1, 1)
	src.floats("m.scales", dtype.F32, ones(8), 1, 8)
	l, _ := loadOne(t, open(t, settingsJSON(-1, "gemm", ""), src), "m")
	for n := range 8 {
		require.Equal(t, n, l.Weight.Code(n, 0))
		require.Equal(t, map[int]int{2: 1}[n], l.Weight.Code(n, 1))
		require.Equal(t, map[int]int{7: 15}[n], l.Weight.Code(n, 2))
		require.Equal(t, n, l.Weight.Zero(n, 0))
	}

	src = tensors{}
	src.words("m.qweight", []uint32{0x76543210}, 1, 1)
	src.words("m.qzeros", []uint32{0xfffffff3}, 1, 1)
	src.floats("m.scales", dtype.F32, ones(8), 1, 8)
	l, _ = loadOne(t, open(t, settingsJSON(8, "gemv", ""), src), "m")
	for k := range 8 {
		require.Equal(t, k, l.Weight.Code(0, k))
	}
	require.Equal(t, 3, l.Weight.Zero(0, 0))

	// The first 32 features of output 1 are bytes 32 to 47 of a block.
	b := make([]byte, 128)
	copy(b[32:], []byte{0x10, 0x32, 0x54, 0x76, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0})
	src = tensors{}
	src.put("m.qweight", "I16", b, 1, 64)
	src.floats("m.scales", dtype.F16, slices.Repeat([]float32{0.5}, 4*8), 8, 4)
	src.floats("m.qzeros", dtype.F16, slices.Repeat([]float32{-1.5}, 4*8), 8, 4)
	l, _ = loadOne(t, open(t, settingsJSON(64, "gemv_fast", ""), src), "m")
	for k := range 64 {
		want := map[int]int{0: 0, 8: 1, 16: 2, 24: 3, 1: 4, 9: 5, 17: 6, 25: 7, 31: 15}[k]
		require.Equal(t, want, l.Weight.Code(1, k), k)
		require.Zero(t, l.Weight.Code(0, k)+l.Weight.Code(2, k)+l.Weight.Code(3, k))
	}
	require.Equal(t, 3, l.Weight.Zero(3, 0))
}

func TestRoundTrip(t *testing.T) {
	seed := uint64(0)
	for _, version := range []Version{GEMM, GEMV, GEMVFast} {
		for _, shape := range [][2]int{{8, 64}, {16, 128}, {24, 192}, {136, 320}, {128, 1024}} {
			for _, size := range []int{-1, 16, 32, 64, 128, 80, 4096} {
				for _, sym := range []bool{true, false} {
					seed++
					n, k := shape[0], shape[1]
					switch {
					case version == GEMM && seed%3 == 0:
						k -= int(seed % 13) // rows that are no whole words
					case version == GEMV:
						n++
					}
					l := random(seed, n, k, size, sym)
					l.scales = []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}[seed%3]
					if seed%2 == 0 {
						l.bias = slices.Repeat([]float32{-0.5}, n)
					}
					words := (l.groups() + 7) / 8
					if version != GEMM && size > 0 && size < 128 {
						m := map[bool]int{true: 2, false: 4}[size >= 64]
						words = (words + m - 1) / m * m
					}
					src := tensors{}
					l.write(src, "a.b", version, words)
					f := open(t, settingsJSON(size, version.String(), ""), src)
					m := f.Modules()[0]
					require.Equal(t, [2]int{n, k}, [2]int{m.N, m.K})
					require.Equal(t, version.String(), m.Detail)
					got, found := loadOne(t, f, "a.b")
					l.check(t, got)
					require.Empty(t, found)
					require.Equal(t, sym, got.Weight.Symmetric())
					require.Equal(t, quant.Recipe{}, got.Recipe)
					require.Equal(t, dtype.Invalid, got.DType)
				}
			}
		}
	}
}

// Types and shapes tell the layout; a wrong label is a finding.
func TestLabels(t *testing.T) {
	l := random(1, 64, 256, 64, false)
	for _, stored := range []Version{GEMM, GEMV, GEMVFast} {
		for _, said := range []Version{GEMM, GEMV, GEMVFast} {
			src := tensors{}
			l.write(src, "m", stored, 0)
			f := open(t, settingsJSON(64, said.String(), ""), src)
			require.Equal(t, stored.String(), f.Modules()[0].Detail)
			got, found := loadOne(t, f, "m")
			l.check(t, got)
			if said == stored {
				require.Empty(t, found)
				continue
			}
			require.Len(t, found, 1)
			require.Equal(t, module.Finding{Module: "m", Tensor: "m.qweight",
				Text: "labelled " + said.String() + ", but types and shapes are those of " + stored.String() + "; read so"}, found[0])
		}
	}
	// Eight outputs of eight features, each its own group, fit both.
	square := random(2, 8, 8, 1, false)
	for _, v := range []Version{GEMM, GEMV} {
		src := tensors{}
		square.write(src, "m", v, 0)
		got, found := loadOne(t, open(t, settingsJSON(1, v.String(), ""), src), "m")
		square.check(t, got)
		require.Empty(t, found)
	}
}

func TestZeroPoints(t *testing.T) {
	asym, sym := random(1, 16, 64, 32, false), random(2, 16, 64, 32, true)
	for _, v := range []Version{GEMM, GEMV, GEMVFast} {
		src := tensors{}
		asym.write(src, "m", v, 0)
		got, found := loadOne(t, open(t, settingsJSON(32, v.String(), `,"zero_point":false`), src), "m")
		asym.check(t, got)
		require.Len(t, found, 1)
		require.Contains(t, found[0].Text, "says that there are no zero points, but that of output 0, group ")

		for _, extra := range []string{`,"zero_point":true`, `,"zero_point":false`, `,"sym":true`, ``} {
			src = tensors{}
			sym.write(src, "m", v, 0)
			got, found = loadOne(t, open(t, settingsJSON(32, v.String(), extra), src), "m")
			sym.check(t, got)
			require.Empty(t, found)
			require.True(t, got.Weight.Symmetric())

			delete(src, "m.qzeros")
			_, err := Open(settingsJSON(32, v.String(), extra), src)
			if extra == `,"zero_point":true` || extra == `` {
				require.ErrorIs(t, err, quant.ErrFormat)
				require.ErrorContains(t, err, "m.qzeros: tensor is absent")
				continue
			}
			got, found = loadOne(t, open(t, settingsJSON(32, v.String(), extra), src), "m")
			sym.check(t, got)
			require.Empty(t, found)
		}
	}
}

// llm-awq has another name for gemv_fast's zero points.
func TestScaledZeros(t *testing.T) {
	l := random(3, 16, 128, 32, false)
	l.scales = dtype.BF16
	src := tensors{}
	l.write(src, "m", GEMVFast, 0)
	z := src["m.qzeros"]
	delete(src, "m.qzeros")
	src.put("m.scaled_zeros", z.Type, z.Bytes, z.Shape...)
	got, found := loadOne(t, open(t, settingsJSON(32, "gemm", `,"backend":"llm-awq"`), src), "m")
	l.check(t, got)
	require.Empty(t, found)

	at := 5 // group 0 of output 5
	put := func(scale, zero float32) {
		dtype.BF16.Put(src["m.scales"].Bytes, at, scale)
		dtype.BF16.Put(src["m.scaled_zeros"].Bytes, at, zero)
	}
	load := func() (*quant.Linear, []module.Finding, error) {
		var got quant.Linear
		found, err := open(t, settingsJSON(32, "llm-awq", ""), src).Load(t.Context(), &got, "m", nil)
		return &got, found, err
	}
	put(1, -6.125)
	got, found, err := load()
	require.NoError(t, err)
	require.Equal(t, 6, got.Weight.Zero(5, 0))
	require.Len(t, found, 1)
	require.Contains(t, found[0].Text, "that are not the rounded ones: 1, the first is element [0, 5]")

	put(0, 0)
	got, found, err = load()
	require.NoError(t, err)
	require.Empty(t, found)
	require.Zero(t, got.Weight.Value(5, 0))

	for _, c := range [][2]float32{{1, -6.375}, {1, -16}, {1, 1}, {0, -1}, {1e-30, -1e30}} {
		put(c[0], c[1])
		_, _, err = load()
		require.ErrorIs(t, err, quant.ErrFormat)
		require.ErrorContains(t, err, "m.scaled_zeros: element [0, 5] is ")
		require.ErrorContains(t, err, ", want -z times the scale ")
	}
}

// failing fails to read one tensor.
type failing struct {
	safetensors.Source
	name string
}

func (f failing) Read(dst []byte, name string) ([]byte, error) {
	if name == f.name {
		return nil, io.ErrUnexpectedEOF
	}
	return f.Source.Read(dst, name)
}

func (f failing) ReadAt(dst []byte, name string, off int64) error {
	if name == f.name {
		return io.ErrUnexpectedEOF
	}
	return f.Source.ReadAt(dst, name, off)
}

func TestReadErrorsAndContext(t *testing.T) {
	l := random(4, 32, 128, 32, false)
	l.bias = make([]float32, l.n)
	for _, v := range []Version{GEMM, GEMV, GEMVFast} {
		src := tensors{}
		l.write(src, "m", v, 0)
		for name := range src {
			_, err := open(t, settingsJSON(32, v.String(), ""), failing{src, name}).Load(t.Context(), new(quant.Linear), "m", nil)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
		}
		f := open(t, settingsJSON(32, v.String(), ""), src)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := f.Load(ctx, new(quant.Linear), "m", nil)
		require.ErrorIs(t, err, context.Canceled)
		_, err = f.Load(t.Context(), new(quant.Linear), "x", nil)
		require.ErrorIs(t, err, quant.ErrUnsupported)
		require.ErrorContains(t, err, "x: module is unknown")
	}
}

func TestDamagedNumbers(t *testing.T) {
	for _, v := range []Version{GEMM, GEMV, GEMVFast} {
		for _, c := range []struct {
			tensor string
			at     int
			value  float32
			want   map[Version]string
		}{
			{"m.scales", 9, float32(math.NaN()), map[Version]string{GEMM: "[0, 9]", GEMV: "[1, 1]", GEMVFast: "[0, 9]"}},
			{"m.scales", 33, float32(math.Inf(-1)), map[Version]string{GEMM: "[1, 1]", GEMV: "[4, 1]", GEMVFast: "[1, 1]"}},
			{"m.bias", 3, float32(math.Inf(1)), map[Version]string{GEMM: "3", GEMV: "3", GEMVFast: "3"}},
			{"m.qzeros", 33, float32(math.NaN()), map[Version]string{GEMVFast: "[1, 1]"}},
		} {
			if c.want[v] == "" {
				continue
			}
			l := random(4, 32, 128, 32, false)
			l.bias = make([]float32, l.n)
			src := tensors{}
			l.write(src, "m", v, 0)
			l.scales.Put(src[c.tensor].Bytes, c.at, c.value)
			_, err := open(t, settingsJSON(32, v.String(), ""), src).Load(t.Context(), new(quant.Linear), "m", nil)
			require.ErrorIs(t, err, quant.ErrFormat)
			require.ErrorContains(t, err, c.tensor+": element "+c.want[v]+" is ")
			require.ErrorContains(t, err, "want a finite number")
		}
	}
}

// A second load into the same memory allocates nothing to speak of.
func TestLoadReusesMemory(t *testing.T) {
	for _, v := range []Version{GEMM, GEMV, GEMVFast} {
		l := random(6, 256, 1024, 128, false)
		src := tensors{}
		l.write(src, "m", v, 0)
		f := open(t, settingsJSON(128, v.String(), ""), src)
		var dst quant.Linear
		var s module.Scratch
		load := func() {
			_, err := f.Load(t.Context(), &dst, "m", &s)
			require.NoError(t, err)
		}
		load()
		require.LessOrEqual(t, testing.AllocsPerRun(10, load), 8.0)
		l.check(t, &dst)
	}
}
