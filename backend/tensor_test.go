package backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func host(t *testing.T) *hostmem.Device {
	t.Helper()
	return hostmem.New(backend.DeviceInfo{Backend: "host", ID: "0"}, backend.OpenOptions{})
}

func alloc(t *testing.T, d backend.Device, n int) backend.Buffer {
	t.Helper()
	b, err := d.Alloc(n)
	require.NoError(t, err)
	return b
}

func TestSpans(t *testing.T) {
	d := host(t)
	b, c := alloc(t, d, 100), alloc(t, d, 100)
	part := func(off, n int) backend.Span { return backend.Span{Buffer: b, Offset: off, Bytes: n} }
	for _, x := range []struct {
		a, b backend.Span
		want bool
	}{
		{part(0, 10), part(10, 10), false},
		{part(0, 11), part(10, 10), true},
		{part(10, 10), part(0, 11), true},
		{part(5, 1), part(0, 100), true},
		{part(5, 0), part(0, 100), false},
		{backend.Span{}, part(0, 100), false},
		{part(0, 100), backend.Whole(c), false},
	} {
		require.Equal(t, x.want, x.a.Overlaps(x.b), "%v %v", x.a, x.b)
		require.Equal(t, x.want, x.b.Overlaps(x.a), "%v %v", x.b, x.a)
	}
	b.Host()[7] = 9
	require.Equal(t, []byte{9, 0}, part(7, 2).Host())
	require.Equal(t, 2, cap(part(7, 2).Host()), "a span must not reach beyond its end")
	require.Equal(t, b.Addr()+7, part(7, 2).Addr())
	require.Nil(t, backend.Span{}.Host())
	require.NoError(t, backend.Span{}.Check(d, "s"))
	require.NoError(t, b.Close())
	require.Nil(t, part(0, 1).Host())
}

func TestTensorCheck(t *testing.T) {
	d := host(t)
	b := alloc(t, d, 60)
	dense := func(rows, cols int) backend.Tensor {
		return backend.Dense(backend.Whole(b), dtype.F16, rows, cols)
	}
	strided := func(rows, cols, stride int) backend.Tensor {
		x := dense(rows, cols)
		x.Stride = stride
		return x
	}
	odd := dense(2, 10)
	odd.Offset, odd.Bytes = 1, 59
	closed := alloc(t, d, 60)
	require.NoError(t, closed.Close())
	elsewhere := alloc(t, host(t), 60)
	for _, c := range []struct {
		name  string
		x     backend.Tensor
		class error
		text  string
	}{
		{"fits", dense(3, 10), nil, ""},
		{"strided to the last byte", strided(2, 10, 20), nil, ""},
		{"no rows", strided(0, 10, 0), nil, ""},
		{"one row too many", dense(4, 10), backend.ErrShape, "x: span is 60 bytes, want at least 80 for [4,10] with row stride 10"},
		{"stride one too long", strided(2, 10, 21), backend.ErrShape, "x: span is 60 bytes, want at least 62 for [2,10] with row stride 21"},
		{"stride below cols", strided(2, 10, 9), backend.ErrShape, "x: row stride is 9, want 10 to 1073741824 elements"},
		{"huge stride", strided(2, 10, 1<<62), backend.ErrShape, "x: row stride is 4611686018427387904, want 10 to 1073741824 elements"},
		{"huge rows", dense(1<<62, 10), backend.ErrShape, "x: span is 60 bytes, want at least 92233720368547758080 for [4611686018427387904,10] with row stride 10"},
		{"negative rows", dense(-1, 10), backend.ErrShape, "x: shape is [-1,10], want [M,10] with M at least 0"},
		{"other columns", dense(3, 9), backend.ErrShape, "x: shape is [3,9], want [M,10] with M at least 0"},
		{"odd address", odd, backend.ErrShape, "1, want a multiple of 2"},
		{"other type", backend.Dense(backend.Whole(b), dtype.BF16, 3, 10), backend.ErrDType, "x: type is bfloat16, want float16"},
		{"no buffer", backend.Dense(backend.Span{Bytes: 60}, dtype.F16, 3, 10), backend.ErrShape, "x: buffer is nil, want one"},
		{"no memory", backend.Dense(backend.Span{}, dtype.F16, 3, 10), backend.ErrShape, "x: buffer is nil, want one"},
		{"outside", backend.Dense(backend.Span{Buffer: b, Offset: 2, Bytes: 60}, dtype.F16, 3, 10), backend.ErrShape, "x: span is 60 bytes at 2, want inside the buffer of 60 bytes"},
		{"closed", backend.Dense(backend.Whole(closed), dtype.F16, 3, 10), backend.ErrClosed, "x: buffer is closed, want an open one"},
		{"other device", backend.Dense(backend.Whole(elsewhere), dtype.F16, 3, 10), backend.ErrDevice, "x: device is the same, opened another time, want host:0 ()"},
		{"other device's, and outside", backend.Dense(backend.Span{Buffer: elsewhere, Offset: 2, Bytes: 60}, dtype.F16, 3, 10), backend.ErrDevice, "x: device is the same, opened another time, want host:0 ()"},
	} {
		err := c.x.Check(d, "x", dtype.F16, 10)
		if c.class == nil {
			require.NoError(t, err, c.name)
			continue
		}
		require.ErrorIs(t, err, c.class, c.name)
		require.ErrorContains(t, err, c.text, c.name)
	}
	require.Equal(t, 60, dense(3, 10).Extent())
	require.Equal(t, 60, strided(2, 10, 20).Extent())
	require.Zero(t, dense(0, 10).Extent())
}

// closing is a buffer that somebody closes after so many looks at it.
type closing struct {
	backend.Buffer
	looks *int
}

func (c closing) look() (open bool) {
	*c.looks--
	return *c.looks >= 0
}

func (c closing) Closed() bool { return !c.look() }

func (c closing) Addr() uintptr {
	if !c.look() {
		return 0
	}
	return c.Buffer.Addr()
}

// TestClosedMeanwhile: buffers that are closed while they are checked are open or closed, and nothing else is
// wrong with them. Those that are closed have the same address, 0.
func TestClosedMeanwhile(t *testing.T) {
	d := host(t)
	st, err := d.NewStream()
	require.NoError(t, err)
	spec := backend.Spec{N: 4, K: 8, X: dtype.F32, Y: dtype.F32, MaxRows: 3}
	memory := [3]backend.Buffer{alloc(t, d, 96), alloc(t, d, 96), alloc(t, d, 256)}
	closed := 0
	for looks := range 20 {
		for which := range 8 {
			var of [3]backend.Buffer
			for i := range of {
				if of[i] = memory[i]; which>>i&1 == 1 {
					left := looks
					of[i] = closing{memory[i], &left}
				}
			}
			x, dst := backend.Dense(backend.Whole(of[0]), dtype.F32, 3, 8), backend.Dense(backend.Whole(of[1]), dtype.F32, 3, 4)
			if err := backend.CheckApply(d, &spec, st, dst, x, backend.Whole(of[2]), 256); err != nil {
				require.ErrorIs(t, err, backend.ErrClosed, "%d looks, %b", looks, which)
				closed++
			}
		}
	}
	require.Greater(t, closed, 20)
}

func TestCheckApply(t *testing.T) {
	d := host(t)
	spec := backend.Spec{N: 4, K: 8, X: dtype.BF16, Y: dtype.F32, MaxRows: 3}
	st, err := d.NewStream()
	require.NoError(t, err)
	gone, err := d.NewStream()
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	another := hostmem.New(backend.DeviceInfo{Backend: "host", ID: "1", Name: "another"}, backend.OpenOptions{})
	other, err := another.NewStream()
	require.NoError(t, err)
	const need = 100
	mem, alien := alloc(t, d, 4096), alloc(t, another, 4096)
	at := func(off, n int) backend.Span { return backend.Span{Buffer: mem, Offset: off, Bytes: n} }

	type call struct {
		st     backend.Stream
		dst, x backend.Tensor
		ws     backend.Span
	}
	good := func() call {
		return call{st, backend.Dense(at(0, 64), dtype.F32, 3, 4), backend.Dense(at(64, 64), dtype.BF16, 3, 8), at(256, need)}
	}
	for _, c := range []struct {
		name  string
		alter func(*call)
		class error
		text  string
	}{
		{"right", func(*call) {}, nil, ""},
		{"no rows", func(c *call) { c.x.Rows, c.dst.Rows, c.ws = 0, 0, backend.Span{} }, nil, ""},
		{"more workspace than needed", func(c *call) { c.ws = at(256, 3000) }, nil, ""},
		{"no stream", func(c *call) { c.st = nil }, backend.ErrDevice, "stream: nil, want one of host:0 () (wrong device)"},
		{"another device's stream", func(c *call) { c.st = other }, backend.ErrDevice, "stream: device is host:1 (another), want host:0 ()"},
		{"buffer of another device", func(c *call) { c.dst.Buffer = alien }, backend.ErrDevice, "dst: device is host:1 (another), want host:0 ()"},
		{"closed stream", func(c *call) { c.st = gone }, backend.ErrClosed, "stream: closed, want an open one"},
		{"x type", func(c *call) { c.x.DType = dtype.F16 }, backend.ErrDType, "x: type is float16, want bfloat16"},
		{"y type", func(c *call) { c.dst.DType = dtype.F16 }, backend.ErrDType, "dst: type is float16, want float32"},
		{"x stride", func(c *call) { c.x.Stride = 13 }, backend.ErrShape, "x: span is 64 bytes, want at least 68 for [3,8] with row stride 13"},
		{"y stride", func(c *call) { c.dst.Stride = 3 }, backend.ErrShape, "dst: row stride is 3, want 4 to 1073741824 elements"},
		{"rows differ", func(c *call) { c.dst.Rows = 2 }, backend.ErrShape, "dst: rows is 2, want those of x, 3"},
		{"too many rows", func(c *call) {
			c.x, c.dst = backend.Dense(at(64, 64), dtype.BF16, 4, 8), backend.Dense(at(0, 64), dtype.F32, 4, 4)
		}, backend.ErrShape, "x: rows is 4, want at most MaxRows = 3"},
		{"small workspace", func(c *call) { c.ws.Bytes = need - 1 }, backend.ErrShape, "workspace: size is 99 bytes, want at least 100 bytes"},
		{"no workspace", func(c *call) { c.ws = backend.Span{} }, backend.ErrShape, "workspace: size is 0 bytes, want at least 100 bytes"},
		{"workspace outside", func(c *call) { c.ws = at(4096-256, 300) }, backend.ErrShape, "workspace: span is 300 bytes at 3840, want inside the buffer of 4096 bytes"},
		{"workspace not aligned", func(c *call) { c.ws = at(256+64, need) }, backend.ErrShape, "40, want a multiple of 256"},
		{"dst over x", func(c *call) { c.dst.Offset = 32 }, backend.ErrShape, "dst: memory is overlapping it, want apart from x"},
		{"dst over workspace", func(c *call) { c.dst.Offset = 256 + need - 4 }, backend.ErrShape, "workspace: memory is overlapping it, want apart from dst"},
		{"x over workspace", func(c *call) { c.x.Offset = 256 }, backend.ErrShape, "workspace: memory is overlapping it, want apart from x"},
	} {
		a := good()
		c.alter(&a)
		err := backend.CheckApply(d, &spec, a.st, a.dst, a.x, a.ws, need)
		if c.class == nil {
			require.NoError(t, err, c.name)
		} else {
			require.ErrorIs(t, err, c.class, c.name)
			require.ErrorContains(t, err, c.text, c.name)
		}
	}
	a := good()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = backend.CheckApply(d, &spec, a.st, a.dst, a.x, a.ws, need)
	}))
	var field *quant.FieldError
	require.ErrorAs(t, backend.CheckApply(d, &spec, st, a.dst, a.x, at(256, 5), need), &field)
	require.Equal(t, "workspace", field.Name)
	require.Equal(t, "5 bytes", field.Has)
	require.Equal(t, "at least 100 bytes", field.Want)
}
