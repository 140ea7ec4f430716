//go:build cuda && cgo && linux

package driver

import (
	"encoding/binary"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

func load(t *testing.T, ctx Context) Module {
	t.Helper()
	m, err := ctx.Load("kernels.ptx", []byte(kernels))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func kernel(t *testing.T, m Module, name string) Function {
	t.Helper()
	f, err := m.Function(name)
	require.NoError(t, err)
	return f
}

func TestLaunch(t *testing.T) {
	ctx := open(t)
	s := newStream(t, ctx)
	m := load(t, ctx)
	report := kernel(t, m, "report")
	require.Equal(t, "report", report.Name())
	out := alloc(t, ctx, 64)
	l := &Launch{Grid: [3]uint32{3, 4, 5}, Block: [3]uint32{32, 2, 1}, Shared: 1024,
		Args: []uint64{uint64(out), 0x1122334455667788, 0xFFFFFFFF00000007, uint64(math.Float32bits(1.5)), 99}}
	require.NoError(t, s.Launch(report, l))
	words := func() []uint32 {
		raw := make([]byte, 48)
		require.NoError(t, s.Download(raw, out))
		w := make([]uint32, 12)
		_, err := binary.Decode(raw, binary.LittleEndian, w)
		require.NoError(t, err)
		return w
	}
	want := []uint32{0x55667788, 0x11223344, 7, math.Float32bits(1.5), 99, 3, 4, 5, 32, 2, 1, 1024}
	require.Equal(t, want, words())

	// The default streams, whose handles are no pointers.
	for handle := range uintptr(3) {
		wrapped, err := ctx.WrapStream(handle)
		require.NoError(t, err)
		require.Equal(t, handle, wrapped.Handle())
		l.Grid[0]++
		want[5]++
		require.NoError(t, grow(200, func() error { return wrapped.Launch(report, l) }))
		require.NoError(t, wrapped.Sync())
		require.Equal(t, want, words())
		require.NoError(t, wrapped.Close())
	}

	l.Block[0] = 2048
	require.ErrorContains(t, s.Launch(report, l), "cuLaunchKernel of report, grid [6 4 5], block [2048 2 1], 1024 bytes of shared memory: CUDA_ERROR_INVALID_VALUE (1)")
	l.Args = make([]uint64, MaxArgs+1)
	require.ErrorIs(t, s.Launch(report, l), backend.ErrUnsupported)
}

func grow(depth int, f func() error) error {
	var room [1024]byte
	if depth == 0 {
		return f()
	}
	room[depth] = 1
	err := grow(depth-1, f)
	runtime.KeepAlive(&room)
	return err
}

func TestLaunchAllocatesNothing(t *testing.T) {
	ctx := open(t)
	s := newStream(t, ctx)
	add := kernel(t, load(t, ctx), "add")
	e, err := ctx.NewEvent(false)
	require.NoError(t, err)
	p := alloc(t, ctx, 4)
	l := &Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Args: []uint64{uint64(p), 1}}
	data := make([]byte, 4)
	require.Zero(t, testing.AllocsPerRun(50, func() {
		if s.Launch(add, l) != nil || s.Record(e) != nil || s.Wait(e) != nil || s.Upload(p, data) != nil || s.Copy(p, p, 0) != nil || s.Sync() != nil {
			panic("failed")
		}
	}))
	require.NoError(t, e.Close())
}

func TestSharedMemory(t *testing.T) {
	ctx := open(t)
	s := newStream(t, ctx)
	report := kernel(t, load(t, ctx), "report")
	out := alloc(t, ctx, 64)
	limit := ctx.Properties().SharedOptIn
	l := &Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}, Shared: uint32(limit), Args: []uint64{uint64(out), 0, 0, 0, 0}}
	require.Error(t, s.Launch(report, l))
	require.ErrorContains(t, report.AllowShared(limit+1), "bytes of shared memory: CUDA_ERROR_INVALID_VALUE (1)")
	require.NoError(t, report.AllowShared(limit))
	require.NoError(t, s.Launch(report, l))
	require.NoError(t, s.Sync())

	a, err := report.Attributes()
	require.NoError(t, err)
	t.Logf("%+v", a)
	require.Positive(t, a.Registers)
	require.Equal(t, 1024, a.MaxThreads)
	require.Equal(t, 80, a.PTXVersion)
	require.Equal(t, 10*ctx.Properties().Major+ctx.Properties().Minor, a.BinaryVersion)
	blocks, err := report.BlocksPerSM(256, limit)
	require.NoError(t, err)
	require.Equal(t, 1, blocks)
}

func TestModules(t *testing.T) {
	ctx := open(t)
	m, err := ctx.Load("kernels.ptx", []byte(kernels))
	require.NoError(t, err)
	_, err = m.Function("nothing")
	require.ErrorContains(t, err, "cuModuleGetFunction of nothing in kernels.ptx: CUDA_ERROR_NOT_FOUND (500)")
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	_, err = m.Function("add")
	require.ErrorIs(t, err, backend.ErrClosed)

	_, err = ctx.Load("broken.ptx", []byte(strings.Replace(kernels, ".version 7.1", "", 1)))
	require.ErrorContains(t, err, "cuModuleLoadDataEx of broken.ptx: CUDA_ERROR_INVALID_PTX (218)")
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Contains(t, e.Detail, ".version")
	require.Contains(t, err.Error(), e.Detail[:20])
}

func TestGraphs(t *testing.T) {
	ctx := open(t)
	s := newStream(t, ctx)
	add := kernel(t, load(t, ctx), "add")
	p := alloc(t, ctx, 4)
	require.NoError(t, s.Fill8(p, 0, 4))
	require.NoError(t, s.Sync())
	value := func() uint32 {
		raw := make([]byte, 4)
		require.NoError(t, s.Download(raw, p))
		return binary.LittleEndian.Uint32(raw)
	}
	l := &Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}, Args: []uint64{uint64(p), 5}}
	_, err := s.EndCapture()
	require.Error(t, err, "nothing was begun")

	require.NoError(t, s.BeginCapture())
	require.NoError(t, s.Launch(add, l))
	// What waits is refused, and the capture goes on; so does other work.
	for _, err := range []error{s.Sync(), s.Upload(p, make([]byte, 4)), s.Download(make([]byte, 4), p)} {
		require.ErrorContains(t, err, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900)")
	}
	_, err = s.Done()
	require.ErrorContains(t, err, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900)")
	other := alloc(t, ctx, 4)
	require.NotZero(t, other)
	l.Args[1] = 7
	require.NoError(t, s.Launch(add, l))
	g, err := s.EndCapture()
	require.NoError(t, err)
	l.Args[1] = 1000 // arguments were taken when they were captured

	require.Zero(t, value(), "nothing has run")
	for i := range uint32(3) {
		require.NoError(t, g.Launch(s))
		require.Equal(t, 12*(i+1), value())
	}
	require.NoError(t, g.Close())
	require.NoError(t, g.Close())
	require.ErrorIs(t, g.Launch(s), backend.ErrClosed)

	// A capture may end on another thread than it began on.
	require.NoError(t, s.BeginCapture())
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		g, err := s.EndCapture()
		if err == nil {
			err = g.Close()
		}
		result <- err
	}()
	require.NoError(t, <-result)

	standard, err := ctx.WrapStream(0)
	require.NoError(t, err)
	require.Error(t, standard.BeginCapture())
}
