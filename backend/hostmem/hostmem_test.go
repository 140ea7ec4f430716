package hostmem_test

import (
	"context"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/dtype"
)

// device is a Device as a user's backend embeds it.
type device struct{ *hostmem.Device }

func open(t testing.TB, limit int64) *device {
	t.Helper()
	d := &device{hostmem.New(backend.DeviceInfo{Backend: "toy", Family: "toy", ID: "0"}, backend.OpenOptions{MemoryLimit: limit})}
	d.Bind(d)
	return d
}

func alloc(t testing.TB, d backend.Device, n int) backend.Buffer {
	t.Helper()
	b, err := d.Alloc(n)
	require.NoError(t, err)
	return b
}

func TestBuffers(t *testing.T) {
	d := open(t, 10_000)
	for _, n := range []int{0, 1, 255, 256, 1000} {
		b := alloc(t, d, n)
		require.Equal(t, n, b.Len())
		require.Len(t, b.Host(), n)
		require.NotNil(t, b.Host())
		require.Zero(t, b.Addr()%backend.WorkspaceAlign)
		require.Equal(t, n == 0, b.Addr() == 0)
		require.Same(t, d, b.Device())
		require.Equal(t, backend.Alive{Buffers: 1, Bytes: int64(n)}, d.Alive())
		require.False(t, b.Closed())
		require.NoError(t, b.Close())
		require.NoError(t, b.Close())
		require.True(t, b.Closed())
		require.Nil(t, b.Host())
		require.Zero(t, b.Addr())
		require.Zero(t, d.Alive())
	}
}

func TestMemoryLimit(t *testing.T) {
	d := open(t, 1000)
	a := alloc(t, d, 600)
	free, total, err := d.Mem()
	require.NoError(t, err)
	require.EqualValues(t, 400, free)
	require.EqualValues(t, 1000, total)
	_, err = d.Alloc(401)
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.ErrorContains(t, err, "400 bytes")
	require.ErrorContains(t, err, "401 bytes")
	b := alloc(t, d, 400)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	require.NoError(t, alloc(t, d, 1000).Close())
}

func TestWithoutALimit(t *testing.T) {
	d := open(t, 0)
	free, total, err := d.Mem()
	if runtime.GOOS == "linux" {
		require.NoError(t, err)
		require.Positive(t, free)
		require.GreaterOrEqual(t, total, free)
	} else {
		require.ErrorIs(t, err, backend.ErrUnsupported)
	}
	for _, n := range []int{1 << 62, 1<<63 - 1, 1 << 50} {
		_, err = d.Alloc(n)
		require.ErrorIs(t, err, backend.ErrOutOfMemory)
	}
	_, err = d.Alloc(-1)
	require.ErrorIs(t, err, backend.ErrShape)
	require.Zero(t, d.Alive())
}

func TestWrappedBuffers(t *testing.T) {
	d := open(t, 10)
	own := make([]byte, 64)
	b, err := d.WrapBuffer(unsafe.Pointer(&own[0]), len(own))
	require.NoError(t, err)
	require.Equal(t, backend.Alive{Buffers: 1}, d.Alive(), "the caller's bytes are not ours")
	b.Host()[5] = 7
	require.EqualValues(t, 7, own[5])
	require.Equal(t, uintptr(unsafe.Pointer(&own[0])), b.Addr())
	require.ErrorIs(t, d.Close(), backend.ErrBusy)
	require.NoError(t, b.Close())
	empty, err := d.WrapBuffer(nil, 0)
	require.NoError(t, err)
	require.NoError(t, empty.Close())
	for _, n := range []int{1, -1} {
		_, err = d.WrapBuffer(nil, n)
		require.ErrorIs(t, err, backend.ErrShape)
	}
	require.NoError(t, d.Close())
}

func TestCopies(t *testing.T) {
	d, other := open(t, 0), open(t, 0)
	st, err := d.NewStream()
	require.NoError(t, err)
	a, b, foreign := alloc(t, d, 8), alloc(t, d, 8), alloc(t, other, 8)
	require.Same(t, d, st.Device())
	require.NoError(t, st.Upload(backend.Whole(a), []byte("abcdefgh")))
	require.NoError(t, st.Copy(backend.Span{Buffer: b, Offset: 2, Bytes: 3}, backend.Span{Buffer: a, Offset: 1, Bytes: 3}))
	got := make([]byte, 4)
	require.NoError(t, st.Download(got, backend.Span{Buffer: b, Offset: 2, Bytes: 4}))
	require.Equal(t, []byte("bcd\x00"), got)

	for _, c := range []struct {
		err, class error
		text       string
	}{
		{st.Upload(backend.Whole(a), got), backend.ErrShape, "upload destination: size is 8 bytes, want 4 bytes"},
		{st.Upload(backend.Span{}, got), backend.ErrShape, "upload destination: size is 0 bytes, want 4 bytes"},
		{st.Download(got, backend.Whole(a)), backend.ErrShape, "download source: size is 8 bytes, want 4 bytes"},
		{st.Copy(backend.Whole(a), backend.Span{Buffer: b, Bytes: 7}), backend.ErrShape, "copy destination: size is 8 bytes, want 7 bytes"},
		{st.Copy(backend.Span{Buffer: a, Offset: 1, Bytes: 8}, backend.Span{Buffer: b, Offset: 1, Bytes: 8}), backend.ErrShape, "copy source: span is 8 bytes at 1, want inside the buffer of 8 bytes"},
		{st.Copy(backend.Span{Buffer: a, Offset: 1, Bytes: 8}, backend.Whole(b)), backend.ErrShape, "copy destination: span is 8 bytes at 1, want inside the buffer of 8 bytes"},
		{st.Upload(backend.Span{Buffer: a, Offset: -1, Bytes: 4}, got), backend.ErrShape, "upload destination: span is 4 bytes at -1, want inside the buffer of 8 bytes"},
		{st.Download(got, backend.Span{Buffer: a, Offset: 5, Bytes: 4}), backend.ErrShape, "download source: span is 4 bytes at 5, want inside the buffer of 8 bytes"},
		{st.Upload(backend.Span{Bytes: 4}, got), backend.ErrShape, "upload destination: buffer is nil, want one"},
		{st.Upload(backend.Span{Buffer: a, Offset: 1<<63 - 1, Bytes: 4}, got), backend.ErrShape, "upload destination: span is 4 bytes at 9223372036854775807, want inside"},
		{st.Upload(backend.Whole(foreign), []byte("abcdefgh")), backend.ErrDevice, "upload destination: device is the same, opened another time, want "},
		{st.Download(got, backend.Span{Buffer: foreign, Offset: 8, Bytes: 4}), backend.ErrDevice, "download source: device is the same, opened another time, want "},
		{st.Copy(backend.Whole(a), backend.Whole(foreign)), backend.ErrDevice, "copy source: device is "},
		{st.Copy(backend.Whole(foreign), backend.Whole(a)), backend.ErrDevice, "copy destination: device is "},
		{st.Wait(nil), backend.ErrDevice, "event: nil, want one of "},
	} {
		require.ErrorIs(t, c.err, c.class, c.text)
		require.ErrorContains(t, c.err, c.text)
	}
	require.NoError(t, st.Upload(backend.Span{}, nil))

	require.NoError(t, b.Close())
	require.ErrorIs(t, st.Download(make([]byte, 8), backend.Whole(b)), backend.ErrClosed)
	require.NoError(t, st.Close())
	require.NoError(t, st.Close())
	require.True(t, st.Closed())
	for name, err := range map[string]error{
		"upload": st.Upload(backend.Whole(a), make([]byte, 8)), "download": st.Download(make([]byte, 8), backend.Whole(a)),
		"copy": st.Copy(backend.Whole(a), backend.Whole(a)), "sync": st.Sync(context.Background()), "wait": st.Wait(nil),
	} {
		require.ErrorIs(t, err, backend.ErrClosed, name)
	}
	_, err = st.Record()
	require.ErrorIs(t, err, backend.ErrClosed)
}

func TestEvents(t *testing.T) {
	d, other := open(t, 0), open(t, 0)
	st, err := d.NewStream()
	require.NoError(t, err)
	wrapped, err := d.WrapStream(0)
	require.NoError(t, err)
	foreign, err := other.NewStream()
	require.NoError(t, err)
	_, err = d.WrapStream(1)
	require.ErrorIs(t, err, backend.ErrUnsupported)

	e, err := st.Record()
	require.NoError(t, err)
	require.Same(t, d, e.Device())
	require.Equal(t, backend.Alive{Streams: 2, Events: 1}, d.Alive())
	require.NoError(t, wrapped.Wait(e))
	require.ErrorIs(t, foreign.Wait(e), backend.ErrDevice)
	require.ErrorIs(t, st.Wait(nil), backend.ErrDevice)
	require.NoError(t, e.Close())
	require.NoError(t, e.Close())
	require.ErrorIs(t, st.Wait(e), backend.ErrClosed)

	ctx, cancel := context.WithCancel(context.Background())
	require.NoError(t, st.Sync(ctx))
	cancel()
	require.ErrorIs(t, st.Sync(ctx), context.Canceled)
	require.NoError(t, st.Close())
	require.NoError(t, wrapped.Close())
	require.NoError(t, d.Close())
}

func TestCloseOfADevice(t *testing.T) {
	d := open(t, 0)
	b := alloc(t, d, 1)
	st, err := d.NewStream()
	require.NoError(t, err)
	e, err := st.Record()
	require.NoError(t, err)
	l, err := hostmem.NewLayer(d, backend.Spec{})
	require.NoError(t, err)
	closers := []interface{ Close() error }{b, st, e, l}
	err = d.Close()
	require.ErrorIs(t, err, backend.ErrBusy)
	require.ErrorContains(t, err, "1 layers, 1 buffers, 1 streams, 1 events still open")
	for _, c := range closers {
		require.ErrorIs(t, d.Close(), backend.ErrBusy)
		require.NoError(t, c.Close())
	}
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())

	require.Equal(t, "toy", d.Info().Backend)
	_, _, err = d.Mem()
	require.ErrorIs(t, err, backend.ErrClosed)
	_, err = d.Alloc(1)
	require.ErrorIs(t, err, backend.ErrClosed)
	_, err = d.NewStream()
	require.ErrorIs(t, err, backend.ErrClosed)
	_, err = d.WrapStream(0)
	require.ErrorIs(t, err, backend.ErrClosed)
	_, err = d.WrapBuffer(nil, 0)
	require.ErrorIs(t, err, backend.ErrClosed)
	_, err = hostmem.NewLayer(d, backend.Spec{})
	require.ErrorIs(t, err, backend.ErrClosed)
}

func TestInjectedFaults(t *testing.T) {
	d := open(t, 0)
	st, err := d.NewStream()
	require.NoError(t, err)
	require.Equal(t, 1, d.FailAlloc(1))
	b := alloc(t, d, 1)
	_, err = st.Record()
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	another, err := d.NewStream()
	require.NoError(t, err, "only one allocation fails")
	require.Equal(t, 3, d.FailAlloc(0))
	_, err = d.NewStream()
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.Equal(t, 1, d.FailAlloc(0))
	require.Equal(t, 0, d.FailAlloc(-5))
	require.NoError(t, alloc(t, d, 1).Close())
	require.NoError(t, b.Close())
	require.NoError(t, another.Close())
	require.NoError(t, st.Close())
	require.NoError(t, d.Close())
}

// double is a layer that doubles x [M, 2].
type double struct{ *hostmem.Layer }

func (l double) Workspace(int) int { return 0 }

func (l double) Apply(s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	if err := l.Enter(s, dst, x, ws, 0); err != nil {
		return err
	}
	defer l.Leave()
	for i := range x.Rows * x.Cols {
		dst.DType.Put(dst.Host(), i, 2*x.DType.At(x.Host(), i))
	}
	return nil
}

func newDouble(t testing.TB, d backend.Device) double {
	t.Helper()
	base, err := hostmem.NewLayer(d, backend.Spec{N: 2, K: 2, X: dtype.F32, Y: dtype.F32, MaxRows: 4})
	require.NoError(t, err)
	return double{base}
}

func TestLayer(t *testing.T) {
	d := open(t, 0)
	var l backend.Layer = newDouble(t, d)
	base := l.(double).Layer
	mem, err := base.Alloc(100)
	require.NoError(t, err)
	require.Len(t, mem, 100)
	require.EqualValues(t, 100, l.Bytes())
	require.Equal(t, backend.Alive{Buffers: 1, Layers: 1, Bytes: 100}, d.Alive())
	require.Same(t, d, base.Device())
	require.Equal(t, 4, l.Spec().MaxRows)

	st, err := d.NewStream()
	require.NoError(t, err)
	in, out := alloc(t, d, 8), alloc(t, d, 8)
	x, y := backend.Dense(backend.Whole(in), dtype.F32, 1, 2), backend.Dense(backend.Whole(out), dtype.F32, 1, 2)
	dtype.Encode(dtype.F32, in.Host(), []float32{3, 4})
	require.NoError(t, l.Apply(st, y, x, backend.Span{}))
	require.EqualValues(t, 6, dtype.F32.At(out.Host(), 0))
	require.EqualValues(t, 8, dtype.F32.At(out.Host(), 1))
	require.ErrorIs(t, l.Apply(st, x, x, backend.Span{}), backend.ErrShape, "overlap")
	require.Zero(t, testing.AllocsPerRun(50, func() { _ = l.Apply(st, y, x, backend.Span{}) }))

	require.NoError(t, base.Hold())
	require.ErrorIs(t, l.Close(), backend.ErrBusy)
	require.NoError(t, l.Apply(st, y, x, backend.Span{}), "a refused Close closes nothing")
	base.Release()
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	require.Zero(t, l.Bytes())
	require.ErrorIs(t, l.Apply(st, y, x, backend.Span{}), backend.ErrClosed)
	require.ErrorIs(t, base.Hold(), backend.ErrClosed)
	require.Equal(t, backend.Alive{Buffers: 2, Streams: 1, Bytes: 16}, d.Alive())
}

func TestLayerMemoryRunsOut(t *testing.T) {
	d := open(t, 10)
	l := newDouble(t, d)
	_, err := l.Alloc(11)
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.NoError(t, l.Close())
	require.NoError(t, d.Close())
}

func TestCloseWaitsForRunningApplies(t *testing.T) {
	l := newDouble(t, open(t, 0))
	require.NoError(t, l.EnterUse())
	closed := make(chan struct{})
	go func() {
		_ = l.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Fatal("closed under a running Apply")
	case <-time.After(20 * time.Millisecond):
	}
	l.Leave()
	<-closed
}

// foreign is a device whose memory is not hostmem's.
type foreign struct{ backend.Device }

func TestOf(t *testing.T) {
	d := open(t, 0)
	got, err := hostmem.Of(d)
	require.NoError(t, err)
	require.Same(t, d.Device, got)
	_, err = hostmem.Of(foreign{d})
	require.ErrorIs(t, err, backend.ErrDevice)
	_, err = hostmem.NewLayer(foreign{d}, backend.Spec{})
	require.ErrorIs(t, err, backend.ErrDevice)
	_, err = hostmem.Of(nil)
	require.ErrorIs(t, err, backend.ErrDevice)
}

// TestUnbound uses a Device as it is.
func TestUnbound(t *testing.T) {
	d := hostmem.New(backend.DeviceInfo{Backend: "toy"}, backend.OpenOptions{})
	b := alloc(t, d, 1)
	require.Same(t, d, b.Device())
	require.NoError(t, b.Close())
	require.NoError(t, d.Close())
}

// vanishing is a buffer that is closed between the check and the use.
type vanishing struct{ backend.Buffer }

func (vanishing) Host() []byte { return nil }

func TestBufferClosedMeanwhile(t *testing.T) {
	d := hostmem.New(backend.DeviceInfo{Backend: "toy", ID: "0"}, backend.OpenOptions{})
	st, err := d.NewStream()
	require.NoError(t, err)
	b, err := d.Alloc(8)
	require.NoError(t, err)
	gone := backend.Whole(vanishing{b})
	require.ErrorIs(t, st.Upload(gone, make([]byte, 8)), backend.ErrClosed)
	require.ErrorIs(t, st.Download(make([]byte, 8), gone), backend.ErrClosed)
	require.ErrorIs(t, st.Copy(backend.Whole(b), gone), backend.ErrClosed)
}
