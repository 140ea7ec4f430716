package bench

import (
	"fmt"
	"io"
	"strings"

	"github.com/bitlane/bitlane/backend"
)

// A Report is what Run measured. Its JSON names are stable.
type Report struct {
	Device   backend.DeviceInfo `json:"device"`
	Core     CoreInfo           `json:"core"`
	CPUs     []int              `json:"cpus"`  // logical CPUs, one thread each; the first ones for fewer threads
	Bound    bool               `json:"bound"` // each thread was bound to its CPU
	Cache    int                `json:"last_level_cache_bytes"`
	Probe    string             `json:"probe"`     // what the probe runs
	Budget   float64            `json:"seconds"`   // wanted for each cell
	Limits   []Limit            `json:"limits"`    // measured first, taking turns
	Cells    []Cell             `json:"cells"`     // layers
	Together []Together         `json:"groups"`    // layers that share x, as one and one by one
	Crowds   []Crowd            `json:"callers"`   // several callers beside one
	Warnings []string           `json:"warnings"`  // what makes the figures less than they should be
	Complete bool               `json:"completed"` // false: interrupted, what is there was measured before
}

// CoreInfo is the processor as its vendor numbers it.
type CoreInfo struct {
	Vendor string `json:"vendor"`
	Family int    `json:"family"`
	Model  int    `json:"model"`
	Design string `json:"design,omitempty"` // where the table of package peak has it
}

// OK reports whether everything that was asked for was measured.
func (r *Report) OK() bool { return r.Complete && r.tally().ok() }

// tally counts the rows of all tables but that of limits.
func (r *Report) tally() (t tally) {
	for i := range r.Cells {
		t.add(r.Cells[i].State)
	}
	for i := range r.Together {
		t.add(r.Together[i].State)
	}
	for i := range r.Crowds {
		t.add(r.Crowds[i].State)
	}
	return t
}

// A tally counts rows of a table by their states.
type tally struct{ all, disturbed, failed int }

func (t *tally) add(state string) {
	t.all++
	switch state {
	case StateDisturbed:
		t.disturbed++
	case StateFailed:
		t.failed++
	}
}

func (t tally) ok() bool { return t.disturbed+t.failed == 0 }

// close writes what is missing as the last line, where something is.
func (t tally) close(w io.Writer) {
	var parts []string
	if t.disturbed > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d rows disturbed (fewer than %d samples or pairs of them counted)", t.disturbed, t.all, leastRounds))
	}
	if t.failed > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d rows not measured", t.failed, t.all))
	}
	if parts != nil {
		fmt.Fprintf(w, "\nnot all that was asked for is there: %s\n", strings.Join(parts, ", "))
	}
}
