package linear

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/cuda/internal/emulator"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/gpuvm/ptx"
	"github.com/bitlane/bitlane/quant"
)

// interpreter is one device that runs PTX, block after block: tests run side by
// side already. It parses each module once for all of them.
var interpreter = &emulator.Driver{Config: ptx.Config{Workers: 1}}

// tap is a driver that shows the contexts that it opened.
type tap struct {
	driver.Driver
	opened []driver.Context
}

func (d *tap) Open(ordinal int, native uintptr) (driver.Context, error) {
	c, err := d.Driver.Open(ordinal, native)
	d.opened = append(d.opened, c)
	return c, err
}

// rig is an open device with a stream.
type rig struct {
	testing.TB
	dev    backend.Device
	stream backend.Stream
}

func open(t testing.TB, d driver.Driver, o backend.OpenOptions) *rig {
	b := &device.Backend{ID: "cuda-test", Emulated: true, Table: Kernels(), Points: Points(), System: func() (driver.Driver, error) { return d, nil }}
	dev, err := b.Open(context.Background(), "", o)
	require.NoError(t, err)
	s, err := dev.NewStream()
	require.NoError(t, err)
	return &rig{t, dev, s}
}

// close closes the stream and the device, which nothing may use any more.
func (r *rig) close() {
	require.NoError(r, r.stream.Close())
	require.Equal(r, backend.Alive{}, r.dev.(backend.Counter).Alive())
	require.NoError(r, r.dev.Close())
}

// choose gives the first kernel that takes the Spec, of those with that end of
// their names; "" is any.
func choose(t testing.TB, r *rig, s backend.Spec, end string) backend.Kernel {
	for _, k := range Kernels() {
		if strings.HasSuffix(k.Name(), end) && k.Supports(r.dev.Info(), s) == nil {
			return k
		}
	}
	require.Fail(t, "no kernel", "%v", s.Scheme())
	return nil
}

func (r *rig) prepare(l *quant.Linear, x, y dtype.DType, rows int, end string) (backend.Layer, backend.Kernel) {
	s, err := backend.NewSpec(l, backend.Request{X: x, Y: y, MaxRows: rows})
	require.NoError(r, err)
	k := choose(r, r, s, end)
	layer, err := k.Prepare(context.Background(), r.dev, l, s)
	require.NoError(r, err)
	return layer, k
}

func (r *rig) alloc(bytes int) backend.Buffer {
	b, err := r.dev.Alloc(bytes)
	require.NoError(r, err)
	return b
}

// An operand is memory for the arguments of an Apply, each of the exact size.
type operand struct {
	x, y      backend.Tensor
	workspace backend.Span
}

// operands allocates for that many rows. Rows of x begin skip elements into its
// memory and are gap elements apart from each other.
func (r *rig) operands(l backend.Layer, rows, skip, gap int) operand {
	s := l.Spec()
	tensor := func(t dtype.DType, cols, skip int) backend.Tensor {
		v := backend.Tensor{DType: t, Rows: rows, Cols: cols, Stride: cols + gap}
		v.Span = backend.Span{Buffer: r.alloc(skip*t.Size() + v.Extent()), Offset: skip * t.Size(), Bytes: v.Extent()}
		return v
	}
	return operand{tensor(s.X, s.K, skip), tensor(s.Y, s.N, 0), backend.Whole(r.alloc(l.Workspace(rows)))}
}

func (o operand) close(t testing.TB) {
	for _, b := range []backend.Buffer{o.x.Buffer, o.y.Buffer, o.workspace.Buffer} {
		require.NoError(t, b.Close())
	}
}

// put writes x; what lies between its rows stays undefined.
func (r *rig) put(to backend.Tensor, x []float32) {
	size := to.DType.Size()
	row := make([]byte, to.Cols*size)
	for i := range to.Rows {
		dtype.Encode(to.DType, row, x[i*to.Cols:(i+1)*to.Cols])
		require.NoError(r, r.stream.Upload(backend.Span{Buffer: to.Buffer, Offset: to.Offset + i*to.Stride*size, Bytes: len(row)}, row))
	}
}

// get reads y.
func (r *rig) get(s backend.Stream, from backend.Tensor) []float32 {
	size := from.DType.Size()
	all := make([]float32, from.Rows*from.Cols)
	row := make([]byte, from.Cols*size)
	for i := range from.Rows {
		require.NoError(r, s.Download(row, backend.Span{Buffer: from.Buffer, Offset: from.Offset + i*from.Stride*size, Bytes: len(row)}))
		dtype.Decode(from.DType, all[i*from.Cols:(i+1)*from.Cols], row)
	}
	return all
}
