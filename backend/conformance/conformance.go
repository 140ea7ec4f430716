package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bitlane/bitlane/backend"
)

// Target is what is tested.
type Target struct {
	// Backend is the backend under test; it need not be registered.
	Backend backend.Backend

	// Open opens a device and returns it together with the function that lets
	// it go. It is called many times, also while earlier devices are open. nil
	// stands for Backend.Open of the first device, and its Close.
	Open func(ctx context.Context, o backend.OpenOptions) (dev backend.Device, stop func() error, err error)
}

// Options choose what is run. The zero value is everything at default size.
type Options struct {
	Full    bool          // all combinations of recipes, bits, zeros, groups and types instead of a cover of all pairs
	Small   bool          // fewer and smaller cells, for emulators
	Only    []string      // run these checks and no others; the report is then not complete
	Skip    []string      // do not run these; a check of the floor cannot be skipped
	Seed    uint64        // of codes and activations
	Kernel  string        // test this kernel alone
	Timeout time.Duration // for one check, 0: 5 minutes, 30 when Full. A check that takes longer counts as hung
	Before  func(Info)    // called by Run before each check that it runs, to show progress; may be nil
}

// Info describes a check.
type Info struct {
	Name  string `json:"name"`  // stable
	Rule  string `json:"rule"`  // the rule that is broken when the check fails
	Floor bool   `json:"floor"` // must pass: a skip of it is a failure of the whole
}

type check struct {
	Info
	run func(*rig)
}

// checks returns the suite in the order in which it is run, simple things first.
func checks() []check {
	return slices.Concat(
		negotiationChecks(), deviceChecks(), numericChecks(), partChecks(),
		memoryChecks(), restoreChecks(), promiseChecks(), argumentChecks(), lifetimeChecks(),
	)
}

// Checks lists the checks in the order in which they are run.
func Checks() []Info {
	var infos []Info
	for _, c := range checks() {
		infos = append(infos, c.Info)
	}
	return infos
}

// Run runs the suite and reports. It returns early only when ctx ends; what
// was not run to its end then is reported as NotRun, which is no pass.
func Run(ctx context.Context, t Target, o Options) *Report {
	report := &Report{Backend: t.Backend.Name()}
	err := o.check(t)
	if err != nil {
		report.Problem = err.Error()
		return report
	}
	report.Complete = len(o.Only) == 0 && o.Kernel == ""
	for _, c := range checks() {
		switch {
		case len(o.Only) > 0 && !slices.Contains(o.Only, c.Name):
		case slices.Contains(o.Skip, c.Name):
			report.Results = append(report.Results, Result{Info: c.Info, Status: Skipped, Reason: "by Options.Skip"})
		default:
			r := Result{Info: c.Info, Status: NotRun, Reason: "not begun"}
			if err := ctx.Err(); err != nil {
				r.Reason += ": " + err.Error()
			} else {
				if o.Before != nil {
					o.Before(c.Info)
				}
				r = runCheck(ctx, c, t, o)
			}
			report.Results = append(report.Results, r)
			report.Complete = report.Complete && r.Status != NotRun
		}
	}
	return report
}

// check reports options that name what does not exist or may not be skipped.
func (o *Options) check(t Target) error {
	all := Checks()
	named := func(name string) (Info, error) {
		for _, c := range all {
			if c.Name == name {
				return c, nil
			}
		}
		return Info{}, fmt.Errorf("conformance: no check is called %q", name)
	}
	for _, name := range o.Only {
		if _, err := named(name); err != nil {
			return err
		}
	}
	for _, name := range o.Skip {
		c, err := named(name)
		if err != nil {
			return err
		}
		if c.Floor {
			return fmt.Errorf("conformance: %s is of the floor and cannot be skipped", name)
		}
	}
	if o.Kernel == "" {
		return nil
	}
	var names []string
	for _, k := range t.Backend.Kernels() {
		names = append(names, k.Name())
	}
	if !slices.Contains(names, o.Kernel) {
		return fmt.Errorf("conformance: backend %s has no kernel %q: it has %s", t.Backend.Name(), o.Kernel, strings.Join(names, ", "))
	}
	return nil
}

func (o *Options) timeout() time.Duration {
	switch {
	case o.Timeout > 0:
		return o.Timeout
	case o.Full:
		return 30 * time.Minute
	}
	return 5 * time.Minute
}
