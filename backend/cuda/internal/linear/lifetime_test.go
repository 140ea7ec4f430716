package linear

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/cuda/internal/emulator"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// small is a layer and rows that run in moments.
func small() cell {
	return cell{bits: 4, groups: "64", k: 128, n: 40, m: 3, x: dtype.F16, y: dtype.F32, scales: dtype.F16, zeros: "explicit"}
}

// lose breaks the device in a launch and gives its error.
func lose(t *testing.T, r *rig, l backend.Layer, o operand) error {
	first := l.Apply(r.stream, o.y, o.x, o.workspace)
	require.ErrorIs(t, first, backend.ErrDeviceLost)
	return first
}

// staysLost requires that every use of the device is the first error, and that
// everything can be closed.
func (r *rig) staysLost(t *testing.T, first error, l backend.Layer, o operand) {
	uses := map[string]func() error{
		"Apply":       func() error { return l.Apply(r.stream, o.y, o.x, o.workspace) },
		"Upload":      func() error { return r.stream.Upload(o.x.Span, make([]byte, o.x.Bytes)) },
		"Download":    func() error { return r.stream.Download(make([]byte, o.y.Bytes), o.y.Span) },
		"Sync":        func() error { return r.stream.Sync(context.Background()) },
		"Alloc":       func() error { _, err := r.dev.Alloc(16); return err },
		"NewStream":   func() error { _, err := r.dev.NewStream(); return err },
		"Mem":         func() error { _, _, err := r.dev.Mem(); return err },
		"Record":      func() error { _, err := r.stream.Record(); return err },
		"Prepare":     func() error { linear, _ := small().layer(t, true); return prepareOnly(t, r, linear) },
		"second time": func() error { return l.Apply(r.stream, o.y, o.x, o.workspace) },
	}
	for name, use := range uses {
		err := use()
		require.ErrorIs(t, err, backend.ErrDeviceLost, name)
		require.Contains(t, err.Error(), first.Error(), name)
	}
	for name, one := range map[string]interface{ Close() error }{"layer": l, "x": o.x.Buffer, "y": o.y.Buffer, "workspace": o.workspace.Buffer, "stream": r.stream} {
		require.NotErrorIs(t, one.Close(), backend.ErrBusy, name)
		require.NoError(t, one.Close(), "%s, again", name)
	}
	require.Equal(t, backend.Alive{}, r.dev.(backend.Counter).Alive())
	require.NotErrorIs(t, r.dev.Close(), backend.ErrBusy)
	require.NoError(t, r.dev.Close())
}

func prepareOnly(t testing.TB, r *rig, l *quant.Linear) error {
	s, err := backend.NewSpec(l, backend.Request{X: dtype.F16, MaxRows: 1})
	require.NoError(t, err)
	_, err = choose(t, r, s, "").Prepare(context.Background(), r.dev, l, s)
	return err
}

// TestFaultLosesDevice frees weights under a layer.
func TestFaultLosesDevice(t *testing.T) {
	c := small()
	l, x := c.layer(t, true)
	d := &tap{Driver: interpreter}
	r := open(t, d, backend.OpenOptions{})
	made, _ := r.prepare(l, c.x, c.y, c.m, "")
	o := r.operands(made, c.m, 0, 0)
	r.put(o.x, x)
	require.NoError(t, made.Apply(r.stream, o.y, o.x, o.workspace))
	require.NoError(t, d.opened[0].Free(driver.Ptr(made.(*layer).fixed.Weights)))
	first := lose(t, r, made, o)
	require.Contains(t, first.Error(), "use after free")
	r.staysLost(t, first, made, o)

	// Another device of the same driver knows nothing of it.
	other := open(t, d, backend.OpenOptions{})
	again, _ := other.prepare(l, c.x, c.y, c.m, "")
	require.NoError(t, again.Close())
	other.close()
}

// TestStickyErrorLosesDevice has a driver answer 700 once.
func TestStickyErrorLosesDevice(t *testing.T) {
	c := small()
	l, _ := c.layer(t, true)
	d := newStandin()
	r := open(t, d, backend.OpenOptions{})
	made, _ := r.prepare(l, c.x, c.y, c.m, "")
	o := r.operands(made, c.m, 0, 0)
	d.launched = func(string, *driver.Launch) error {
		return &driver.Error{Call: "cuLaunchKernel", Code: 700, Name: "CUDA_ERROR_ILLEGAL_ADDRESS", Text: "an illegal memory access was encountered"}
	}
	first := lose(t, r, made, o)
	d.launched = nil
	require.Contains(t, first.Error(), "cuLaunchKernel: CUDA_ERROR_ILLEGAL_ADDRESS (700)")
	r.staysLost(t, first, made, o)
	d.left(t, 0, map[string]int{})
}

// TestLaunchErrorsPass are those that lose nothing.
func TestLaunchErrorsPass(t *testing.T) {
	c := small()
	l, _ := c.layer(t, true)
	d := newStandin()
	r := open(t, d, backend.OpenOptions{})
	made, _ := r.prepare(l, c.x, c.y, c.m, "")
	o := r.operands(made, c.m, 0, 0)
	d.launched = func(string, *driver.Launch) error {
		return &driver.Error{Call: "cuLaunchKernel", Code: 701, Name: "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"}
	}
	err := made.Apply(r.stream, o.y, o.x, o.workspace)
	require.ErrorContains(t, err, "OUT_OF_RESOURCES")
	require.NotErrorIs(t, err, backend.ErrDeviceLost)
	d.launched = nil
	require.NoError(t, made.Apply(r.stream, o.y, o.x, o.workspace))
	o.close(t)
	require.NoError(t, made.Close())
	r.close()
}

// TestOutOfMemorySaysSizes, whether the limit is ours or the device's.
func TestOutOfMemorySaysSizes(t *testing.T) {
	l := plainLinear(t, 4096, 4096, 4, uniform(t, 4096, 128), false, false)
	config := interpreter.Config
	config.MemoryLimit = 1 << 20
	for name, r := range map[string]*rig{
		"our limit":    open(t, interpreter, backend.OpenOptions{MemoryLimit: 1 << 20}),
		"the device's": open(t, &emulator.Driver{Config: config}, backend.OpenOptions{}),
	} {
		held := r.alloc(1000)
		err := prepareOnly(t, r, l)
		require.ErrorIs(t, err, backend.ErrOutOfMemory, name)
		require.NotErrorIs(t, err, backend.ErrDeviceLost, name)
		require.Contains(t, err.Error(), "8651264 bytes", name) // bricks 8 MiB, scales 256 KiB, groups 512
		require.Contains(t, err.Error(), "1047576 ", name)
		require.Equal(t, backend.Alive{Buffers: 1, Bytes: 1000, Streams: 1}, r.dev.(backend.Counter).Alive(), name)
		require.NoError(t, held.Close())
		r.close()
	}
}

// TestCancelledUpload ends Prepare between two pieces of the weights.
func TestCancelledUpload(t *testing.T) {
	const n, k = 10 << 10, 4096 // three pieces, the last one short
	l := plainLinear(t, n, k, 4, uniform(t, k, 128), false, false)
	s, err := backend.NewSpec(l, backend.Request{X: dtype.F16, MaxRows: 1})
	require.NoError(t, err)
	d := newStandin()
	r := open(t, d, backend.OpenOptions{})
	before := map[string]int{"streams": 1}
	for after := 1; after <= 3; after++ {
		ctx, cancel := context.WithCancel(context.Background())
		pieces, bytes := 0, 0
		d.sent = func(n int) {
			pieces, bytes = pieces+1, bytes+n
			if pieces == after {
				cancel()
			}
		}
		_, err := choose(t, r, s, "").Prepare(ctx, r.dev, l, s)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, after, pieces)
		require.Equal(t, min(after*stagingBytes, n*k/2), bytes)
		d.left(t, 0, before)
		require.Equal(t, backend.Alive{Streams: 1}, r.dev.(backend.Counter).Alive())
		cancel()
	}
	d.sent = nil
	made, err := choose(t, r, s, "").Prepare(context.Background(), r.dev, l, s)
	require.NoError(t, err)
	d.left(t, 1, before)
	require.NoError(t, made.Close())
	r.close()
	d.left(t, 0, map[string]int{})
}
