package main

import (
	"context"
	"errors"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/internal/bench"
)

var (
	deviceShapes = list{"4096x4096", "4096x14336", "8192x8192", "8192x28672"}
	deviceRows   = list{"1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "2048", "4096"}
)

// onDevice measures a device with a clock of its own.
func (f *benchFlags) onDevice(ctx context.Context) (err error) {
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"--threads", f.threads != nil}, {"--cpus", f.cpus != nil}, {"--limits", f.limits},
		{"--groups", f.sets}, {"--callers", f.callers != 0}, {"--svg", f.svg != ""},
	} {
		if flag.set {
			return usagef("%s is for the processor, not for --device %s", flag.name, f.device)
		}
	}
	f.shapes, f.rows, f.activations = or(f.shapes, deviceShapes...), or(f.rows, deviceRows...), or(f.activations, "exact")
	if err := f.tune.check(f.device); err != nil {
		return err
	}
	all, err := f.options()
	if err != nil {
		return err
	}
	dev, err := bitlane.Open(ctx, f.device, backend.OpenOptions{Tuning: f.tune.Tuned})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	if dev.Info().Family == "cpu" {
		return usagef("--device %s is the processor: say --device cpu, or leave it out", f.device)
	}
	if err := f.checkKernels(dev.Info().Backend); err != nil {
		return err
	}
	if err := f.fitsTheMachine(ctx, &all, 1); err != nil {
		return err
	}
	if err := f.fits(dev, &all, 1); err != nil {
		return err
	}
	w := bench.DeviceWatcher{}
	if !f.json {
		w = bench.DevicePrinter(f.e.stdout)
	}
	o := bench.DeviceOptions{Shapes: all.Shapes, Rows: all.Rows, Forms: all.Forms, Kernels: f.kernels, Budget: f.budget}
	if dev.Info().Emulated {
		o.Cold = 1 << 16 // nothing is cached there, and it is slow
	}
	report, err := bench.RunDevice(ctx, dev, o, w)
	if err != nil && len(report.Cells) == 0 {
		return err
	}
	if f.json {
		if perr := f.e.printJSON(report); perr != nil {
			return perr
		}
	} else {
		report.End(f.e.stdout)
	}
	if err == nil && !report.OK() {
		err = errFailed
	}
	return err
}
