package emulator

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/dtype"
)

// bench is a context with a stream, a plan, and its matrices, x and w with
// undefined bytes between the rows.
type bench struct {
	driver.Context
	driver.Stream
	plan          driver.Plan
	p             driver.Product
	x, w, y, work driver.Ptr
	xs, ws        []float32
}

func newBench(t *testing.T, p driver.Product) *bench {
	t.Helper()
	ctx, err := new(Driver).Open(0, 0)
	require.NoError(t, err)
	s, err := ctx.NewStream()
	require.NoError(t, err)
	plan, err := ctx.Plan(p)
	require.NoError(t, err)
	b := &bench{Context: ctx, Stream: s, plan: plan, p: p}
	alloc := func(bytes int) driver.Ptr {
		at, err := ctx.Alloc(int64(bytes))
		require.NoError(t, err)
		return at
	}
	place := func(rows, stride int, seed int) ([]float32, driver.Ptr) {
		at := alloc(rows * stride * p.Type.Size())
		values := make([]float32, rows*p.K)
		for i := range values {
			values[i] = float32((i*seed)%7 - 3)
		}
		for r := range rows {
			raw := make([]byte, p.K*p.Type.Size())
			dtype.Encode(p.Type, raw, values[r*p.K:(r+1)*p.K])
			require.NoError(t, s.Upload(at+driver.Ptr(r*stride*p.Type.Size()), raw))
		}
		return values, at
	}
	b.xs, b.x = place(p.MaxRows, p.XStride, 5)
	b.ws, b.w = place(p.N, p.WStride, 3)
	b.y = alloc(p.MaxRows * p.YStride * p.Y.Size())
	b.work = alloc(int(plan.Workspace()))
	return b
}

func (b *bench) check(t *testing.T, rows int) {
	t.Helper()
	line := b.p.N * b.p.Y.Size()
	for r := range b.p.MaxRows {
		at := b.y + driver.Ptr(r*b.p.YStride*b.p.Y.Size())
		got := make([]byte, line)
		require.NoError(t, b.Download(got, at))
		want := make([]byte, line)
		for n := range b.p.N {
			var sum float32
			for k := range b.p.K {
				sum += b.xs[r*b.p.K+k] * b.ws[n*b.p.K+k]
			}
			b.p.Y.Put(want, n, b.p.Alpha*sum)
		}
		if r >= rows {
			for i := range want {
				want[i] = 0x77
			}
		}
		require.Equal(t, want, got, "row %d of %d", r, rows)
	}
}

func TestMultiply(t *testing.T) {
	for _, p := range []driver.Product{
		{Type: dtype.F16, Y: dtype.F16, N: 5, K: 16, XStride: 24, WStride: 32, YStride: 8, Alpha: 1, MaxRows: 4},
		{Type: dtype.BF16, Y: dtype.F32, N: 17, K: 40, XStride: 40, WStride: 48, YStride: 24, Alpha: -0.5, MaxRows: 7},
	} {
		b := newBench(t, p)
		for _, rows := range []int{p.MaxRows, 1, 0, 3} {
			require.NoError(t, b.Fill8(b.y, 0x77, int64(p.MaxRows*p.YStride*p.Y.Size())))
			require.NoError(t, b.Multiply(b.plan, rows, b.x, b.w, b.y, b.work))
			b.check(t, rows)
		}
		undefined, err := b.Context.(*device).machine.Undefined(uint64(b.work), denseWorkspace)
		require.NoError(t, err)
		require.Zero(t, undefined, "the workspace is not for keeping anything")
	}
}

var product = driver.Product{Type: dtype.F16, Y: dtype.F16, N: 5, K: 16, XStride: 24, WStride: 32, YStride: 8, Alpha: 1, MaxRows: 4}

func TestMultiplyInGraph(t *testing.T) {
	b := newBench(t, product)
	require.NoError(t, b.Fill8(b.y, 0x77, 4*8*2))
	require.NoError(t, b.BeginCapture())
	require.NoError(t, b.Multiply(b.plan, 2, b.x, b.w, b.y, b.work))
	g, err := b.EndCapture()
	require.NoError(t, err)
	require.NoError(t, b.plan.Close())
	b.check(t, 0)
	require.NoError(t, g.Launch(b.Stream))
	b.check(t, 2)
}

func TestFaultsOfProducts(t *testing.T) {
	for name, c := range map[string]struct {
		want  string
		wrong func(b *bench) error
	}{
		"x too short":      {"out of bounds: dense product", func(b *bench) error { return b.Multiply(b.plan, 4, b.x+192, b.w, b.y, b.work) }},
		"w too short":      {"32 bytes at global", func(b *bench) error { return b.Multiply(b.plan, 4, b.x, b.w+64, b.y, b.work) }},
		"x undefined":      {"undefined value: dense product", func(b *bench) error { return b.Multiply(b.plan, 1, b.y, b.w, b.y, b.work) }},
		"y elsewhere":      {"out of bounds: dense product", func(b *bench) error { return b.Multiply(b.plan, 4, b.x, b.w, b.y+4096, b.work) }},
		"workspace absent": {"1024 bytes at global 0x100", func(b *bench) error { return b.Multiply(b.plan, 4, b.x, b.w, b.y, 256) }},
	} {
		b := newBench(t, product)
		err := c.wrong(b)
		require.ErrorIs(t, err, backend.ErrDeviceLost, name)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorIs(t, b.Stream.Sync(), backend.ErrDeviceLost, name)
	}
}

func TestRefusedProducts(t *testing.T) {
	b := newBench(t, product)
	require.ErrorIs(t, b.Multiply(b.plan, 5, b.x, b.w, b.y, b.work), backend.ErrShape)
	require.ErrorIs(t, b.Multiply(b.plan, 1, b.x+2, b.w, b.y, b.work), backend.ErrShape)
	require.ErrorIs(t, b.Multiply(b.plan, 1, b.x, b.w, b.y, 0), backend.ErrShape)
	require.ErrorIs(t, b.Multiply(newBench(t, product).plan, 1, b.x, b.w, b.y, b.work), backend.ErrDevice)
	require.NoError(t, b.plan.Close())
	require.ErrorIs(t, b.Multiply(b.plan, 1, b.x, b.w, b.y, b.work), backend.ErrClosed)

	none := &Driver{WithoutDense: true}
	ctx, err := none.Open(0, 0)
	require.NoError(t, err)
	_, err = ctx.Plan(product)
	require.ErrorIs(t, err, backend.ErrUnsupported)
	require.NoError(t, ctx.Close())
	_, err = ctx.Plan(product)
	require.ErrorIs(t, err, backend.ErrClosed)
}
