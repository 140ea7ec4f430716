package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/internal/bench"
)

// fitsTheMachine reports shapes for which the machine has no memory, where weights are
// there so many times. Without this the system ends the program, or the table
// has begun before a layer is said not to fit.
func (f *benchFlags) fitsTheMachine(ctx context.Context, o *bench.Options, weights int) error {
	dev, err := bitlane.Open(ctx, "cpu", backend.OpenOptions{Threads: 1})
	if err != nil {
		return nil // which what comes next says
	}
	return errors.Join(f.fits(dev, o, weights), dev.Close())
}

// fits is fitsTheMachine for the memory of dev.
func (f *benchFlags) fits(dev backend.Device, o *bench.Options, weights int) error {
	free, _, err := dev.Mem()
	if err != nil || free <= 0 { // not known
		return nil
	}
	rows := slices.Max(o.Rows)
	for _, s := range o.Shapes {
		for _, form := range o.Forms {
			if needs := form.Needs(s, rows, weights); needs > float64(free) {
				what := fmt.Sprintf("%v with %d bits and %s needs at least %s, and %v has %s free", s, form.Bits, plural(rows, "row"),
					humanBytes(int64(min(needs, 1<<62))), dev.Info().Address(), humanBytes(free))
				if f.given("shapes") {
					return usagef("--shapes: %s", what)
				}
				return usagef("of the shapes that are measured without --shapes, %s: give smaller ones, or fewer rows with --m", what)
			}
		}
	}
	return nil
}

// given reports whether the command line has the flag: of the lists, some are filled in
// where it has not.
func (f *benchFlags) given(name string) (is bool) {
	f.Visit(func(set *flag.Flag) { is = is || set.Name == name })
	return is
}
