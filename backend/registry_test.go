package backend

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

type named struct {
	name    string
	kernels []Kernel
}

func (n named) Name() string      { return n.name }
func (n named) Kernels() []Kernel { return n.kernels }
func (n named) Devices(context.Context) ([]DeviceInfo, error) {
	return nil, &Absence{ErrNoDevice, n.name, "none was made"}
}

func (n named) Open(context.Context, string, OpenOptions) (Device, error) {
	return nil, ErrNoDevice
}

type namedKernel struct {
	Kernel
	name string
}

func (k namedKernel) Name() string { return k.name }

func TestRegistry(t *testing.T) {
	_, ok := Lookup("toy-b")
	require.False(t, ok)
	Register(named{name: "toy-b", kernels: []Kernel{namedKernel{name: "toy_w4g_a16_go"}}})
	Register(named{name: "toy-a"})
	b, ok := Lookup("toy-b")
	require.True(t, ok)
	require.Equal(t, "toy-b", b.Name())
	var names []string
	for _, b := range Backends() {
		names = append(names, b.Name())
	}
	require.Equal(t, []string{"toy-a", "toy-b"}, names)

	for text, bad := range map[string]named{
		"twice":         {name: "toy-a"},
		`bad name ""`:   {},
		`name "cpu:0"`:  {name: "cpu:0"},
		`name "a,b"`:    {name: "a,b"},
		"toy_w9_a16_go": {name: "toy-c", kernels: []Kernel{namedKernel{name: "toy_w9_a16_go"}}},
	} {
		func() {
			defer func() { require.Contains(t, recover(), text) }()
			Register(bad)
		}()
	}
	_, ok = Lookup("toy-c")
	require.False(t, ok)
}

func TestKernelNames(t *testing.T) {
	for _, good := range []string{
		"cpu_w4g_a8_vnni", "cuda_w4g_a16_mma", "xpu_w4g_a8_onednn", "cpu_wxg_a16_go", "cpu_w16_a16_bf16", "npu_w4c_a4_flatquant",
		"rocm_w8_a8_mfma_gather", "toy2_w2_a16_go",
	} {
		require.NoError(t, CheckKernelName(good), good)
	}
	for _, bad := range []string{
		"", "cpu", "cpu_w4g_a8", "w4g_a8_vnni", "CPU_w4g_a8_vnni", "cpu_w1_a8_go", "cpu_w9_a8_go", "cpu_w4h_a8_go", "cpu_w4g_a5_go",
		"cpu_w4g_a8_go_x_y", "cpu_w4g_a8_", "cpu_w4g_a8_go_", "2cpu_w4g_a8_go", "cpu_w4g_a8_go\n", "cpu-w4g-a8-go", "cpu_w4g_a8_512",
	} {
		err := CheckKernelName(bad)
		require.ErrorIs(t, err, ErrFormat, bad)
		require.ErrorContains(t, err, "<family>_<weights>_<activations>_<unit>[_<variant>]")
	}
}

func TestRefusal(t *testing.T) {
	var r *Refusal
	require.NoError(t, r.Err())
	r = r.Add("k", "bits", "5", "4", "")
	r = r.Add("k", "bias", "there", "none", "drop it")
	require.EqualError(t, r, "k: bits is 5, wants 4; bias is there, wants none: drop it")
	require.ErrorIs(t, r.Err(), ErrUnsupported)
	var found *Refusal
	require.ErrorAs(t, errors.Join(errors.New("other"), r.Err()), &found)
	require.Len(t, found.Reasons, 2)
}

func TestAbsenceAndInfo(t *testing.T) {
	_, err := named{name: "toy"}.Devices(context.Background())
	require.EqualError(t, err, "none was made")
	require.ErrorIs(t, err, ErrNoDevice)
	require.Equal(t, "cpu:0 (a processor)", DeviceInfo{Backend: "cpu", ID: "0", Name: "a processor"}.String())
}
