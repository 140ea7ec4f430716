package redtest

import (
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/conformance"
)

// TestMain leaves the kernels in plain Go: the sets of checks do not depend on
// the processor.
func TestMain(m *testing.M) {
	_ = os.Setenv("BITLANE_CPU", "go")
	os.Exit(m.Run())
}

// computed are the checks that hold numbers to the reference in layers of every
// kind: those that a wrong scheme or recipe fails.
var computed = []string{
	"act-order", "bias", "codes", "edges-group", "edges-k", "edges-m", "edges-n", "exact-cells", "grid",
	"large-x", "nonfinite", "shard-k", "shard-n", "source-layer", "strides",
}

// rounded are those of computed that have random numbers: the ones that a
// rounding too many fails, which exact sums do not show.
var rounded = []string{"act-order", "bias", "codes", "grid", "large-x", "nonfinite", "shard-k", "shard-n", "source-layer"}

func and(checks []string, more ...string) []string { return slices.Concat(checks, more) }

// small are checks without the one in which everything but x is small beside y.
func small(checks []string) []string {
	return slices.DeleteFunc(slices.Clone(checks), func(c string) bool { return c == "large-x" })
}

func mutants() []mutant {
	return slices.Concat(numbers(), results(), memory(), negotiation(), arguments(), devices(), lives(), restoring())
}

func run(t *testing.T, m *mutant) *conformance.Report {
	processor, ok := backend.Lookup("cpu")
	require.True(t, ok)
	return conformance.Run(t.Context(), conformance.Target{Backend: broken{processor, m}}, conformance.Options{Small: true, Only: m.only})
}

// The wrapper alone breaks nothing: what a mutant fails is due to its change.
func TestUnchangedPasses(t *testing.T) {
	report := run(t, &mutant{})
	require.NoError(t, report.Err())
	require.True(t, report.Complete)
}

var full = flag.Bool("redtest.full", false, "run every check on every mutant")

// some are the checks that a mutant fails, and every third of those that it must
// pass, others for the next mutant; nil, all, for one that fails none.
func some(m *mutant, number int) []string {
	if *full || m.only != nil || len(m.fails) == 0 {
		return m.only
	}
	only := slices.Clone(m.fails)
	for i, c := range conformance.Checks() {
		if (i+number)%3 == 0 && !slices.Contains(only, c.Name) {
			only = append(only, c.Name)
		}
	}
	return only
}

// Under the race detector only the mutants that differ where several goroutines
// meet are run: for the others the sets are the same with and without it.
func TestEachMutantFailsExactlyItsChecks(t *testing.T) {
	for i, m := range mutants() {
		m.only = some(&m, i)
		if raceDetector && !slices.Contains(m.fails, "close-under-load") {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			report := run(t, &m)
			want := slices.Clone(m.fails)
			slices.Sort(want)
			got := report.Failed()
			slices.Sort(got)
			require.Equal(t, want, got, "%v", report.Err())
			require.Equal(t, len(want) > 0, report.Err() != nil)
		})
	}
}

func TestEveryCheckHasAMutant(t *testing.T) {
	caught := map[string]bool{}
	names := map[string]bool{}
	for _, m := range mutants() {
		require.False(t, names[m.name], "two mutants are called %q", m.name)
		names[m.name] = true
		for _, check := range m.fails {
			caught[check] = true
		}
	}
	known := map[string]bool{}
	for _, c := range conformance.Checks() {
		known[c.Name] = true
		require.True(t, caught[c.Name], "no mutant fails the check %q: nothing shows that it can fail", c.Name)
	}
	for check := range caught {
		require.True(t, known[check], "a mutant names the check %q, which does not exist", check)
	}
}
