package bitlane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/quant"
)

// fake is a backend whose every answer a test sets.
type fake struct {
	name    string
	devices []backend.DeviceInfo
	err     error // of Devices
	openErr error
	kernels []backend.Kernel
}

func (f *fake) Name() string              { return f.name }
func (f *fake) Kernels() []backend.Kernel { return f.kernels }
func (f *fake) Devices(context.Context) ([]backend.DeviceInfo, error) {
	return f.devices, f.err
}

func (f *fake) Open(_ context.Context, id string, o backend.OpenOptions) (backend.Device, error) {
	if f.openErr != nil {
		return nil, f.openErr
	}
	for _, d := range f.devices {
		if d.ID == id || id == "" {
			return hostmem.New(d, o), nil
		}
	}
	return nil, quant.Errorf(backend.ErrNoDevice, f.name+":"+id, "", "", "no such device")
}

// fakeKernel refuses layers whose bits it does not list.
type fakeKernel struct {
	name string
	bits []int
	fail error // of Prepare
}

func (k fakeKernel) Name() string { return k.name }

func (k fakeKernel) Supports(_ backend.DeviceInfo, s backend.Spec) (r *backend.Refusal) {
	for _, b := range k.bits {
		if b == s.Bits {
			return nil
		}
	}
	r = r.Add(k.name, "bits", fmt.Sprint(s.Bits), fmt.Sprint(k.bits), "quantize to other bits")
	if s.Bias {
		r = r.Add(k.name, "bias", "there", "none", "")
	}
	return r
}

func (k fakeKernel) Footprint(backend.DeviceInfo, backend.Spec) backend.Footprint {
	return backend.Footprint{Weights: 10, Workspace: 20}
}

func (k fakeKernel) Numerics(backend.Spec) backend.Numerics { return backend.Numerics{} }

func (k fakeKernel) Prepare(context.Context, backend.Device, *quant.Linear, backend.Spec) (backend.Layer, error) {
	return nil, k.fail
}

// capable is a fakeKernel of a later generation.
type capable struct{ fakeKernel }

func (capable) MinCapability() int { return 90 }

var errBroken = errors.New("broken on purpose")

// gpu and model are registered for all tests of the package. gpu has no devices
// but in the tests that give it some; model is a stand-in that auto never picks.
var (
	gpu = &fake{name: "fakegpu", err: backend.ErrNoDevice, kernels: []backend.Kernel{
		capable{fakeKernel{name: "fakegpu_w4_a16_mma", bits: []int{4}}},
		fakeKernel{name: "fakegpu_w4_a16_simple", bits: []int{4}, fail: errBroken},
		fakeKernel{name: "fakegpu_w8_a16_simple", bits: []int{8}},
	}}
	model = &fake{name: "fakegpu-emulated", devices: []backend.DeviceInfo{{Backend: "fakegpu-emulated", ID: "0", Emulated: true}}}
)

func TestMain(m *testing.M) {
	backend.Register(gpu)
	backend.Register(model)
	_ = os.Setenv("BITLANE_CPU", "go") // the same kernels on every processor
	os.Exit(m.Run())
}

// withGPU gives gpu devices for one test.
func withGPU(t *testing.T, devices ...backend.DeviceInfo) {
	t.Helper()
	gpu.devices, gpu.err = devices, nil
	t.Cleanup(func() { gpu.devices, gpu.err, gpu.openErr = nil, backend.ErrNoDevice, nil })
}

var (
	oldGPU = backend.DeviceInfo{Backend: "fakegpu", Family: "fakegpu", ID: "0", Name: "old", Capability: 80}
	newGPU = backend.DeviceInfo{Backend: "fakegpu", Family: "fakegpu", ID: "1", Name: "new", Capability: 90}
)
