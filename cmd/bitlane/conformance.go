package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/conformance"
)

func runConformance(ctx context.Context, e *env, args []string) error {
	f := newFlags(e, "conformance")
	var o conformance.Options
	var only, skip list
	var tune tuning
	device := f.String("device", "auto", "the device: auto, cpu, cpu:0, ... (see bitlane devices)")
	listChecks := f.Bool("list", false, "list the checks and the rules they stand for, and run nothing")
	f.BoolVar(&o.Full, "full", false, "all combinations of recipes, bits, zeros, groups and types, instead of a cover of all pairs")
	f.BoolVar(&o.Small, "small", false, "fewer and smaller cells, for emulators")
	f.StringVar(&o.Kernel, "kernel", "", "test this kernel alone")
	f.Uint64Var(&o.Seed, "seed", 0, "seed of codes and activations")
	f.DurationVar(&o.Timeout, "timeout", 0, "bound on one check; one that takes longer counts as hung")
	f.Var(&tune, "tune", tuneUsage)
	f.Var(&only, "only", "run these checks and no others")
	f.Var(&skip, "skip", "do not run these checks")
	if _, err := f.parse(args); err != nil {
		return err
	}
	if o.Timeout < 0 {
		return usagef("--timeout is %v, want more than 0, or 0 for the usual", o.Timeout)
	}
	if err := tune.check(*device); err != nil {
		return err
	}
	if *listChecks {
		return e.listChecks(f.json)
	}
	o.Only, o.Skip = only, skip
	dev, err := bitlane.Open(ctx, *device, backend.OpenOptions{Tuning: tune.Tuned})
	if err != nil {
		return err
	}
	info := dev.Info()
	if err := dev.Close(); err != nil {
		return err
	}
	if err := (bitlane.ChooseOptions{Kernel: o.Kernel}).CheckFor(info.Backend); err != nil {
		return usagef("--kernel: %v", err)
	}
	b, ok := backend.Lookup(info.Backend)
	if !ok {
		return fmt.Errorf("no backend %q", info.Backend)
	}
	target := conformance.Target{
		Backend: b,
		Open: func(ctx context.Context, oo backend.OpenOptions) (backend.Device, func() error, error) {
			oo.Tuning = tune.Tuned
			d, err := b.Open(ctx, info.ID, oo)
			if err != nil {
				return nil, nil, err
			}
			return d, d.Close, nil
		},
	}
	checks := len(conformance.Checks())
	if len(only) > 0 {
		checks = len(only)
	}
	begun := 0
	o.Before = func(c conformance.Info) {
		begun++
		e.progress("%d/%d %s", begun, checks, c.Name)
	}
	report := conformance.Run(ctx, target, o)
	e.progress("")
	switch {
	case report.Problem != "":
		return usagef("%s", strings.TrimPrefix(report.Problem, "conformance: "))
	case f.json:
		err = e.printJSON(report)
	default:
		_, err = io.WriteString(e.stdout, report.Table())
	}
	notRun := 0
	for _, c := range report.Results {
		if c.Status == conformance.NotRun {
			notRun++
		}
	}
	switch {
	case err != nil:
		return err
	case notRun > 0:
		return stoppedAfter(ctx, len(report.Results)-notRun, len(report.Results), "check")
	case report.Err() != nil:
		return errFailed
	}
	return nil
}

func (e *env) listChecks(asJSON bool) error {
	if asJSON {
		return e.printJSON(map[string]any{"checks": conformance.Checks()})
	}
	w := e.table()
	for _, c := range conformance.Checks() {
		floor := ""
		if c.Floor {
			floor = "floor"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, floor, c.Rule)
	}
	return w.Flush()
}
