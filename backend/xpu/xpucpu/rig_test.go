package xpucpu_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// rig is an open device with a stream.
type rig struct {
	testing.TB
	backend backend.Backend
	dev     backend.Device
	stream  backend.Stream
}

func open(t testing.TB) *rig {
	b := engine(t)
	dev, err := b.Open(t.Context(), "0", backend.OpenOptions{})
	require.NoError(t, err)
	r := &rig{t, b, dev, nil}
	r.stream = r.newStream()
	return r
}

func (r *rig) newStream() backend.Stream {
	s, err := r.dev.NewStream()
	require.NoError(r, err)
	return s
}

func (r *rig) close() {
	require.NoError(r, r.stream.Close())
	require.Equal(r, backend.Alive{}, r.dev.(backend.Counter).Alive())
	require.NoError(r, r.dev.Close())
}

// form is a layer to make and rows to run.
type form struct {
	bits, group int
	zeros, bias bool
	n, k, m     int
	x, y        dtype.DType
	recipe      quant.RecipeKind
	scales      dtype.DType // Invalid: float16
}

// layer makes the layer and its input.
func (f form) layer(t testing.TB) (*quant.Linear, []float32) {
	rng := rand.New(rand.NewPCG(uint64(f.k), uint64(f.n)))
	groups, err := quant.UniformGroups(f.k, f.group)
	require.NoError(t, err)
	scales := f.scales
	if !scales.Valid() {
		scales = dtype.F16
	}
	l := &quant.Linear{Name: "test"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: f.n, K: f.k, Bits: f.bits, Scales: scales, Zeros: f.zeros, Groups: groups}))
	codes := make([]uint8, f.k)
	for n := range f.n {
		for k := range codes {
			codes[k] = uint8(rng.IntN(1 << f.bits))
		}
		l.Weight.PackRow(n, codes)
		for g := range groups.Count() {
			l.Weight.SetScale(n, g, float32(0.5+rng.Float64())/64)
			if f.zeros {
				l.Weight.ZeroRow(n)[g] = int16(rng.IntN(1 << f.bits))
			}
		}
	}
	if f.bias {
		l.ResizeBias(f.n)
		for n := range l.Bias {
			l.Bias[n] = float32(rng.NormFloat64())
		}
	}
	return l, input(rng, f.m*f.k, f.x)
}

func input(rng *rand.Rand, n int, t dtype.DType) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = t.Round(float32(rng.NormFloat64()))
	}
	return x
}

// prepare makes a layer with the first kernel that takes it.
func (r *rig) prepare(l *quant.Linear, f form) (backend.Layer, backend.Kernel) {
	s, err := backend.NewSpec(l, backend.Request{Recipe: &quant.Recipe{Kind: f.recipe}, X: f.x, Y: f.y, MaxRows: f.m})
	require.NoError(r, err)
	for _, k := range r.backend.Kernels() {
		if k.Supports(r.dev.Info(), s) == nil {
			made, err := k.Prepare(r.Context(), r.dev, l, s)
			require.NoError(r, err)
			return made, k
		}
	}
	require.Fail(r, "no kernel", "%+v", f)
	return nil, nil
}

// operands are memory for the arguments of an Apply.
type operands struct {
	x, y backend.Tensor
	ws   backend.Span
}

func (r *rig) operands(l backend.Layer, x []float32, rows int) (o operands) {
	s := l.Spec()
	alloc := func(bytes int) backend.Span {
		b, err := r.dev.Alloc(bytes)
		require.NoError(r, err)
		return backend.Whole(b)
	}
	o.x = backend.Dense(alloc(rows*s.K*s.X.Size()), s.X, rows, s.K)
	o.y = backend.Dense(alloc(rows*s.N*s.Y.Size()), s.Y, rows, s.N)
	o.ws = alloc(l.Workspace(rows))
	raw := make([]byte, o.x.Bytes)
	dtype.Encode(s.X, raw, x)
	require.NoError(r, r.stream.Upload(o.x.Span, raw))
	return o
}

func (o operands) close(t testing.TB) {
	for _, b := range []backend.Buffer{o.x.Buffer, o.y.Buffer, o.ws.Buffer} {
		require.NoError(t, b.Close())
	}
}

// read returns y.
func (r *rig) read(o operands) []float32 {
	raw, y := make([]byte, o.y.Bytes), make([]float32, o.y.Rows*o.y.Cols)
	require.NoError(r, r.stream.Download(raw, o.y.Span))
	dtype.Decode(o.y.DType, y, raw)
	return y
}
