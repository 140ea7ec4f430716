package conformance

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Status is how a check ended.
type Status string

// The ways in which a check ends.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
	NotRun  Status = "not run" // the context of Run ended before or in it
)

// Failure is one thing that a check found wrong.
type Failure struct {
	Cell string `json:"cell,omitempty"` // kernel, scheme, sizes, types and seed; empty where no layer is concerned
	Text string `json:"text"`           // what was found and what was expected
}

// Result is the outcome of one check.
type Result struct {
	Info
	Status   Status        `json:"status"`
	Reason   string        `json:"reason,omitempty"`   // why it was skipped or not run
	Failures []Failure     `json:"failures,omitempty"` // the first few
	Ran      int           `json:"ran"`                // cells, one for each kernel that accepted one
	Refused  int           `json:"refused"`            // cells that every kernel refused
	Worst    float64       `json:"worst,omitempty"`    // largest |y−ref|/B where y is float32, before any rounding to the output type
	Time     time.Duration `json:"ns"`
}

// Report is the outcome of a run.
type Report struct {
	Backend  string   `json:"backend"`
	Problem  string   `json:"problem,omitempty"` // why nothing was run
	Complete bool     `json:"complete"`          // false where Options.Only, Options.Kernel or the end of the context left something out
	Results  []Result `json:"results"`
}

// Failed returns the names of the checks that failed, in order.
func (r *Report) Failed() []string {
	var names []string
	for _, c := range r.Results {
		if c.Status == Failed {
			names = append(names, c.Name)
		}
	}
	return names
}

// Err returns nil where every check of the floor passed and no other failed or
// was not run, and otherwise an error with each broken rule.
func (r *Report) Err() error {
	if r.Problem != "" {
		return errors.New(r.Problem)
	}
	var errs []error
	for _, c := range r.Results {
		switch {
		case c.Status == Failed:
			errs = append(errs, c.err())
		case c.Status == NotRun:
			errs = append(errs, fmt.Errorf("%s: not run: %s", c.Name, c.Reason))
		case c.Floor && c.Status != Passed:
			errs = append(errs, fmt.Errorf("%s: %s (of the floor, but skipped: %s)", c.Name, c.Rule, c.Reason))
		}
	}
	return errors.Join(errs...)
}

// err describes a failed check.
func (c *Result) err() error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: broken rule: %s", c.Name, c.Rule)
	for _, f := range c.Failures {
		b.WriteString("\n    ")
		if f.Cell != "" {
			b.WriteString(f.Cell + ": ")
		}
		b.WriteString(f.Text)
	}
	return errors.New(b.String())
}

// Table returns the report as text for people: a line for each check, the
// failures under it, and the totals.
func (r *Report) Table() string {
	var b strings.Builder
	if r.Problem != "" {
		return r.Problem + "\n"
	}
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "check\tresult\tcells\trefused\terror/bound\ttime\t")
	count := map[Status]int{}
	for _, c := range r.Results {
		count[c.Status]++
		worst := ""
		if c.Worst > 0 {
			worst = fmt.Sprintf("%.2f", c.Worst)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%v\t%s\n", c.Name, c.Status, c.Ran, c.Refused, worst, c.Time.Round(time.Millisecond), c.Reason)
	}
	w.Flush()
	for _, c := range r.Results {
		if c.Status == Failed {
			fmt.Fprintf(&b, "\n%v\n", c.err())
		}
	}
	fmt.Fprintf(&b, "\n%s: %d passed, %d failed, %d skipped", r.Backend, count[Passed], count[Failed], count[Skipped])
	if n := count[NotRun]; n > 0 {
		fmt.Fprintf(&b, ", %d not run", n)
	}
	if !r.Complete {
		b.WriteString(" (not the whole suite)")
	}
	b.WriteString("\n")
	return b.String()
}
