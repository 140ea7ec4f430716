package conformance

import (
	"slices"
	"strings"
	"testing"
)

// Test runs the suite as subtests of t, one for each check. What was skipped
// is in the log of t and is no skip of a test: refusing is a backend's right.
func Test(t *testing.T, target Target, o Options) {
	t.Helper()
	if err := o.check(target); err != nil {
		t.Fatal(err)
	}
	report := &Report{Backend: target.Backend.Name(), Complete: len(o.Only) == 0 && o.Kernel == ""}
	for _, info := range Checks() {
		one := o
		one.Only = []string{info.Name}
		if len(o.Only) > 0 && !slices.Contains(o.Only, info.Name) {
			continue
		}
		t.Run(info.Name, func(t *testing.T) {
			r := Run(t.Context(), target, one)
			report.Results = append(report.Results, r.Results...)
			if err := r.Err(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Log("\n" + strings.TrimRight(report.Table(), "\n"))
}
