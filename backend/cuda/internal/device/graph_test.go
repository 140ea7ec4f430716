package device_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/cuda/internal/emulator"
	"github.com/bitlane/bitlane/dtype"
)

// recording is a device with a layer that does nothing, a stream that records,
// and a second one that has joined it.
type recording struct {
	*testing.T
	dev           *device.Device
	layer         *device.Layer
	first, second backend.Stream
	x, y          backend.Tensor
}

func record(t *testing.T, stand driver.Driver) *recording {
	t.Helper()
	b := &device.Backend{ID: "cuda-emulated", Emulated: true, System: func() (driver.Driver, error) { return stand, nil }}
	d, err := b.Open(t.Context(), "0", backend.OpenOptions{})
	require.NoError(t, err)
	r := &recording{T: t, dev: d.(*device.Device)}
	r.layer, err = device.NewLayer(r.dev, backend.Spec{N: 1, K: 1, X: dtype.F32, Y: dtype.F32, MaxRows: 1})
	require.NoError(t, err)
	for _, to := range []*backend.Stream{&r.first, &r.second} {
		*to, err = d.NewStream()
		require.NoError(t, err)
	}
	for _, to := range []*backend.Tensor{&r.x, &r.y} {
		memory, err := d.Alloc(4)
		require.NoError(t, err)
		*to = backend.Dense(backend.Whole(memory), dtype.F32, 1, 1)
	}
	require.NoError(t, r.capture().BeginCapture())
	r.join(r.second, r.first)
	return r
}

func (r *recording) capture() backend.GraphCapture { return r.first.(backend.GraphCapture) }

// join has one stream wait for what another has recorded.
func (r *recording) join(s, behind backend.Stream) {
	e, err := behind.Record()
	require.NoError(r, err)
	require.NoError(r, s.Wait(e))
	require.NoError(r, e.Close())
}

// apply uses the layer.
func (r *recording) apply(s backend.Stream) error {
	_, err := r.layer.Enter(s, r.y, r.x, backend.Span{}, 0)
	if err == nil {
		r.layer.Leave()
	}
	return err
}

// work records something, as an Apply would.
func (r *recording) work(s backend.Stream) { require.NoError(r, s.Copy(r.y.Span, r.x.Span)) }

// TestGraphOfGraphs records the launch of a graph: the outer one needs the
// inner one's layers.
func TestGraphOfGraphs(t *testing.T) {
	r := record(t, new(emulator.Driver))
	require.NoError(t, r.apply(r.first))
	inner, err := r.capture().EndCapture()
	require.NoError(t, err)
	require.NoError(t, r.capture().BeginCapture())
	require.NoError(t, inner.Launch(r.first))
	outer, err := r.capture().EndCapture()
	require.NoError(t, err)
	require.NoError(t, inner.Close())
	require.ErrorIs(t, r.layer.Close(), backend.ErrBusy)
	require.NoError(t, outer.Close())
	require.NoError(t, r.layer.Close())
}

// TestThirdStream has a stream that nobody of the capture waits for wait for
// one that joined it: the first is not behind that one's work by it.
func TestThirdStream(t *testing.T) {
	for _, back := range []bool{false, true} {
		r := record(t, new(emulator.Driver))
		third, err := r.dev.NewStream()
		require.NoError(t, err)
		r.work(r.second)
		r.join(third, r.second)
		if back {
			r.join(r.first, third)
		}
		_, err = r.capture().EndCapture()
		if back {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "UNJOINED")
		}
	}
}

// TestJoinedStreamOfALostDevice closes in any order what no EndCapture can end.
func TestJoinedStreamOfALostDevice(t *testing.T) {
	r := record(t, new(emulator.Driver))
	third, err := r.dev.NewStream()
	require.NoError(t, err)
	plan, err := r.dev.Plan(product)
	require.NoError(t, err)
	require.ErrorIs(t, third.(*device.Stream).Multiply(plan, 1, 4096, 4096, 4096, 8192), backend.ErrDeviceLost)
	_, err = r.capture().EndCapture()
	require.ErrorIs(t, err, backend.ErrDeviceLost)
	require.ErrorIs(t, r.second.Close(), backend.ErrDeviceLost)
	require.True(t, r.second.Closed())
}

// TestEndWhileJoinedApplies ends a capture, or closes its stream, while another
// goroutine applies a layer to the stream that joined: no layer is held for
// ever by a graph that there is not.
func TestEndWhileJoinedApplies(t *testing.T) {
	for i := range 100 {
		r := record(t, new(emulator.Driver))
		r.work(r.second) // so that there will be no graph
		var applied sync.WaitGroup
		applied.Go(func() {
			for range 50 {
				_ = r.apply(r.second) // may find that the stream records no more
			}
		})
		if i%2 == 0 {
			_, err := r.capture().EndCapture()
			require.Error(t, err)
		} else {
			require.NoError(t, r.first.Close())
		}
		applied.Wait()
		require.NoError(t, r.layer.Close())
	}
}

// TestApplyWhileClosing is what TestEndWhileJoinedApplies tries by chance.
func TestApplyWhileClosing(t *testing.T) {
	stand := &hooked{Driver: new(emulator.Driver)}
	r := record(t, stand)
	stand.ended = func() { require.NoError(t, r.apply(r.second)) }
	require.NoError(t, r.first.Close())
	require.NoError(t, r.second.Close())
	require.NoError(t, r.layer.Close())
}
