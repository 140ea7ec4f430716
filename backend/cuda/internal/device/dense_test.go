package device_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/cuda/internal/emulator"
	"github.com/bitlane/bitlane/dtype"
)

var product = driver.Product{Type: dtype.BF16, Y: dtype.F32, N: 3, K: 8, XStride: 8, WStride: 8, YStride: 8, Alpha: 2, MaxRows: 2}

func open(t *testing.T, stand driver.Driver) *device.Device {
	t.Helper()
	b := &device.Backend{ID: "cuda-emulated", Emulated: true, System: func() (driver.Driver, error) { return stand, nil }}
	d, err := b.Open(t.Context(), "0", backend.OpenOptions{})
	require.NoError(t, err)
	listed, err := b.Devices(t.Context())
	require.NoError(t, err)
	require.Equal(t, listed[0], d.Info())
	return d.(*device.Device)
}

// ones returns memory of the device that is full of the number 1 in bfloat16.
func ones(t *testing.T, s *device.Stream) (backend.Buffer, driver.Ptr) {
	t.Helper()
	b, err := s.Device().Alloc(256)
	require.NoError(t, err)
	raw := make([]byte, 256)
	for i := range 128 {
		dtype.BF16.Put(raw, i, 1)
	}
	require.NoError(t, s.Upload(backend.Span{Buffer: b, Bytes: 256}, raw))
	return b, driver.Ptr(b.Addr())
}

func TestNoDenseLibrary(t *testing.T) {
	d := open(t, &emulator.Driver{WithoutDense: true})
	_, err := d.PlanDense(dtype.F16, 8, 8, 1)
	require.ErrorIs(t, err, backend.ErrUnsupported)
	require.ErrorContains(t, err, "told to have no dense product")
	require.NoError(t, d.Close())
}

// TestPlanDense multiplies by the contract's call, and refuses wrong arguments.
func TestPlanDense(t *testing.T) {
	d := open(t, new(emulator.Driver))
	_, err := d.PlanDense(dtype.F32, 8, 8, 2)
	require.ErrorIs(t, err, backend.ErrDType)
	_, err = d.PlanDense(dtype.F16, 8, 7, 2)
	require.ErrorIs(t, err, backend.ErrUnsupported)
	p, err := d.PlanDense(dtype.BF16, 8, 16, 2)
	require.NoError(t, err)
	st, err := d.NewStream()
	require.NoError(t, err)
	one, _ := ones(t, st.(*device.Stream))
	out, _ := ones(t, st.(*device.Stream))
	room, err := d.Alloc(p.Workspace())
	require.NoError(t, err)
	x := backend.Dense(backend.Span{Buffer: one, Bytes: 64}, dtype.BF16, 2, 16)
	y := backend.Dense(backend.Span{Buffer: out, Bytes: 32}, dtype.BF16, 2, 8)
	w, ws := backend.Span{Buffer: one, Bytes: 256}, backend.Span{Buffer: room, Bytes: p.Workspace()}
	require.NoError(t, p.Multiply(st, y, x, w, ws))
	got := make([]byte, 32)
	require.NoError(t, st.Download(got, backend.Span{Buffer: out, Bytes: 32}))
	for i := range 16 {
		require.Equal(t, float32(16), dtype.BF16.At(got, i))
	}
	wrong := func(class error, y, x backend.Tensor, w, ws backend.Span) {
		t.Helper()
		require.ErrorIs(t, p.Multiply(st, y, x, w, ws), class)
	}
	gap, few, other := x, y, x
	gap.Stride++
	few.Rows = 1
	other.DType = dtype.F16
	wrong(backend.ErrShape, y, gap, w, ws)
	wrong(backend.ErrShape, few, x, w, ws)
	wrong(backend.ErrShape, y, other, w, ws)
	wrong(backend.ErrShape, y, x, backend.Span{Buffer: one, Offset: 240}, ws)
	wrong(backend.ErrShape, y, x, w, backend.Span{Buffer: room, Offset: 256})
	for _, part := range []*backend.Span{&x.Span, &y.Span, &w, &ws} { // the buffers may go on
		all := *part
		part.Bytes--
		wrong(backend.ErrShape, y, x, w, ws)
		*part = all
	}
	over := y
	over.Buffer, over.Offset = one, 32
	wrong(backend.ErrShape, over, x, w, ws)
	second := open(t, new(emulator.Driver))
	foreign, err := second.NewStream()
	require.NoError(t, err)
	require.ErrorIs(t, p.Multiply(foreign, y, x, w, ws), backend.ErrDevice)
	for _, c := range []interface{ Close() error }{foreign, second, p, p, one, out, room, st, d} {
		require.NoError(t, c.Close())
	}
}

func TestPlans(t *testing.T) {
	d := open(t, new(emulator.Driver))
	d.FailAlloc(0)
	_, err := d.Plan(product)
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.Equal(t, 1, d.FailAlloc(-1))

	plan, err := d.Plan(product)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Name())
	err = d.Close()
	require.ErrorIs(t, err, backend.ErrBusy)
	require.ErrorContains(t, err, "1 plans still open")

	st, err := d.NewStream()
	require.NoError(t, err)
	s := st.(*device.Stream)
	x, xAt := ones(t, s)
	y, yAt := ones(t, s)
	workspace, err := d.Alloc(int(plan.Workspace()))
	require.NoError(t, err)
	at := driver.Ptr(workspace.Addr())
	require.Zero(t, testing.AllocsPerRun(1, func() {
		if s.Multiply(plan, 0, 0, 0, 0, 0) != nil {
			panic("failed")
		}
	}))
	require.NoError(t, s.Multiply(plan, 1, xAt, xAt, yAt, at))
	got := make([]byte, 12)
	require.NoError(t, s.Download(got, backend.Span{Buffer: y, Bytes: 12}))
	for i := range 3 {
		require.Equal(t, float32(16), dtype.F32.At(got, i))
	}
	require.ErrorIs(t, s.Multiply(plan, 3, xAt, xAt, yAt, at), backend.ErrShape)

	// What faults loses the device, and a plan of it can still be closed.
	require.ErrorIs(t, s.Multiply(plan, 1, 4096, xAt, yAt, at), backend.ErrDeviceLost)
	_, err = d.Plan(product)
	require.ErrorIs(t, err, backend.ErrDeviceLost)
	require.NoError(t, plan.Close())
	require.NoError(t, plan.Close())
	require.ErrorIs(t, s.Multiply(plan, 1, xAt, xAt, yAt, at), backend.ErrClosed)
	for _, c := range []interface{ Close() error }{x, y, workspace} {
		require.NoError(t, c.Close())
	}
	require.ErrorIs(t, s.Close(), backend.ErrDeviceLost)
	require.NoError(t, d.Close())
	_, err = d.Plan(product)
	require.Error(t, err)
}
