//go:build cuda && cgo && linux

package driver

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

func TestUnusableDrivers(t *testing.T) {
	needsStandIn(t)
	for told, want := range map[string]string{
		"init=100":      "driver not usable: cuInit: CUDA_ERROR_NO_DEVICE (100): as the stand-in has it",
		"init=803":      "driver not usable: cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803): as the stand-in has it",
		"init=34":       "driver not usable: cuInit: error 34",
		"version=11030": "driver too old: libcuda.so.1 is of CUDA 11.3, wants 11.4 or newer",
		"version=11040": "",
	} {
		out := child(t, func() {
			_, err := System()
			var absence *backend.Absence
			fmt.Println(err, errors.As(err, &absence), errors.Is(err, backend.ErrNoDevice))
		}, "BITLANE_FAKE_CUDA="+told)
		if want == "" {
			require.Equal(t, "<nil> false false\n", out)
		} else {
			require.Equal(t, want+" true true\n", out)
		}
	}
}

func TestDevices(t *testing.T) {
	system, err := System()
	require.NoError(t, err)
	require.GreaterOrEqual(t, system.Version(), OldestVersion)
	all, err := system.Devices()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for i, p := range all {
		t.Logf("%+v", p)
		require.Equal(t, i, p.Ordinal)
		require.Regexp(t, `^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, p.UUID)
		require.Regexp(t, `^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.0$`, p.PCI)
		require.GreaterOrEqual(t, p.SharedOptIn, p.SharedPerBlock)
	}
	if !*device {
		require.Equal(t, Properties{Ordinal: 1, Name: "Stand-in 1", UUID: "GPU-10111213-1415-1617-1819-1a1b1c1d1e1f",
			PCI: "0000:3c:00.0", Major: 9, Memory: 64 << 20, L2: 50 << 20, SharedPerBlock: 48 << 10, SharedOptIn: 227 << 10,
			SharedPerSM: 228 << 10, SMs: 132, RegistersPerSM: 65536, ThreadsPerSM: 2048, MaxThreads: 1024, MemoryBusBits: 5120}, all[1])
	}
	_, err = system.Open(len(all), 0)
	require.ErrorContains(t, err, "CUDA_ERROR_INVALID_DEVICE (101)")
}

func TestContexts(t *testing.T) {
	system, err := System()
	require.NoError(t, err)
	own := open(t)
	require.NotZero(t, own.Handle())

	wrapped, err := system.Open(0, own.Handle())
	require.NoError(t, err)
	require.Equal(t, own.Handle(), wrapped.Handle())
	require.Equal(t, own.Properties(), wrapped.Properties())
	require.NoError(t, wrapped.Close())
	_, _, err = own.Mem() // the caller's context was not destroyed
	require.NoError(t, err)

	again, err := system.Open(0, 0)
	require.NoError(t, err)
	require.Equal(t, own.Handle(), again.Handle())
	require.NoError(t, again.Close())
	require.NoError(t, again.Close())
	_, _, err = again.Mem()
	require.ErrorIs(t, err, backend.ErrClosed)
	_, _, err = own.Mem()
	require.NoError(t, err)

	if all, err := system.Devices(); err == nil && len(all) > 1 {
		_, err = system.Open(1, own.Handle())
		require.ErrorIs(t, err, backend.ErrDevice)
	}
}

func TestMemory(t *testing.T) {
	ctx := open(t)
	free, total, err := ctx.Mem()
	require.NoError(t, err)
	require.Less(t, free, total+1)
	p := alloc(t, ctx, 1<<20)
	require.Zero(t, p%256)
	less, _, err := ctx.Mem()
	require.NoError(t, err)
	require.LessOrEqual(t, less, free)

	none, err := ctx.Alloc(0)
	require.NoError(t, err)
	require.Zero(t, none)
	require.NoError(t, ctx.Free(0))
	_, err = ctx.Alloc(-1)
	require.ErrorIs(t, err, backend.ErrShape)
	_, err = ctx.Alloc(1 << 50)
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.ErrorContains(t, err, "cuMemAlloc of 1125899906842624 bytes: CUDA_ERROR_OUT_OF_MEMORY (2)")
	require.ErrorContains(t, ctx.Free(p+256), "CUDA_ERROR_INVALID_VALUE (1)")
}

func TestPinnedMemory(t *testing.T) {
	ctx := open(t)
	s := newStream(t, ctx)
	p := alloc(t, ctx, 8192)
	host, err := ctx.AllocHost(8192)
	require.NoError(t, err)
	for i := range host {
		host[i] = byte(i * 7)
	}
	want := bytes.Clone(host)
	require.NoError(t, s.UploadPinned(p, host[:4096]))
	require.NoError(t, s.UploadPinned(p+4096, host[4096:]))
	got := make([]byte, 8192)
	require.NoError(t, s.Download(got, p))
	require.Equal(t, want, got)

	require.NoError(t, s.Fill8(p, 3, 8192))
	require.NoError(t, s.DownloadPinned(host[1:8192], p))
	require.NoError(t, s.Sync())
	require.Equal(t, append([]byte{0}, bytes.Repeat([]byte{3}, 8191)...), host)

	// Go's memory would be kept by the driver.
	require.ErrorIs(t, s.UploadPinned(p, got), backend.ErrDevice)
	require.ErrorIs(t, s.DownloadPinned(got, p), backend.ErrDevice)
	require.ErrorIs(t, ctx.FreeHost(got), backend.ErrDevice)
	require.ErrorIs(t, ctx.FreeHost(host[:10]), backend.ErrDevice)
	require.NoError(t, ctx.FreeHost(host))
	require.ErrorIs(t, ctx.FreeHost(host), backend.ErrDevice)

	none, err := ctx.AllocHost(0)
	require.NoError(t, err)
	require.NoError(t, ctx.FreeHost(none))
	require.NoError(t, s.UploadPinned(p, none))
	_, err = ctx.AllocHost(1 << 50)
	require.Error(t, err)
}

func TestCopies(t *testing.T) {
	ctx := open(t)
	s := newStream(t, ctx)
	p := alloc(t, ctx, 1000)
	src := make([]byte, 500)
	for i := range src {
		src[i] = byte(i)
	}
	want := append(bytes.Clone(src), src...)
	require.NoError(t, s.Upload(p, src))
	clear(src) // complete on return: the driver must not read it again
	require.NoError(t, s.Copy(p+500, p, 500))
	require.NoError(t, s.Fill8(p+10, 0xEE, 5))
	copy(want[10:], bytes.Repeat([]byte{0xEE}, 5))
	got := make([]byte, 1000)
	require.NoError(t, s.Download(got, p))
	require.Equal(t, want, got)

	require.NoError(t, s.Upload(0, nil))
	require.NoError(t, s.Download(nil, 0))
	require.NoError(t, s.Copy(0, 0, 0))
	require.NoError(t, s.Fill8(0, 1, 0))
	require.ErrorIs(t, s.Copy(p, p, -1), backend.ErrShape)
	require.ErrorIs(t, s.Fill8(p, 1, -1), backend.ErrShape)
	if !*device {
		require.ErrorContains(t, s.Upload(p+501, make([]byte, 500)), "cuMemcpyHtoDAsync: CUDA_ERROR_INVALID_VALUE (1)")
	}
}

// grow calls f deep on a stack that had to grow, which moves it.

func TestEvents(t *testing.T) {
	ctx := open(t)
	first, second := newStream(t, ctx), newStream(t, ctx)
	p := alloc(t, ctx, 4096)
	start, err := ctx.NewEvent(true)
	require.NoError(t, err)
	end, err := ctx.NewEvent(true)
	require.NoError(t, err)
	done, err := start.Done()
	require.NoError(t, err)
	require.True(t, done, "never recorded")

	// The second stream must see what the first one wrote.
	require.NoError(t, first.Record(start))
	require.NoError(t, first.Fill8(p, 1, 4096))
	require.NoError(t, first.Record(end))
	require.NoError(t, second.Wait(end))
	require.NoError(t, second.Copy(p+2048, p, 2048))
	if !*device {
		done, err = second.Done()
		require.NoError(t, err)
		require.False(t, done)
	}
	got := make([]byte, 4096)
	require.NoError(t, second.Download(got, p))
	require.Equal(t, bytes.Repeat([]byte{1}, 4096), got)
	done, err = second.Done()
	require.NoError(t, err)
	require.True(t, done)

	require.NoError(t, end.Sync())
	passed, err := end.Since(start)
	require.NoError(t, err)
	require.Positive(t, passed)
	back, err := start.Since(end)
	require.NoError(t, err)
	require.Negative(t, back)

	untimed, err := ctx.NewEvent(false)
	require.NoError(t, err)
	require.NoError(t, first.Record(untimed))
	require.NoError(t, untimed.Sync())
	_, err = end.Since(untimed)
	require.ErrorContains(t, err, "cuEventElapsedTime: CUDA_ERROR_INVALID_HANDLE (400)")
	for _, e := range []Event{start, end, untimed} {
		require.NoError(t, e.Close())
		require.NoError(t, e.Close())
		require.ErrorIs(t, first.Record(e), backend.ErrClosed)
		require.ErrorIs(t, e.Sync(), backend.ErrClosed)
	}
}

// Things of one context in another one, and things of another Driver.

func TestOtherContexts(t *testing.T) {
	ctx := open(t)
	s := newStream(t, ctx)
	l := &Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}}
	require.ErrorIs(t, s.Launch(nil, l), backend.ErrDevice)
	require.ErrorIs(t, s.Record(nil), backend.ErrDevice)
	require.ErrorIs(t, s.Wait(nil), backend.ErrDevice)

	system, err := System()
	require.NoError(t, err)
	if all, err := system.Devices(); err != nil || len(all) < 2 {
		t.Logf("only one device")
		return
	}
	second, err := system.Open(1, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, second.Close()) }()
	m, err := second.Load("kernels.ptx", []byte(kernels))
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	require.ErrorIs(t, s.Launch(kernel(t, m, "add"), l), backend.ErrDevice)
	e, err := second.NewEvent(false)
	require.NoError(t, err)
	require.ErrorIs(t, s.Wait(e), backend.ErrDevice)
	require.NoError(t, e.Close())
}

// Every goroutine on whatever thread: contexts of two devices, work in both.

func TestManyGoroutines(t *testing.T) {
	system, err := System()
	require.NoError(t, err)
	all, err := system.Devices()
	require.NoError(t, err)
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		ctx, err := system.Open(i%len(all), 0)
		require.NoError(t, err)
		defer func() { require.NoError(t, ctx.Close()) }()
		wg.Go(func() { errs[i] = errors.Join(work(ctx, byte(i)), balanced(t)) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// balanced checks that the thread has no context left.

func balanced(t *testing.T) error {
	if *device {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if depth := alive(t).Depth; depth != 0 {
		return fmt.Errorf("%d contexts left on a thread", depth)
	}
	return nil
}

// work fills memory and reads it back.

func work(ctx Context, value byte) (err error) {
	s, err := ctx.NewStream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for range 50 {
		p, err := ctx.Alloc(1000)
		if err != nil {
			return err
		}
		got := make([]byte, 1000)
		if err := errors.Join(s.Fill8(p, value, 1000), s.Download(got, p), ctx.Free(p)); err != nil {
			return err
		}
		if !bytes.Equal(got, bytes.Repeat([]byte{value}, 1000)) {
			return fmt.Errorf("goroutine %d read what another one wrote", value)
		}
		runtime.Gosched()
	}
	return nil
}

// A kernel that writes where nothing is: the device is lost, and everything

// says so. In a process of its own.

func TestDeviceLost(t *testing.T) {
	out := child(t, func() {
		system, err := System()
		must(err)
		ctx, err := system.Open(0, 0)
		must(err)
		s, err := ctx.NewStream()
		must(err)
		m, err := ctx.Load("kernels.ptx", []byte(kernels))
		must(err)
		add, err := m.Function("add")
		must(err)
		must(s.Launch(add, &Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}, Args: []uint64{4096, 1}}))
		err = s.Sync()
		fmt.Println("sync:", err, errors.Is(err, backend.ErrDeviceLost))
		_, err = ctx.Alloc(1)
		fmt.Println("alloc:", errors.Is(err, backend.ErrDeviceLost))
		_, err = s.Done()
		fmt.Println("done:", errors.Is(err, backend.ErrDeviceLost))
	})
	require.Contains(t, out, "sync: cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS (700)")
	require.Regexp(t, `(?s)sync: .* true\nalloc: true\ndone: true\n`, out)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Everything of a closed context, stream and module is ErrClosed, not a crash.

func TestClosed(t *testing.T) {
	ctx := open(t)
	s := newStream(t, ctx)
	add := kernel(t, load(t, ctx), "add")
	l := &Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}, Args: []uint64{0, 0}}
	e, err := ctx.NewEvent(false)
	require.NoError(t, err)
	require.NoError(t, e.Close())

	closed, err := ctx.NewStream()
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	require.NoError(t, closed.Close())
	_, ended := closed.EndCapture()
	_, done := closed.Done()
	for i, err := range []error{closed.Upload(0, nil), closed.Download(nil, 0), closed.UploadPinned(0, nil), closed.DownloadPinned(nil, 0),
		closed.Copy(0, 0, 1), closed.Fill8(0, 0, 1), closed.Launch(add, l), closed.Record(e), closed.Wait(e), closed.Sync(),
		closed.BeginCapture(), ended, done} {
		require.ErrorIs(t, err, backend.ErrClosed, i)
	}

	system, err := System()
	require.NoError(t, err)
	second, err := system.Open(0, 0)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	_, alloc := second.Alloc(1)
	_, zero := second.Alloc(0)
	_, host := second.AllocHost(1)
	_, loaded := second.Load("", nil)
	_, stream := second.NewStream()
	_, wrap := second.WrapStream(0)
	_, event := second.NewEvent(true)
	for i, err := range []error{alloc, zero, host, loaded, stream, wrap, event, second.Free(1), second.Free(0), second.FreeHost(nil), second.Sync()} {
		require.ErrorIs(t, err, backend.ErrClosed, i)
	}
	require.NoError(t, s.Sync())
}
