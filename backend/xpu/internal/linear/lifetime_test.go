package linear

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
)

// failing fails one call, once it is named.
type failing struct {
	call string
	err  error
}

func (f *failing) fault(call string) error {
	if call == f.call {
		return f.err
	}
	return nil
}

// TestLostDeviceStaysLost has oneDNN's run-time fail in a call.
func TestLostDeviceStaysLost(t *testing.T) {
	for _, call := range []string{"apply", "upload", "download", "stream_wait"} {
		lib, f := newStandin(), &failing{}
		lib.Fault = f.fault
		r := open(t, lib, backend.OpenOptions{})
		l, err := r.prepare(small(t, 8, 64, 4, 32, true), 4)
		require.NoError(t, err)
		o := r.operands(l, 3)
		require.NoError(t, l.Apply(r.stream, o.y, o.x, o.ws))
		f.call, f.err = call, &driver.Error{Call: call, Class: driver.Failed, Text: "PI_ERROR_DEVICE_LOST"}
		uses := map[string]func() error{
			"apply":       func() error { return l.Apply(r.stream, o.y, o.x, o.ws) },
			"upload":      func() error { return r.stream.Upload(o.x.Span, make([]byte, o.x.Bytes)) },
			"download":    func() error { return r.stream.Download(make([]byte, o.y.Bytes), o.y.Span) },
			"stream_wait": func() error { return r.stream.Sync(context.Background()) },
			"Alloc":       func() error { _, err := r.dev.Alloc(16); return err },
			"NewStream":   func() error { _, err := r.dev.NewStream(); return err },
			"Mem":         func() error { _, _, err := r.dev.Mem(); return err },
			"Record":      func() error { _, err := r.stream.Record(); return err },
			"Prepare":     func() error { _, err := r.prepare(small(t, 8, 64, 4, 32, true), 4); return err },
		}
		first := uses[call]()
		require.ErrorIs(t, first, backend.ErrDeviceLost, call)
		require.ErrorContains(t, first, "PI_ERROR_DEVICE_LOST")
		f.call = ""
		for name, use := range uses {
			require.EqualError(t, use(), first.Error(), "%s, then %s", call, name)
		}
		for _, one := range []interface{ Close() error }{l, o.x.Buffer, o.y.Buffer, o.ws.Buffer, r.stream} {
			require.NotErrorIs(t, one.Close(), backend.ErrBusy)
			require.NoError(t, one.Close(), "again")
		}
		require.NoError(t, r.dev.Close())
		require.Empty(t, lib.Alive(), call)
	}
}

// TestFailuresOfPrepareLeaveNothing fails each call of it.
func TestFailuresOfPrepareLeaveNothing(t *testing.T) {
	for _, call := range []string{"layer_prepare", "memory_alloc", "stream_create", "upload"} {
		lib, f := newStandin(), &failing{}
		lib.Fault = f.fault
		r := open(t, lib, backend.OpenOptions{})
		f.call, f.err = call, &driver.Error{Call: call, Class: driver.OutOfMemory, Text: "no more"}
		_, err := r.prepare(small(t, 8, 64, 4, 32, true), 4)
		require.ErrorIs(t, err, backend.ErrOutOfMemory, call)
		f.call = ""
		require.Equal(t, backend.Alive{Streams: 1}, r.dev.(backend.Counter).Alive(), call)
		require.Equal(t, map[string]int{"engine": 1, "stream": 1}, lib.Alive(), call)
		l, err := r.prepare(small(t, 8, 64, 4, 32, true), 4)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		r.close()
	}
}

// TestOutOfMemorySaysSizes, whether the limit is ours or the device's.
func TestOutOfMemorySaysSizes(t *testing.T) {
	theirs := newStandin()
	theirs.Memory = 1 << 16
	for name, r := range map[string]*rig{
		"our limit":    open(t, newStandin(), backend.OpenOptions{MemoryLimit: 1 << 16}),
		"the device's": open(t, theirs, backend.OpenOptions{}),
	} {
		_, err := r.prepare(small(t, 512, 512, 4, 128, false), 4)
		require.ErrorIs(t, err, backend.ErrOutOfMemory, name)
		require.ErrorContains(t, err, "135168 bytes", name) // codes 128 KiB, scales 4 KiB
		r.close()
	}
}

// TestBindingsFollowLayersAndStreams: whichever is closed first.
func TestBindingsFollowLayersAndStreams(t *testing.T) {
	r := open(t, newStandin(), backend.OpenOptions{})
	one, err := r.prepare(small(t, 8, 64, 4, 32, true), 4)
	require.NoError(t, err)
	two, err := r.prepare(small(t, 9, 64, 4, 32, true), 4)
	require.NoError(t, err)
	second, err := r.dev.NewStream()
	require.NoError(t, err)
	for _, l := range []backend.Layer{one, two} {
		o := r.operands(l, 2)
		for range 3 {
			require.NoError(t, l.Apply(r.stream, o.y, o.x, o.ws))
			require.NoError(t, l.Apply(second, o.y, o.x, o.ws))
		}
		o.close(t)
	}
	require.Equal(t, 4, r.lib.Alive()["binding"])
	require.NoError(t, one.Close())
	require.Equal(t, 2, r.lib.Alive()["binding"])
	require.NoError(t, second.Close())
	require.Equal(t, 1, r.lib.Alive()["binding"])
	require.NoError(t, two.Close())
	r.close()
}

// TestManyGoroutines apply one layer on streams of their own, and on one.
func TestManyGoroutines(t *testing.T) {
	r := open(t, newStandin(), backend.OpenOptions{})
	l, err := r.prepare(small(t, 8, 64, 4, 32, true), 4)
	require.NoError(t, err)
	o := r.operands(l, 4)
	require.NoError(t, l.Apply(r.stream, o.y, o.x, o.ws))
	want := r.read(r.stream, o)
	var wg sync.WaitGroup
	for range 8 {
		mine := r.operands(l, 4)
		st, err := r.dev.NewStream()
		require.NoError(t, err)
		wg.Go(func() {
			for range 20 {
				if err := l.Apply(st, mine.y, mine.x, mine.ws); err != nil {
					t.Error(err)
				}
			}
			if got := r.read(st, mine); string(got) != string(want) {
				t.Error("another result")
			}
			if err := st.Close(); err != nil {
				t.Error(err)
			}
			mine.close(t)
		})
	}
	wg.Wait()
	o.close(t)
	require.NoError(t, l.Close())
	r.close()
}

// TestSyncEndsWithContext: the wait goes on behind it.
func TestSyncEndsWithContext(t *testing.T) {
	lib := newStandin()
	r := open(t, lib, backend.OpenOptions{})
	held := make(chan struct{})
	lib.Fault = func(call string) error {
		if call == "stream_wait" {
			<-held
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	go cancel()
	require.ErrorIs(t, r.stream.Sync(ctx), context.Canceled)
	close(held)
	require.NoError(t, r.stream.Sync(context.Background()))
	r.close()
}

// TestEventOfAStreamThatCloses: who waits for it waits as Close does.
func TestEventOfAStreamThatCloses(t *testing.T) {
	lib := newStandin()
	r := open(t, lib, backend.OpenOptions{})
	st, err := r.dev.NewStream()
	require.NoError(t, err)
	e, err := st.Record()
	require.NoError(t, err)
	closing, held := make(chan struct{}), make(chan struct{})
	var worked atomic.Bool
	var once sync.Once
	lib.Fault = func(call string) error {
		if call == "stream_wait" {
			once.Do(func() {
				close(closing)
				<-held
				worked.Store(true)
			})
		}
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, st.Close()) })
	<-closing
	wg.Go(func() {
		assert.NoError(t, r.stream.Wait(e))
		assert.True(t, worked.Load(), "Wait returned before the work was done")
	})
	time.Sleep(20 * time.Millisecond) // a Wait that does not wait is then over
	close(held)
	wg.Wait()
	require.NoError(t, e.Close())
	r.close()
}

// TestCloseWhileSomethingIsMade: the engine stays until it is.
func TestCloseWhileSomethingIsMade(t *testing.T) {
	lib := newStandin()
	r := open(t, lib, backend.OpenOptions{})
	require.NoError(t, r.stream.Close())
	mine := make([]byte, 16)
	for call, makes := range map[string]func() (interface{ Close() error }, error){
		"stream_create": func() (interface{ Close() error }, error) { return r.dev.NewStream() },
		"pointer_check": func() (interface{ Close() error }, error) {
			return r.dev.WrapBuffer(unsafe.Pointer(&mine[0]), len(mine))
		},
		"memory_alloc": func() (interface{ Close() error }, error) { return r.dev.Alloc(16) },
	} {
		asked := false
		lib.Fault = func(did string) error {
			if did == call {
				asked = true
				require.ErrorIs(t, r.dev.Close(), backend.ErrBusy, call)
			}
			return nil
		}
		made, err := makes()
		require.NoError(t, err)
		require.True(t, asked, call)
		require.NoError(t, made.Close())

		lib.Fault = func(string) error { return &driver.Error{Class: driver.Unimplemented} }
		_, err = makes()
		require.Error(t, err)
		require.Equal(t, backend.Alive{}, r.dev.(backend.Counter).Alive(), call)
	}
	lib.Fault = nil
	require.NoError(t, r.dev.Close())
	require.Empty(t, lib.Alive())
}

// TestCopyOfOverlappingRanges is refused, as nobody knows what it gives.
func TestCopyOfOverlappingRanges(t *testing.T) {
	r := open(t, newStandin(), backend.OpenOptions{})
	b, err := r.dev.Alloc(96)
	require.NoError(t, err)
	at := func(offset int) backend.Span { return backend.Span{Buffer: b, Offset: offset, Bytes: 32} }
	require.ErrorIs(t, r.stream.Copy(at(0), at(31)), backend.ErrShape)
	require.ErrorIs(t, r.stream.Copy(at(31), at(0)), backend.ErrShape)
	require.NoError(t, r.stream.Copy(at(0), at(32)))
	require.NoError(t, r.stream.Copy(at(5), at(5)))
	require.NoError(t, b.Close())
	r.close()
}
