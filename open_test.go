package bitlane

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

func open(t *testing.T, name string) backend.Device {
	t.Helper()
	dev, err := Open(context.Background(), name, backend.OpenOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	return dev
}

func TestOpen(t *testing.T) {
	withGPU(t, oldGPU, newGPU)
	for name, want := range map[string]string{
		"cpu": "cpu:0", "cpu:0": "cpu:0", "fakegpu": "fakegpu:0", "fakegpu:1": "fakegpu:1", "fakegpu-emulated": "fakegpu-emulated:0",
	} {
		info := open(t, name).Info()
		require.Equal(t, want, info.Backend+":"+info.ID)
	}
}

func TestOpenErrorsSayWhatThereIs(t *testing.T) {
	withGPU(t, oldGPU, newGPU)
	for name, text := range map[string]string{
		"fakegp":    "fakegp: no such backend, the nearest is fakegpu, want auto or one of cpu (cpu:0), cuda (",
		"fakegpu1":  "fakegpu (fakegpu:0, fakegpu:1), fakegpu-emulated (fakegpu-emulated:0), npu (",
		"tpu":       "tpu: no such backend, the nearest are cpu, npu, xpu, want auto or one of",
		"CUDA":      "the nearest is cuda, want",
		"vulkan":    "vulkan: no such backend, want auto or one of",
		"cpu:7":     "cpu:0",
		"fakegpu:2": "there is fakegpu:0, fakegpu:1",
	} {
		_, err := Open(context.Background(), name, backend.OpenOptions{})
		require.ErrorIs(t, err, backend.ErrNoDevice, name)
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, text)
	}
}

// A misspelt name must not hide the backend that was meant, though it has no
// device here.
func TestOpenOfAnUnknownBackendSaysWhyOthersAreAbsent(t *testing.T) {
	_, err := Open(context.Background(), "cud", backend.OpenOptions{})
	require.ErrorIs(t, err, backend.ErrNoDevice)
	require.ErrorContains(t, err, "the nearest is cuda,")
	for _, b := range backend.Backends() {
		if _, absence := b.Devices(context.Background()); absence != nil {
			require.ErrorContains(t, err, b.Name()+" ("+absence.Error()+")")
		}
	}
}

func TestAuto(t *testing.T) {
	require.Equal(t, "cpu", open(t, "auto").Info().Backend, "the stand-in must not be picked")
	require.Equal(t, "cpu", open(t, "").Info().Backend)
	withGPU(t, newGPU)
	require.Equal(t, "fakegpu", open(t, "auto").Info().Backend)
}

func TestAutoNeverFallsBack(t *testing.T) {
	withGPU(t, newGPU)
	gpu.openErr = backend.ErrOutOfMemory
	_, err := Open(context.Background(), "auto", backend.OpenOptions{})
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.ErrorContains(t, err, "fakegpu:1")

	gpu.devices, gpu.err = nil, backend.ErrDeviceLost
	_, err = Open(context.Background(), "auto", backend.OpenOptions{})
	require.ErrorIs(t, err, backend.ErrDeviceLost)
}

func TestReasonOfNoDevice(t *testing.T) {
	require.Equal(t, "no device", reasonOf(nil))
	require.Equal(t, errBroken.Error(), reasonOf(errBroken))
}

// hasDriver lists the vendors whose driver is bound in this build; files
// behind the tags add to it.
var hasDriver = map[string]bool{}

func TestVendorsSayWhyTheyHaveNoDevice(t *testing.T) {
	for _, name := range []string{"cuda", "rocm", "npu", "xpu"} {
		b, ok := backend.Lookup(name)
		require.True(t, ok, name)
		_, err := b.Devices(context.Background())
		_, openErr := Open(context.Background(), name, backend.OpenOptions{})
		require.ErrorContains(t, openErr, err.Error())
		var absence *backend.Absence
		require.ErrorAs(t, openErr, &absence)
		require.Equal(t, name, absence.Backend)
		if !hasDriver[name] {
			require.ErrorIs(t, err, backend.ErrNotBuilt)
			require.ErrorContains(t, err, "-tags "+name)
			continue
		}
		require.NotErrorIs(t, err, backend.ErrNotBuilt)
		require.True(t, isAbsence(err), "%v", err)
		require.ErrorContains(t, err, "lib")
	}
}
