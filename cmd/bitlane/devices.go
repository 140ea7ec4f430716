package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/bitlane/bitlane/backend"
)

type backendReport struct {
	Backend string               `json:"backend"`
	Kernels []string             `json:"kernels"`
	Devices []backend.DeviceInfo `json:"devices"`
	Reason  string               `json:"reason,omitempty"` // why there are no devices
	Tunings []backend.Tuning     `json:"tunings,omitempty"`
}

func runDevices(ctx context.Context, e *env, args []string) error {
	f := newFlags(e, "devices")
	if _, err := f.parse(args); err != nil {
		return err
	}
	var reports []backendReport
	failed := false
	for _, b := range backend.Backends() {
		r := backendReport{Backend: b.Name(), Kernels: []string{}, Devices: []backend.DeviceInfo{}}
		for _, k := range b.Kernels() {
			r.Kernels = append(r.Kernels, k.Name())
		}
		if tunable, ok := b.(backend.Tunable); ok {
			r.Tunings = tunable.Tunings()
		}
		devices, err := b.Devices(ctx)
		if err != nil {
			r.Reason = err.Error()
			absent := errors.Is(err, backend.ErrNotBuilt) || errors.Is(err, backend.ErrNotImplemented) || errors.Is(err, backend.ErrNoDevice)
			failed = failed || !absent
		}
		r.Devices = append(r.Devices, devices...)
		reports = append(reports, r)
	}
	if err := e.printDevices(reports, f.json); err != nil {
		return err
	}
	if failed {
		return errFailed
	}
	return nil
}

func (e *env) printDevices(reports []backendReport, asJSON bool) error {
	if asJSON {
		return e.printJSON(map[string]any{"backends": reports})
	}
	w := e.table()
	for _, r := range reports {
		if r.Reason != "" {
			fmt.Fprintf(w, "%s\tnone\t%s\n", r.Backend, r.Reason)
		}
		for _, d := range r.Devices {
			fmt.Fprintf(w, "%s\t%s\t%s\n", d.Address(), d.Name, describe(d))
		}
		if len(r.Devices) == 0 {
			continue
		}
		for _, t := range r.Tunings {
			fmt.Fprintf(w, "\t--tune %s=%d\t%d..%d: %s\n", t.Name, t.Value, t.Least, t.Most, t.What)
		}
	}
	return w.Flush()
}

// describe writes what matters of a device beside its name.
func describe(d backend.DeviceInfo) string {
	s := d.Arch
	if d.Tier != "" {
		s += ", tier " + d.Tier
	}
	s += ", " + plural(d.Units, "unit")
	if d.Memory != "" {
		s += ", " + d.Memory
	}
	if d.Driver != "" {
		s += ", driver " + d.Driver
	}
	if d.Library != "" {
		s += ", " + d.Library
	}
	if d.Emulated {
		s += ", emulated"
	}
	if len(d.Tuning) > 0 {
		s += fmt.Sprintf(", tuned %v", d.Tuning)
	}
	return s
}
