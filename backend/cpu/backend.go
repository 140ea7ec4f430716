package cpu

import (
	"context"
	"fmt"
	"runtime"

	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/internal/hugepage"
	"github.com/bitlane/bitlane/internal/workers"
	"github.com/bitlane/bitlane/quant"
)

func init() { backend.Register(cpu{}) }

// cpu implements backend.Backend.
type cpu struct{}

func (cpu) Name() string { return "cpu" }

func (cpu) Kernels() []backend.Kernel {
	all := make([]backend.Kernel, len(kernels))
	for i, k := range kernels {
		all[i] = k
	}
	return all
}

func (cpu) Devices(context.Context) ([]backend.DeviceInfo, error) {
	i, err := info()
	if err != nil {
		return nil, err
	}
	i.Units = workers.DefaultThreads()
	return []backend.DeviceInfo{i}, nil
}

// Open knows the device "0". Of o it uses Threads, CPUs and MemoryLimit.
func (cpu) Open(ctx context.Context, id string, o backend.OpenOptions) (backend.Device, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if id != "" && id != "0" {
		return nil, quant.Errorf(backend.ErrNoDevice, "cpu:"+id, "", "cpu:0", "no such device")
	}
	if o.NativeContext != 0 {
		return nil, quant.Errorf(backend.ErrUnsupported, "cpu:0", "native context", "0: the processor has none", "%#x", o.NativeContext)
	}
	if o.Threads < 0 || o.Threads > backend.MostThreads {
		return nil, quant.Errorf(backend.ErrUnsupported, "cpu:0", "threads", fmt.Sprintf("1 to %d, or 0 for all", backend.MostThreads), "%d", o.Threads)
	}
	if o.MemoryLimit < 0 {
		return nil, quant.Errorf(backend.ErrUnsupported, "cpu:0", "memory limit", "at least 1 byte, or 0 for none", "%d", o.MemoryLimit)
	}
	if err := backend.CheckTuning(cpu{}, o.Tuning); err != nil {
		return nil, err
	}
	i, err := info()
	if err != nil {
		return nil, err
	}
	pool, err := workers.New(workers.Options{Threads: o.Threads, CPUs: o.CPUs})
	if err != nil {
		return nil, quant.Errorf(backend.ErrUnsupported, "cpu:0", "", "", "%v", err)
	}
	i.Units = pool.Threads()
	d := &Device{Device: hostmem.New(i, o), pool: pool, fork: forkTime}
	d.Bind(d)
	return d, nil
}

// info describes the processor, but for Units.
func info() (backend.DeviceInfo, error) {
	has, err := features()
	if err != nil {
		return backend.DeviceInfo{}, err
	}
	name := cpuid.CPU.BrandName
	if name == "" {
		name = runtime.GOARCH + " processor"
	}
	return backend.DeviceInfo{
		Backend: "cpu", Family: "cpu", ID: "0", Name: name, Arch: runtime.GOARCH,
		Tier: tierOf(has), Features: has, Memory: hugepage.Available().String(),
	}, nil
}
