package bench

import (
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
func (r *Report) OK() bool {
	if !r.Complete {
		return false
	}
	for i := range r.Cells {
		if s := r.Cells[i].State; s != StateOK {
			return false
		}
	}
	for i := range r.Together {
		if r.Together[i].State != StateOK {
			return false
		}
	}
	for i := range r.Crowds {
		if r.Crowds[i].State != StateOK {
			return false
		}
	}
	return true
}
