package module

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// mostFaults is how many faults an error tells; the others are counted.
const mostFaults = 8

// Faults collects what is wrong with the modules of a checkpoint, so that one
// look at it tells of all of them. The zero value has none.
type Faults struct{ all []fault }

type fault struct {
	module string
	err    error
}

// Add keeps err where it is damage (quant.ErrFormat) of the module called name, and
// returns nil; any other error it returns, since that is no matter of one
// module. The error of other Faults is taken apart.
func (f *Faults) Add(name string, err error) error {
	var s *several
	switch {
	case err == nil || !errors.Is(err, quant.ErrFormat):
		return err
	case errors.As(err, &s):
		f.all = append(f.all, s.all...)
	default:
		f.all = append(f.all, fault{name, err})
	}
	return nil
}

// Err returns nil where there is no fault, and else one error for all, which
// unwraps to each. Of the first few it has a line each.
func (f *Faults) Err() error {
	if len(f.all) == 0 {
		return nil
	}
	return &several{f.all}
}

// FaultsOf returns the modules with faults that err, as Err returns it, is about, each with
// the fault; nothing for another error.
func FaultsOf(err error) (refused []Refused) {
	var s *several
	if errors.As(err, &s) {
		for _, f := range s.all {
			refused = append(refused, Refused{Name: f.module, Why: f.err.Error()})
		}
	}
	return refused
}

type several struct{ all []fault }

func (s *several) Unwrap() []error {
	out := make([]error, len(s.all))
	for i, f := range s.all {
		out[i] = f.err
	}
	return out
}

func (s *several) Error() string {
	if len(s.all) == 1 {
		return s.all[0].err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s are damaged or described wrongly:", Count(len(s.all), "layer"))
	for _, f := range s.all[:min(len(s.all), mostFaults)] {
		fmt.Fprintf(&b, "\n  %v", f.err)
	}
	if more := len(s.all) - mostFaults; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}

// InFiles returns err with the file before each error about a tensor, whose
// name file returns, or "" where it knows none.
func InFiles(err error, file func(tensor string) string) error {
	if s, ok := err.(*several); ok {
		out := &several{}
		for _, f := range s.all {
			out.all = append(out.all, fault{f.module, InFiles(f.err, file)})
		}
		return out
	}
	var about *quant.FieldError
	if errors.As(err, &about) {
		if name := file(about.Name); name != "" {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return err
}
