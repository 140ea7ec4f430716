package cpu

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func TestBackend(t *testing.T) {
	b, ok := backend.Lookup("cpu")
	require.True(t, ok)
	ctx, cancel := context.WithCancel(context.Background())
	infos, err := b.Devices(ctx)
	require.NoError(t, err)
	require.Len(t, infos, 1)
	require.Equal(t, "cpu:0", infos[0].Backend+":"+infos[0].ID)
	require.NotEmpty(t, infos[0].Name)
	require.Positive(t, infos[0].Units)
	require.Len(t, b.Kernels(), len(kernels))

	for _, id := range []string{"", "0"} {
		d, err := b.Open(ctx, id, backend.OpenOptions{Threads: 3})
		require.NoError(t, err)
		require.Equal(t, 3, d.Info().Units)
		require.NoError(t, d.Close())
		require.NoError(t, d.Close())
	}
	_, err = b.Open(ctx, "1", backend.OpenOptions{})
	require.ErrorIs(t, err, backend.ErrNoDevice)
	for _, o := range []backend.OpenOptions{{Threads: -1}, {Threads: backend.MostThreads + 1}, {MemoryLimit: -1}, {NativeContext: 1}, {Threads: 2, CPUs: []int{-1}}} {
		_, err = b.Open(ctx, "0", o)
		require.ErrorIs(t, err, backend.ErrUnsupported, "%+v", o)
	}
	cancel()
	_, err = b.Open(ctx, "0", backend.OpenOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

func w4(t testing.TB) shape {
	return shape{n: 70, k: 128, bits: 4, groups: uniform(t, 128, 32), scales: dtype.F16}
}

// layerOf makes a small layer with its Spec.
func layerOf(t testing.TB, s shape, r quant.Recipe) (*quant.Linear, backend.Spec) {
	t.Helper()
	l := s.linear(t, rand.New(rand.NewPCG(1, 9)))
	spec, err := backend.NewSpec(l, backend.Request{Recipe: &r, X: dtype.F32, MaxRows: 4})
	require.NoError(t, err)
	return l, spec
}

func TestRefusals(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	info := b.dev.Info()
	a16, plain, a8, a4 := plainGo[0], plainGo[1], plainGo[2], plainGo[3]
	l, good := layerOf(t, w4(t), quant.Recipe{})
	require.Nil(t, a16.Supports(info, good))
	for _, c := range []struct {
		k      *kernel
		alter  func(*backend.Spec, *backend.DeviceInfo)
		fields []string
	}{
		{plain, func(*backend.Spec, *backend.DeviceInfo) {}, []string{"weights"}},
		{a8, func(*backend.Spec, *backend.DeviceInfo) {}, []string{"activations"}},
		{a4, func(s *backend.Spec, i *backend.DeviceInfo) { i.Family, s.Y = "cuda", dtype.Invalid }, []string{"device", "activations", "y type"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.Bits, s.ScalesFinite, s.X = 9, false, 77 }, []string{"bits", "scales", "x type"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.Plain, s.Recipe.Kind = dtype.BF16, 99 }, []string{"weights", "activations"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.N = 0 }, []string{"N"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.K = 0 }, []string{"K"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.K, s.Bits = 1<<62, 1 }, []string{"bits", "K"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.MaxRows = -1 }, []string{"MaxRows"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.Groups.Count = 0 }, []string{"groups"}},
		{a8, func(s *backend.Spec, _ *backend.DeviceInfo) { s.Recipe.Kind, s.Groups.Size = quant.Int8Group, 0 }, []string{"group size"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.Groups.Longest = 0 }, []string{"longest group"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.Groups.Bounds = []int32{0, 128} }, []string{"group boundaries"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) { s.Groups.Bounds = []int32{0, -5, 7, 9, 128} }, []string{"group boundaries"}},
		{a16, func(s *backend.Spec, _ *backend.DeviceInfo) {
			s.Groups.Bounds = []int32{0, 1 << 30, 1 << 30, 1 << 30, 1<<31 - 1}
		}, []string{"group boundaries"}},
		{a4, func(s *backend.Spec, _ *backend.DeviceInfo) {
			s.Recipe.Kind, s.Transform = quant.Int4FlatQuant, &backend.TransformSpec{L: 1 << 40, R: 1 << 40}
		}, []string{"transform"}},
	} {
		s, i := good, info
		c.alter(&s, &i)
		r := c.k.Supports(i, s)
		require.NotNil(t, r)
		var fields []string
		for _, reason := range r.Reasons {
			fields = append(fields, reason.Field)
		}
		require.Equal(t, c.fields, fields)
		require.Equal(t, c.k.Name(), r.Kernel)
		if i.Family == "cpu" {
			_, err := c.k.Prepare(context.Background(), b.dev, l, s)
			var same *backend.Refusal
			require.ErrorAs(t, err, &same)
			require.Equal(t, r, same)
		}
	}
	require.Zero(t, b.dev.Alive().Bytes)
}

func TestPrepareFails(t *testing.T) {
	b := open(t, backend.OpenOptions{MemoryLimit: 2000})
	ctx, cancel := context.WithCancel(context.Background())
	l, s := layerOf(t, w4(t), quant.Recipe{})
	clean := func(err, class error) {
		t.Helper()
		require.ErrorIs(t, err, class)
		require.Equal(t, backend.Alive{Streams: 1}, b.dev.Alive())
	}
	_, err := plainGo[0].Prepare(ctx, b.dev, l, s)
	clean(err, backend.ErrOutOfMemory)

	_, err = plainGo[0].Prepare(ctx, nil, l, s)
	clean(err, backend.ErrDevice)
	_, err = plainGo[0].Prepare(ctx, hostmem.New(b.dev.Info(), backend.OpenOptions{}), l, s)
	clean(err, backend.ErrDevice)

	other := s
	other.MaxRows, other.Bias = 3, true
	_, err = plainGo[0].Prepare(ctx, b.dev, l, other)
	clean(err, backend.ErrShape)
	_, err = plainGo[0].Prepare(ctx, b.dev, &quant.Linear{Name: "empty"}, s)
	clean(err, backend.ErrShape)

	closed := open(t, backend.OpenOptions{})
	require.NoError(t, closed.st.Close())
	require.NoError(t, closed.dev.Close())
	_, err = plainGo[0].Prepare(ctx, closed.dev, l, s)
	clean(err, backend.ErrClosed)

	cancel()
	_, err = plainGo[0].Prepare(ctx, b.dev, l, s)
	clean(err, context.Canceled)
}

// ending is a context that ends after it was asked some times.
type ending struct {
	context.Context
	mu   sync.Mutex
	left int
}

func (e *ending) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left--; e.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func TestPrepareStopsWithItsContext(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	s := w4(t)
	s.n = 1000
	l, spec := layerOf(t, s, quant.Recipe{})
	for left := range 5 {
		_, err := plainGo[0].Prepare(&ending{Context: context.Background(), left: left}, b.dev, l, spec)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, backend.Alive{Streams: 1}, b.dev.Alive())
	}
	layer, err := plainGo[0].Prepare(&ending{Context: context.Background(), left: 100}, b.dev, l, spec)
	require.NoError(t, err)
	require.NoError(t, layer.Close())
}

// TestNothingIsKept overwrites the Linear after Prepare.
func TestNothingIsKept(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	rng := rand.New(rand.NewPCG(2, 9))
	for _, kind := range quant.Recipes() {
		s := w4(t)
		s.groups, s.zeros, s.bias, s.flat = actOrder(t, rng, s.k, 5), true, true, kind == quant.Int4FlatQuant
		l := s.linear(t, rng)
		layer, _ := b.prepare(l, backend.Request{Recipe: &quant.Recipe{Kind: kind}, X: dtype.F32, MaxRows: 2})
		x := input(rng, dtype.F32, 2, s.k)
		want := b.apply(layer, x, 2)
		for n := range s.n {
			clear(l.Weight.Row(n))
			clear(l.Weight.ScaleRow(n))
			clear(l.Weight.ZeroRow(n))
		}
		clear(l.Bias)
		if l.Transform != nil {
			clear(l.Transform.P1)
			clear(l.Transform.P2)
		}
		require.NoError(t, l.Weight.Reset(quant.Form{N: 1, K: 1, Plain: dtype.F32}))
		require.Equal(t, want, b.apply(layer, x, 2), kind)
	}
}

func TestApplyAllocatesNothing(t *testing.T) {
	t.Run("go", func(t *testing.T) { testAllocations(t, open(t, backend.OpenOptions{Threads: 2})) })
	for _, u := range units {
		t.Run(u.name, func(t *testing.T) {
			b := open(t, backend.OpenOptions{Threads: 2})
			if missing := u.missing(b.dev.Info().Features); missing != nil {
				t.Skipf("the processor lacks %v", missing)
			}
			b.table = tableOf([]*unit{u})
			testAllocations(t, b)
		})
	}
}

func testAllocations(t *testing.T, b *bench) {
	rng := rand.New(rand.NewPCG(3, 9))
	for _, kind := range quant.Recipes() {
		s := shape{n: 64, k: 1024, bits: 4, groups: uniform(t, 1024, 128), scales: dtype.F16, flat: kind == quant.Int4FlatQuant}
		layer, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &quant.Recipe{Kind: kind}, X: dtype.BF16, MaxRows: 64})
		for _, m := range []int{1, 5, 16, 64} {
			a := b.args(layer, input(rng, dtype.BF16, m, s.k), m)
			require.Zero(t, testing.AllocsPerRun(10, func() {
				if err := layer.Apply(b.st, a.y, a.x, a.ws); err != nil {
					panic(err)
				}
			}), "%v M=%d", kind, m)
		}
	}
}

func TestWorkspace(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	_, s := layerOf(t, w4(t), quant.Recipe{})
	l, _ := layerOf(t, w4(t), quant.Recipe{})
	layer, err := plainGo[0].Prepare(context.Background(), b.dev, l, s)
	require.NoError(t, err)
	defer layer.Close()
	require.Zero(t, layer.Workspace(0))
	require.Zero(t, layer.Workspace(-1))
	require.Zero(t, plainGo[0].Footprint(b.dev.Info(), backend.Spec{K: 5, Plain: dtype.F32}).Workspace)
	for m := range 10 {
		require.LessOrEqual(t, layer.Workspace(m), layer.Workspace(m+1))
	}
	require.Equal(t, layer.Workspace(4), layer.Workspace(1<<62), "MaxRows is 4")
}

// TestStrides has gaps between rows, which must stay as they are, and rows of x
// beyond M that would show in y.
func TestStrides(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	rng := rand.New(rand.NewPCG(4, 9))
	s := w4(t)
	l := s.linear(t, rng)
	layer, _ := b.prepare(l, backend.Request{X: dtype.F16, Y: dtype.F32, MaxRows: 3})
	x := input(rng, dtype.F16, 3, s.k)
	want := b.apply(layer, x, 3)
	in, err := b.dev.Alloc(2 * (3*(s.k+3) + 8))
	require.NoError(t, err)
	defer in.Close()
	out, err := b.dev.Alloc(4 * 3 * (s.n + 5))
	require.NoError(t, err)
	defer out.Close()
	for i := range out.Host() {
		out.Host()[i] = 0xab
	}
	xt := backend.Tensor{Span: backend.Span{Buffer: in, Offset: 2, Bytes: in.Len() - 2}, DType: dtype.F16, Rows: 3, Cols: s.k, Stride: s.k + 3}
	for m := range 3 {
		dtype.Encode(dtype.F16, xt.Host()[m*xt.Stride*2:], x[m*s.k:(m+1)*s.k])
	}
	yt := backend.Tensor{Span: backend.Whole(out), DType: dtype.F32, Rows: 3, Cols: s.n, Stride: s.n + 5}
	a := b.args(layer, x, 3)
	require.NoError(t, layer.Apply(b.st, yt, xt, a.ws))
	for m := range 3 {
		row := out.Host()[m*yt.Stride*4:]
		got := make([]float32, s.n)
		dtype.Decode(dtype.F32, got, row)
		require.Equal(t, want[m*s.n:(m+1)*s.n], got)
		for _, v := range row[s.n*4 : (s.n+5)*4] {
			require.EqualValues(t, 0xab, v)
		}
	}
}

func TestConcurrentAppliesAndClose(t *testing.T) {
	b := open(t, backend.OpenOptions{Threads: 3})
	rng := rand.New(rand.NewPCG(5, 9))
	s := shape{n: 200, k: 256, bits: 4, groups: uniform(t, 256, 64), scales: dtype.F16}
	layer, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &quant.Recipe{Kind: quant.Int8Group}, X: dtype.F32, MaxRows: 8})
	x := input(rng, dtype.F32, 8, s.k)
	want := b.apply(layer, x, 8)
	var callers sync.WaitGroup
	for range 4 {
		a := b.args(layer, x, 8)
		st, err := b.dev.NewStream()
		require.NoError(t, err)
		callers.Add(1)
		go func() {
			defer callers.Done()
			defer st.Close()
			for {
				if err := layer.Apply(st, a.y, a.x, a.ws); err != nil {
					require.ErrorIs(t, err, backend.ErrClosed)
					return
				}
				require.Equal(t, want, a.result())
			}
		}()
	}
	for range 20 {
		b.apply(layer, x, 8)
	}
	require.NoError(t, layer.Close())
	callers.Wait()
	require.ErrorIs(t, layer.(backend.Coder).Codes(b.st, backend.Tensor{}, nil, nil, nil), backend.ErrClosed)
}

func TestNoRows(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	l, _ := layerOf(t, w4(t), quant.Recipe{})
	layer, _ := b.prepare(l, backend.Request{X: dtype.F32, MaxRows: 4})
	a := b.args(layer, make([]float32, 4*128), 4)
	a.x.Rows, a.y.Rows = 0, 0
	require.NoError(t, layer.Apply(b.st, a.y, a.x, backend.Span{}))
	for _, v := range a.y.Host() {
		require.EqualValues(t, 0xff, v)
	}
	require.ErrorIs(t, b.dev.Close(), backend.ErrBusy)
	a.x.Rows, a.y.Rows = 4, 4
	require.NoError(t, layer.Apply(b.st, a.y, a.x, a.ws), "a refused Close leaves the threads")
}

func TestCodesRefuses(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	other := open(t, backend.OpenOptions{})
	l, _ := layerOf(t, w4(t), quant.Recipe{})
	layer, _ := b.prepare(l, backend.Request{Recipe: &quant.Recipe{Kind: quant.Int8Token}, X: dtype.F32, MaxRows: 4})
	a := b.args(layer, make([]float32, 128), 1)
	c := layer.(backend.Coder)
	one, codes := make([]float32, 1), make([]int8, 128)
	require.NoError(t, c.Codes(b.st, a.x, codes, one, make([]int32, 1)))
	require.ErrorIs(t, c.Codes(other.st, a.x, codes, one, make([]int32, 1)), backend.ErrDevice)
	require.ErrorIs(t, c.Codes(b.st, a.y, codes, one, make([]int32, 1)), backend.ErrShape)
	require.ErrorIs(t, c.Codes(b.st, a.x, codes[:127], one, make([]int32, 1)), backend.ErrShape)
	require.ErrorIs(t, c.Codes(b.st, a.x, codes, nil, make([]int32, 1)), backend.ErrShape)
	five := b.args(layer, make([]float32, 5*128), 5)
	require.ErrorIs(t, c.Codes(b.st, five.x, make([]int8, 5*128), make([]float32, 5), make([]int32, 5)), backend.ErrShape, "above MaxRows")
	gone := a.x
	gone.Buffer = vanishing{gone.Buffer}
	require.ErrorIs(t, c.Codes(b.st, gone, codes, one, make([]int32, 1)), backend.ErrClosed)
	st, err := b.dev.NewStream()
	require.NoError(t, err)
	require.NoError(t, st.Close())
	require.ErrorIs(t, c.Codes(st, a.x, codes, one, make([]int32, 1)), backend.ErrClosed)

	exact, _ := b.prepare(l, backend.Request{X: dtype.F32, MaxRows: 4})
	_, ok := exact.(backend.Coder)
	require.False(t, ok, "an exact layer has no codes")
}

// vanishing is a buffer that is closed between the check and the use.
type vanishing struct{ backend.Buffer }

func (vanishing) Host() []byte { return nil }

func TestBufferClosedMeanwhile(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	l, _ := layerOf(t, w4(t), quant.Recipe{})
	layer, _ := b.prepare(l, backend.Request{X: dtype.F32, MaxRows: 1})
	for i := range 3 {
		a := b.args(layer, make([]float32, 128), 1)
		for j, buf := range []*backend.Buffer{&a.x.Buffer, &a.y.Buffer, &a.ws.Buffer} {
			if i == j {
				*buf = vanishing{*buf}
			}
		}
		require.ErrorIs(t, layer.Apply(b.st, a.y, a.x, a.ws), backend.ErrClosed)
	}
}

// TestEmbedded runs the kernels on a device that embeds this one.
func TestEmbedded(t *testing.T) {
	type outer struct{ *Device }
	opened, err := cpu{}.Open(context.Background(), "0", backend.OpenOptions{})
	require.NoError(t, err)
	d := &outer{opened.(*Device)}
	d.Bind(d)
	l, s := layerOf(t, w4(t), quant.Recipe{})
	layer, err := plainGo[0].Prepare(context.Background(), d, l, s)
	require.NoError(t, err)
	buf, err := d.Alloc(1 << 20)
	require.NoError(t, err)
	require.Same(t, d, buf.Device())
	st, err := d.NewStream()
	require.NoError(t, err)
	at := func(off, n int) backend.Span { return backend.Span{Buffer: buf, Offset: off, Bytes: n} }
	require.NoError(t, layer.Apply(st, backend.Dense(at(0, 4*70), dtype.F32, 1, 70), backend.Dense(at(1024, 512), dtype.F32, 1, 128), at(2048, layer.Workspace(1))))
	g, err := d.Group(layer)
	require.NoError(t, err)
	for _, c := range []interface{ Close() error }{g, layer, buf, st, d} {
		require.NoError(t, c.Close())
	}
}

// What was closed is not kept alive by a call that waits for the next Apply.
func TestIdleCallKeepsNothing(t *testing.T) {
	b := open(t, backend.OpenOptions{Threads: 1})
	b.table = kernels
	const k, n, most = 1024, 16, 10_000
	s := shape{n: n, k: k, bits: 4, groups: uniform(t, k, 128), scales: dtype.F16}
	layer, _ := b.prepareBest(s.linear(t, rand.New(rand.NewPCG(61, 62))), backend.Request{Recipe: &quant.Recipe{}, X: dtype.F32, MaxRows: most})
	a := b.args(layer, make([]float32, most*k), most)
	require.NoError(t, layer.Apply(b.st, a.y, a.x, a.ws))
	b.dev.mu.Lock()
	defer b.dev.mu.Unlock()
	require.NotEmpty(t, b.dev.idle)
	for _, c := range b.dev.idle {
		for _, f := range c.fronts[:cap(c.fronts)] {
			require.Zero(t, f)
		}
		require.Equal(t, [5]bool{}, [5]bool{c.l != nil, c.x != nil, c.y != nil, c.scratch != nil, c.run[0].Spare != nil})
	}
}
