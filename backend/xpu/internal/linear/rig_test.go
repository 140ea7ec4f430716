package linear

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/device"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/backend/xpu/internal/standin"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// fake is a backend over a stand-in.
func fake(lib *standin.Library) *device.Backend {
	return Backend("xpu-test", lib.Kind, func() (driver.Library, error) { return lib, nil })
}

func newStandin() *standin.Library {
	return &standin.Library{Engines: 1, Kind: driver.CPU, Says: driver.Facts{Major: 3, Minor: 13, Patch: 2, CPURuntime: "Go", GPURuntime: "none"}}
}

// rig is an open device with a stream.
type rig struct {
	testing.TB
	lib    *standin.Library
	dev    backend.Device
	stream backend.Stream
}

func open(t testing.TB, lib *standin.Library, o backend.OpenOptions) *rig {
	dev, err := fake(lib).Open(context.Background(), "", o)
	require.NoError(t, err)
	s, err := dev.NewStream()
	require.NoError(t, err)
	return &rig{t, lib, dev, s}
}

// close closes the stream and the device, which nothing may use any more.
func (r *rig) close() {
	require.NoError(r, r.stream.Close())
	require.Equal(r, backend.Alive{}, r.dev.(backend.Counter).Alive())
	require.NoError(r, r.dev.Close())
	require.Empty(r, r.lib.Alive())
}

// prepare makes a layer of 4-bit weights with 8-bit activations.
func (r *rig) prepare(l *quant.Linear, rows int) (backend.Layer, error) {
	s := specOf(r, l, quant.Int8TokenXPU, rows)
	for _, k := range fake(r.lib).Table {
		if k.Supports(r.dev.Info(), s) == nil {
			return k.Prepare(context.Background(), r.dev, l, s)
		}
	}
	require.Fail(r, "no kernel", "%v", s.Scheme())
	return nil, nil
}

// operands are memory of the exact size for the arguments of an Apply.
type operands struct {
	x, y backend.Tensor
	ws   backend.Span
}

func (r *rig) operands(l backend.Layer, rows int) (o operands) {
	s := l.Spec()
	alloc := func(bytes int) backend.Span {
		b, err := r.dev.Alloc(bytes)
		require.NoError(r, err)
		return backend.Whole(b)
	}
	o.x = backend.Dense(alloc(rows*s.K*s.X.Size()), s.X, rows, s.K)
	o.y = backend.Dense(alloc(rows*s.N*s.Y.Size()), s.Y, rows, s.N)
	o.ws = alloc(l.Workspace(rows))
	x, raw := make([]float32, rows*s.K), make([]byte, o.x.Bytes)
	for i := range x {
		x[i] = float32((i*29)%31 - 15)
	}
	dtype.Encode(s.X, raw, x)
	require.NoError(r, r.stream.Upload(o.x.Span, raw))
	return o
}

func (o operands) close(t testing.TB) {
	for _, b := range []backend.Buffer{o.x.Buffer, o.y.Buffer, o.ws.Buffer} {
		require.NoError(t, b.Close())
	}
}

// read returns y as bytes.
func (r *rig) read(s backend.Stream, o operands) []byte {
	out := make([]byte, o.y.Bytes)
	require.NoError(r, s.Download(out, o.y.Span))
	return out
}
