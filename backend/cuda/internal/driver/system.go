//go:build cuda && cgo && linux

package driver

/*
#cgo CFLAGS: -I/usr/local/cuda/include -I/opt/cuda/include
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"reflect"
	"strings"

	"gorgonia.org/cu"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/csrc/cuda/lazy"
)

// OldestVersion is the oldest CUDA version whose driver System takes: the first
// one that instantiates graphs as it is done here.
const OldestVersion = 11040

// System returns the driver of this machine. The first call loads its library,
// which takes a while. Its error is a *backend.Absence of class
// backend.ErrNoDevice that says what is wrong with the driver.
func System() (Driver, error) {
	state := lazy.Load()
	if why := unusable(state); why != "" {
		return nil, &backend.Absence{Class: backend.ErrNoDevice, Backend: "cuda", Why: why}
	}
	return system{version: state.Version}, nil
}

// unusable says why a driver cannot be used, "" where it can.
func unusable(s lazy.State) string {
	switch {
	case !s.Loaded && strings.Contains(s.Text, lazy.Library+": ") && strings.Contains(s.Text, "No such file"):
		return "no driver: " + lazy.Library + " not found"
	case !s.Loaded && s.Text == "":
		return "no driver: " + lazy.Library + ": cannot be loaded"
	case !s.Loaded:
		return "no driver: " + s.Text
	case s.Version != 0 && s.Version < OldestVersion:
		return fmt.Sprintf("driver too old: %s is of CUDA %s, wants %s or newer", lazy.Library, version(s.Version), version(OldestVersion))
	case s.Missing != "":
		return fmt.Sprintf("driver not usable: %s, CUDA %s, has no %s", lazy.Library, version(s.Version), s.Missing)
	case s.Code != 0:
		return "driver not usable: " + newError("cuInit", s.Code).Error()
	}
	return ""
}

func version(v int) string {
	if v == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%d.%d", v/1000, v%1000/10)
}

type system struct{ version int }

func (s system) Version() int { return s.version }

func (s system) Devices() ([]Properties, error) {
	n, err := cu.NumDevices()
	if err != nil {
		return nil, fromCU("cuDeviceGetCount", err)
	}
	all := make([]Properties, n)
	for i := range all {
		if all[i], _, err = describe(i); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// describe asks for the properties of a device.
func describe(ordinal int) (Properties, cu.Device, error) {
	p := Properties{Ordinal: ordinal}
	d, err := cu.GetDevice(ordinal)
	if err != nil {
		return p, d, fromCU(fmt.Sprintf("cuDeviceGet of %d", ordinal), err)
	}
	if p.Name, err = d.Name(); err != nil {
		return p, d, fromCU("cuDeviceGetName", err)
	}
	id, err := d.UUID()
	if err != nil {
		return p, d, fromCU("cuDeviceGetUuid", err)
	}
	p.UUID = "GPU-" + id.String()
	var pci [32]C.char
	if code := C.bitlane_pci(C.CUdevice(d), &pci[0], C.int(len(pci))); code != 0 {
		return p, d, newError("cuDeviceGetPCIBusId", int(code))
	}
	p.PCI = strings.ToLower(C.GoString(&pci[0]))
	if p.Memory, err = d.TotalMem(); err != nil {
		return p, d, fromCU("cuDeviceTotalMem", err)
	}
	var ecc, integrated int
	for _, a := range []struct {
		attribute cu.DeviceAttribute
		to        *int
		optional  bool // newer drivers may not tell any more
	}{
		{cu.ComputeCapabilityMajor, &p.Major, false},
		{cu.ComputeCapabilityMinor, &p.Minor, false},
		{cu.L2CacheSize, &p.L2, false},
		{cu.MaxSharedMemoryPerBlock, &p.SharedPerBlock, false},
		{C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &p.SharedOptIn, false},
		{cu.MaxSharedMemoryPerMultiprocessor, &p.SharedPerSM, false},
		{cu.MultiprocessorCount, &p.SMs, false},
		{cu.MaxRegistersPerMultiprocessor, &p.RegistersPerSM, false},
		{cu.MaxThreadsPerMultiprocessor, &p.ThreadsPerSM, false},
		{cu.MaxThreadsPerBlock, &p.MaxThreads, false},
		{cu.ClockRate, &p.ClockKHz, true},
		{cu.MemoryClockRate, &p.MemoryClockKHz, true},
		{cu.GlobalMemoryBusWidth, &p.MemoryBusBits, true},
		{cu.Integrated, &integrated, false},
		{cu.EccEnabled, &ecc, false},
	} {
		if *a.to, err = d.Attribute(a.attribute); err != nil && !a.optional {
			return p, d, fromCU(fmt.Sprintf("cuDeviceGetAttribute of %d", a.attribute), err)
		}
	}
	p.ECC, p.Integrated = ecc != 0, integrated != 0
	return p, d, nil
}

// newError asks the driver for its words.
func newError(call string, code int) *Error {
	return &Error{
		Call: call, Code: code,
		Name: C.GoString(C.bitlane_error_name(C.int(code))),
		Text: C.GoString(C.bitlane_error_text(C.int(code))),
	}
}

// failed is the error of a call that returned code, nil for success.
func failed(call string, code C.CUresult) error {
	if code == C.CUDA_SUCCESS {
		return nil
	}
	return newError(call, int(code))
}

// fromCU makes an Error of one of package cu, whose type has no name outside
// of it. It is the CUresult.
func fromCU(call string, err error) error {
	if err == nil {
		return nil
	}
	if v := reflect.ValueOf(err); v.CanInt() {
		return newError(call, int(v.Int()))
	}
	return fmt.Errorf("%s: %w", call, err)
}
