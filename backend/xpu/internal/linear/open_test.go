package linear

import (
	"bytes"
	"context"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/device"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/backend/xpu/internal/standin"
	"github.com/bitlane/bitlane/quant"
)

// TestSelfTestRefusesWrongNumbers: the device, with what it gave.
func TestSelfTestRefusesWrongNumbers(t *testing.T) {
	lib := newStandin()
	lib.Spoil = func(y float32) float32 { return y * (1 + 0x1p-20) }
	_, err := fake(lib).Open(context.Background(), "0", backend.OpenOptions{})
	require.ErrorContains(t, err, "xpu-test:0 (oneDNN's CPU engine): refused: xpu_w4g_a8_onednn of oneDNN 3.13.2 (CPU Go, GPU none) computes wrongly: y[0,0] of the self-test is")
	require.ErrorContains(t, err, "(implementation standin)")
	require.Empty(t, lib.Alive())
}

// TestSelfTestLayer is not a test that everything passes.
func TestSelfTestLayer(t *testing.T) {
	l, x, want := testLayer()
	require.NoError(t, l.Check())
	seen := map[float32]bool{}
	for _, y := range want {
		seen[y] = true
	}
	require.Greater(t, len(seen), len(want)/2)
	for m := range testM {
		var most float32
		for _, v := range x[m*testK:][:testK] {
			most = max(most, v, -v)
		}
		require.Equal(t, float32(127), most, "the scale is 1")
	}
}

// TestReferenceImplementations are refused of GPUs, but where they are asked for.
func TestReferenceImplementations(t *testing.T) {
	gpu := func() *standin.Library {
		lib := newStandin()
		lib.Kind, lib.Impl = driver.GPU, "ocl:ref:any"
		return lib
	}
	lib := gpu()
	_, err := fake(lib).Open(context.Background(), "", backend.OpenOptions{})
	require.ErrorIs(t, err, backend.ErrUnsupported)
	for _, want := range []string{"ocl:ref:any", "wants one that is not oneDNN's reference", "set the tuning reference to 1", "newer oneDNN than 3.13.2"} {
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, lib.Alive())

	open(t, gpu(), backend.OpenOptions{Tuning: map[string]int{device.TuneReference: 1}}).close()
	cpu := gpu()
	cpu.Kind = driver.CPU
	open(t, cpu, backend.OpenOptions{}).close()

	// Exact activations alone have none but the reference.
	lib = gpu()
	lib.Implementation = func(p *driver.Plan) string {
		if p.Activations == driver.Exact {
			return "ocl:ref:any"
		}
		return "jit:gemm:any"
	}
	r := open(t, lib, backend.OpenOptions{})
	l, err := r.prepare(small(t, 8, 64, 4, 32, true), 4)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	exact := specOf(t, small(t, 8, 64, 4, 32, true), quant.Exact, 4)
	_, err = named(t, "xpu_w4g_a16_onednn").Prepare(context.Background(), r.dev, small(t, 8, 64, 4, 32, true), exact)
	require.ErrorIs(t, err, backend.ErrUnsupported)
	require.ErrorContains(t, err, "set the tuning reference to 1")
	r.close()

	// A large layer may have none where the self-test's has one.
	lib = gpu()
	lib.Impl = "jit:gemm:any"
	r = open(t, lib, backend.OpenOptions{})
	lib.Impl = "ocl:ref:any"
	_, err = r.prepare(small(t, 8, 64, 4, 32, true), 4)
	var refusal *backend.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "implementation", refusal.Reasons[0].Field)
	r.close()
}

// TestAbsences: what is said where there is a library and no device.
func TestAbsences(t *testing.T) {
	ctx := context.Background()
	lib := newStandin()
	lib.Engines = 0
	_, err := fake(lib).Devices(ctx)
	require.ErrorIs(t, err, backend.ErrNoDevice)
	require.ErrorContains(t, err, "no device: oneDNN 3.13.2 (CPU Go, GPU none) is there, but makes no CPU engine: engine_create: no engine 0")
	_, openErr := fake(lib).Open(ctx, "0", backend.OpenOptions{})
	require.EqualError(t, openErr, err.Error())

	f := &failing{"engine_create", &driver.Error{Call: "engine_create", Class: driver.Failed, Text: "runtime_error"}}
	lib = newStandin()
	lib.Kind, lib.Fault = driver.GPU, f.fault
	_, err = fake(lib).Devices(ctx)
	require.ErrorIs(t, err, backend.ErrNoDevice)
	require.ErrorContains(t, err, "driver not usable: oneDNN 3.13.2 (CPU Go, GPU none) is there, but the driver for a GPU engine is missing or fails: engine_create: runtime_error")

	lib = newStandin()
	lib.Says.OpenMP = true
	_, err = fake(lib).Devices(ctx)
	require.ErrorIs(t, err, backend.ErrNoDevice)
	require.ErrorContains(t, err, "OpenMP")
	lib.Kind = driver.GPU
	_, err = fake(lib).Devices(ctx)
	require.NoError(t, err, "a GPU does not care")

	lib = newStandin()
	lib.Engines = 3
	infos, err := fake(lib).Devices(ctx)
	require.NoError(t, err)
	require.Len(t, infos, 1, "there is one CPU")
	require.Equal(t, backend.DeviceInfo{Backend: "xpu-test", Family: "xpu", ID: "0", Name: "oneDNN's CPU engine", Arch: "cpu", Driver: "Go",
		Library: "oneDNN 3.13.2 (CPU Go, GPU none)", Units: 1, Emulated: true}, infos[0])
	lib.Kind, lib.Says.Minor = driver.GPU, 9
	infos, err = fake(lib).Devices(ctx)
	require.NoError(t, err)
	require.Len(t, infos, 3)
	require.Equal(t, "Intel GPU, through oneDNN", infos[2].Name)
	require.False(t, infos[2].Emulated)
	require.Contains(t, infos[2].Library, "oneDNN 3.9.2 (CPU Go, GPU none), older than 3.10")
	for _, id := range []string{"3", "-1", "01", "x", "99999999999999999999"} {
		_, err := fake(lib).Open(ctx, id, backend.OpenOptions{})
		require.ErrorIs(t, err, backend.ErrNoDevice, id)
	}
	_, err = fake(lib).Open(ctx, "", backend.OpenOptions{NativeContext: 1})
	require.ErrorIs(t, err, backend.ErrUnsupported)
	_, err = fake(lib).Open(ctx, "", backend.OpenOptions{Tuning: map[string]int{"reference": 2}})
	require.ErrorIs(t, err, backend.ErrUnsupported)
	require.Empty(t, lib.Alive())
}

// TestFootprintOfDevicesThatAreNot is an estimate; of others oneDNN is asked, once.
func TestFootprintOfDevicesThatAreNot(t *testing.T) {
	lib := newStandin()
	prepared := 0
	lib.Fault = func(call string) error {
		if call == "layer_prepare" {
			prepared++
		}
		return nil
	}
	s := specOf(t, small(t, 8, 64, 4, 32, true), quant.Int8TokenXPU, 16)
	k := fake(lib).Table[0]
	there := backend.DeviceInfo{Family: "xpu", ID: "0"}
	for range 3 {
		require.Equal(t, int64(256*16), k.Footprint(there, s).Workspace)
	}
	require.Equal(t, 1, prepared)
	require.Greater(t, k.Footprint(backend.DeviceInfo{Family: "xpu"}, s).Workspace, int64(16*64*5))
	require.Equal(t, k.Footprint(there, s).Weights, k.Footprint(backend.DeviceInfo{Family: "xpu"}, s).Weights)
	require.Empty(t, lib.Alive())
}

// TestNativeHandles: what the stand-in takes of a caller's own, and what not.
func TestNativeHandles(t *testing.T) {
	r := open(t, newStandin(), backend.OpenOptions{MemoryLimit: 1 << 20})
	_, err := r.dev.WrapStream(0x1000)
	require.ErrorIs(t, err, backend.ErrUnsupported)
	require.ErrorContains(t, err, "0x1000")
	st, err := r.dev.WrapStream(0) // there is no default queue: a new one
	require.NoError(t, err)

	mine := make([]byte, 64)
	wrapped, err := r.dev.WrapBuffer(unsafe.Pointer(&mine[0]), len(mine))
	require.NoError(t, err)
	ours, err := r.dev.Alloc(64)
	require.NoError(t, err)
	require.NoError(t, st.Upload(backend.Whole(ours), bytes.Repeat([]byte{7}, 64)))
	require.NoError(t, st.Copy(backend.Whole(wrapped), backend.Whole(ours)))
	e, err := st.Record()
	require.NoError(t, err)
	require.NoError(t, r.stream.Wait(e))
	require.Equal(t, bytes.Repeat([]byte{7}, 64), mine)
	free, total, err := r.dev.Mem()
	require.NoError(t, err)
	require.Equal(t, [2]int64{1<<20 - 64, 1 << 20}, [2]int64{free, total})
	require.NoError(t, st.Close())
	require.NoError(t, r.stream.Wait(e), "all is done in a stream that was closed")
	require.NoError(t, e.Close())
	require.ErrorIs(t, r.stream.Wait(e), backend.ErrClosed)
	for _, b := range []backend.Buffer{wrapped, ours} {
		require.NoError(t, b.Close())
		require.Zero(t, b.Addr())
	}
	_, err = device.Of(nil)
	require.ErrorIs(t, err, backend.ErrDevice)
	r.close()
}

// TestOpenHeedsItsContext during the self-test, and a limit of memory does not hinder that.
func TestOpenHeedsItsContext(t *testing.T) {
	lib := newStandin()
	ctx, cancel := context.WithCancel(t.Context())
	lib.Fault = func(call string) error {
		if call == "upload" {
			cancel()
		}
		return nil
	}
	_, err := fake(lib).Open(ctx, "0", backend.OpenOptions{})
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "refused")
	lib.Fault = nil
	require.Empty(t, lib.Alive())
	d, err := fake(lib).Open(t.Context(), "0", backend.OpenOptions{MemoryLimit: 10})
	require.NoError(t, err)
	_, err = d.Alloc(11)
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.NoError(t, d.Close())
}
