package cpu

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

var floats = []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}

// bench is an open device with a stream.
type bench struct {
	t     testing.TB
	dev   *Device
	st    backend.Stream
	table []*kernel // under test, best first
}

// plainGo are the kernels that every machine has.
var plainGo = tableOf(nil)

// everywhere runs f with the kernels in plain Go, with each unit of this
// processor, and with models that read panels in plain Go: a unit's kernels
// come first, plain Go takes what they refuse.
func everywhere(t *testing.T, o backend.OpenOptions, f func(t *testing.T, b *bench)) {
	t.Run("go", func(t *testing.T) { f(t, open(t, o)) })
	models := map[string]*unit{"model of bytes": model(bytePanel), "model of words": model(wordPanel), "model of pairs": model(pairPanel), "model of tiles": modelOfTiles()}
	if testing.Short() && len(units) > 0 { // where everything is slower, of an emulator for one
		clear(models)
	}
	for name, u := range models {
		t.Run(name, func(t *testing.T) {
			b := open(t, o)
			b.table = tableOf([]*unit{u})
			f(t, b)
		})
	}
	for _, u := range units {
		t.Run(u.name, func(t *testing.T) {
			b := open(t, o)
			if missing := u.missing(b.dev.Info().Features); missing != nil {
				t.Skipf("the processor lacks %v", missing)
			}
			b.table = tableOf([]*unit{u})
			f(t, b)
		})
	}
}

func open(t testing.TB, o backend.OpenOptions) *bench {
	t.Helper()
	d, err := Eager{}.Open(context.Background(), "0", o)
	require.NoError(t, err)
	st, err := d.NewStream()
	require.NoError(t, err)
	b := &bench{t, d.(*Device), st, plainGo}
	t.Cleanup(func() {
		require.NoError(t, st.Close())
		require.NoError(t, d.Close(), "something was left open")
		require.Zero(t, b.dev.Alive())
	})
	return b
}

// pairs says that the kernels under test take bfloat16 x alone.
func (b *bench) pairs() bool { return b.table[0].unit.pairsAlone() }

// pairsAlone says that a unit does nothing else.
func (u *unit) pairsAlone() bool {
	return u != nil && u.exact.kind.pairs() && !u.four.is && !u.eight.is
}

// x is the type of x of tests that need only one.
func (b *bench) x() dtype.DType {
	if b.pairs() {
		return dtype.BF16
	}
	return dtype.F32
}

// recipes are those of all that the kernels under test have something to do
// with.
func (b *bench) recipes(all []quant.Recipe) []quant.Recipe {
	if b.pairs() {
		return []quant.Recipe{{Kind: quant.Exact}}
	}
	return all
}

// kernelFor returns the first kernel that supports s. Among those of a unit and
// those in plain Go it is the only one.
func (b *bench) kernelFor(s backend.Spec) *kernel {
	var found *kernel
	for _, k := range b.table {
		if k.Supports(b.dev.Info(), s) == nil {
			require.False(b.t, found != nil && found.unit == k.unit, "two kernels for %s", s.Scheme())
			if found == nil {
				found = k
			}
		}
	}
	require.NotNil(b.t, found, "no kernel for %s", s.Scheme())
	return found
}

// prepare makes a layer with the kernel that supports it, and closes it at the
// end of the test.
func (b *bench) prepare(l *quant.Linear, r backend.Request) (backend.Layer, *kernel) {
	s, err := backend.NewSpec(l, r)
	require.NoError(b.t, err)
	k := b.kernelFor(s)
	before := b.dev.Alive().Bytes
	layer, err := k.Prepare(context.Background(), b.dev, l, s)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, layer.Close()) })
	foot := k.Footprint(b.dev.Info(), s)
	require.Equal(b.t, foot.Weights, layer.Bytes())
	require.Equal(b.t, foot.Weights, b.dev.Alive().Bytes-before)
	require.EqualValues(b.t, foot.Workspace, layer.Workspace(s.MaxRows))
	require.LessOrEqual(b.t, k.Numerics(s).Depth, s.K/8+32)
	return layer, k
}

var nans = bytes.Repeat([]byte{0xff}, 1<<12)

// args are the buffers of one Apply.
type args struct {
	x, y backend.Tensor
	ws   backend.Span
}

func (b *bench) args(l backend.Layer, x []float32, m int) *args {
	s := l.Spec()
	span := func(bytes int) backend.Span {
		buf, err := b.dev.Alloc(bytes)
		require.NoError(b.t, err)
		b.t.Cleanup(func() { require.NoError(b.t, buf.Close()) })
		for host := buf.Host(); len(host) > 0; { // NaN wherever it is read before it is written
			host = host[copy(host, nans):]
		}
		return backend.Whole(buf)
	}
	a := &args{
		x:  backend.Dense(span(m*s.K*s.X.Size()), s.X, m, s.K),
		y:  backend.Dense(span(m*s.N*s.Y.Size()), s.Y, m, s.N),
		ws: span(l.Workspace(m)),
	}
	dtype.Encode(s.X, a.x.Host(), x)
	return a
}

func (a *args) result() []float32 {
	y := make([]float32, a.y.Rows*a.y.Cols)
	dtype.Decode(a.y.DType, y, a.y.Host())
	return y
}

// apply returns y [M, N] for x [M, K].
func (b *bench) apply(l backend.Layer, x []float32, m int) []float32 {
	a := b.args(l, x, m)
	require.NoError(b.t, l.Apply(b.st, a.y, a.x, a.ws))
	return a.result()
}

// accepted checks y against the reference with the kernel's own statement,
// and codes first where there are some.
func (b *bench) accepted(layer backend.Layer, k *kernel, l *quant.Linear, x, y []float32, m int) {
	s := layer.Spec()
	ref, err := reference.Run(l, s.Recipe, s.X, x, m)
	require.NoError(b.t, err)
	if s.Recipe.Kind != quant.Exact {
		a := b.args(layer, x, m)
		codes, scales, zeros := make([]int8, m*s.K), make([]float32, len(ref.Scales)), make([]int32, m)
		require.NoError(b.t, layer.(backend.Coder).Codes(b.st, a.x, codes, scales, zeros))
		require.Equal(b.t, ref.Codes, codes)
		require.Equal(b.t, bitsOf(ref.Scales), bitsOf(scales))
		require.Equal(b.t, ref.Zeros, zeros)
	}
	num := k.Numerics(s)
	bound := reference.Bound{Depth: num.Depth, WeightRound: num.WeightRound, FlushBelow: num.FlushBelow, CodeSlack: num.CodeSlack}
	for i, v := range y {
		if !ref.Accept(i/s.N, i%s.N, v, s.Y, bound) {
			require.Failf(b.t, "not accepted", "%s, %s: y[%d,%d] = %v, want %v within %v", k.name, s.Scheme(), i/s.N, i%s.N, v, ref.Y[i], ref.Bound(i/s.N, i%s.N, bound))
		}
	}
}

func bitsOf(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i, v := range x {
		b[i] = math.Float32bits(v)
		if v != v {
			b[i] = math.Float32bits(float32(math.NaN())) // which NaN does not matter
		}
	}
	return b
}

// shape is what a test layer is like.
type shape struct {
	n, k   int
	plain  dtype.DType
	bits   int
	groups quant.Groups
	scales dtype.DType
	zeros  bool
	bias   bool
	flat   bool // with a transform
}

func (s shape) String() string {
	return fmt.Sprintf("%dx%d w%d %v %v of %v zeros=%v bias=%v", s.n, s.k, s.bits, s.plain, s.groups.Kind(), s.scales, s.zeros, s.bias)
}

func (s shape) linear(t testing.TB, rng *rand.Rand) *quant.Linear {
	t.Helper()
	l := &quant.Linear{Name: s.String()}
	if s.plain.Valid() {
		require.NoError(t, l.Weight.Reset(quant.Form{N: s.n, K: s.k, Plain: s.plain}))
	} else {
		require.NoError(t, l.Weight.Reset(quant.Form{N: s.n, K: s.k, Bits: s.bits, Scales: s.scales, Zeros: s.zeros, Groups: s.groups}))
	}
	codes := make([]uint8, s.k)
	for n := range s.n {
		if s.plain.Valid() {
			for k := range s.k {
				s.plain.Put(l.Weight.Row(n), k, float32(rng.NormFloat64()))
			}
			continue
		}
		for k := range codes {
			codes[k] = uint8(rng.IntN(1 << s.bits))
		}
		l.Weight.PackRow(n, codes)
		for g := range s.groups.Count() {
			l.Weight.SetScale(n, g, 0.001+0.01*rng.Float32())
			if s.zeros {
				l.Weight.ZeroRow(n)[g] = int16(rng.IntN(1<<s.bits + 1))
			}
		}
	}
	if s.bias {
		l.ResizeBias(s.n)
		for n := range l.Bias {
			l.Bias[n] = float32(rng.NormFloat64())
		}
	}
	if s.flat {
		l.Recipe = quant.Recipe{Kind: quant.Int4FlatQuant}
		l.Transform = transform(rng, s.k)
	}
	return l
}

func transform(rng *rand.Rand, k int) *quant.Transform {
	left := 1
	for d := 2; d*d <= k; d++ {
		if k%d == 0 {
			left = d
		}
	}
	t := &quant.Transform{L: left, R: k / left, Type: dtype.F16, Clip: 0.9}
	random := func(n int) []float32 {
		p := make([]float32, n*n)
		for i := range p {
			p[i] = dtype.F16.Round(float32(rng.NormFloat64() / math.Sqrt(float64(n))))
		}
		return p
	}
	t.P1, t.P2 = random(t.L), random(t.R)
	return t
}

// input is m Gaussian rows with some outliers, exact in t.
func input(rng *rand.Rand, t dtype.DType, m, k int) []float32 {
	x := make([]float32, m*k)
	for i := range x {
		x[i] = t.Round(float32(rng.NormFloat64()))
		if rng.IntN(50) == 0 {
			x[i] = t.Round(x[i] * 20)
		}
	}
	return x
}

func uniform(t testing.TB, k, size int) quant.Groups {
	t.Helper()
	g, err := quant.UniformGroups(k, size)
	require.NoError(t, err)
	return g
}

func ragged(t testing.TB, bounds ...int32) quant.Groups {
	t.Helper()
	g, err := quant.RaggedGroups(bounds)
	require.NoError(t, err)
	return g
}

// actOrder gives the k features random groups of about the same size; the last
// of the count groups stays unused.
func actOrder(t testing.TB, rng *rand.Rand, k, count int) quant.Groups {
	t.Helper()
	index := make([]int32, k)
	for i, at := range rng.Perm(k) {
		index[at] = int32(i % (count - 1))
	}
	g, err := quant.IndexedGroups(index, count)
	require.NoError(t, err)
	return g
}

// int8Recipes are all recipes of cpu_wxg_a8_go.
var int8Recipes = []quant.Recipe{
	{Kind: quant.Int8TokenAsym}, {Kind: quant.Int8Token}, {Kind: quant.Int8TokenXPU}, {Kind: quant.Int8TokenAscend}, {Kind: quant.Int4TokenAscend},
	{Kind: quant.Int8Group}, {Kind: quant.Int8Group, Group: 32}, {Kind: quant.Int8Group, Group: 5},
}

func float32nan() float32 { return float32(math.NaN()) }
func float32inf() float32 { return float32(math.Inf(-1)) }

// onTiles runs a test with the model of tiles and with the processor's.
func onTiles(t *testing.T, threads int, run func(t *testing.T, b *bench)) {
	all := []*unit{modelOfTiles()}
	for _, u := range units {
		if u.exact.kind == tilePanel {
			all = append(all, u)
		}
	}
	for _, u := range all {
		t.Run(u.name, func(t *testing.T) {
			b := open(t, backend.OpenOptions{Threads: threads})
			if missing := u.missing(b.dev.Info().Features); missing != nil {
				t.Skipf("the processor lacks %v", missing)
			}
			b.table = tableOf([]*unit{u})
			run(t, b)
		})
	}
}
