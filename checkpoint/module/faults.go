package module

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// mostFaults is how many faults are kept and told; the others are counted.
const mostFaults = 8

// Faults collects what is wrong with the modules of a checkpoint, so that one
// look at it tells of all of them. The zero value has none.
type Faults struct {
	errs []error
	more int // beyond mostFaults
}

// Add keeps err where it is damage (quant.ErrFormat) of one module and returns
// nil; any other error it returns, since that is no matter of one module.
func (f *Faults) Add(err error) error {
	if s, ok := err.(*several); ok { // another collection's
		for _, e := range s.errs {
			f.Add(e)
		}
		f.more += s.more
		return nil
	}
	switch {
	case err == nil || !errors.Is(err, quant.ErrFormat):
		return err
	case len(f.errs) < mostFaults:
		f.errs = append(f.errs, err)
	default:
		f.more++
	}
	return nil
}

// Err returns nil where there is no fault, the only one as it is, and several
// as one error, a line each.
func (f *Faults) Err() error {
	switch {
	case len(f.errs) == 0:
		return nil
	case len(f.errs) == 1:
		return f.errs[0]
	}
	return &several{errs: f.errs, more: f.more}
}

// several is more than one fault. It unwraps to those that are kept.
type several struct {
	errs []error
	more int
}

func (s *several) Unwrap() []error { return s.errs }

func (s *several) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s are damaged or described wrongly:", Count(len(s.errs)+s.more, "layer"))
	for _, err := range s.errs {
		fmt.Fprintf(&b, "\n  %v", err)
	}
	if s.more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", s.more)
	}
	return b.String()
}

// InFiles returns err with the file before each error about a tensor, whose
// name file returns, or "" where it knows none.
func InFiles(err error, file func(tensor string) string) error {
	if s, ok := err.(*several); ok {
		out := &several{more: s.more}
		for _, e := range s.errs {
			out.errs = append(out.errs, InFiles(e, file))
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
