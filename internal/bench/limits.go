package bench

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/bitlane/bitlane/internal/peak"
)

// States of a limit.
const (
	StateOK       = "ok"
	StateUnstable = "unstable" // too few samples counted: see Why
	StateMissing  = "missing"  // the processor has no such unit
)

// A Limit is what cores do at most of one kind of work.
type Limit struct {
	Name      string  `json:"name"`    // "read", "read-small-pages", or a unit: "vnni", "fma", ...
	What      string  `json:"what"`    // what was run, for people
	Unit      string  `json:"unit"`    // of P50 and P90: "GB/s", "GOP/s" for integers, "GFLOP/s"
	Threads   int     `json:"threads"` // all at once
	P50       float64 `json:"p50"`
	P90       float64 `json:"p90"`
	PerCycle  float64 `json:"per_cycle,omitempty"`     // of a unit: instructions per cycle and core, median
	Expected  float64 `json:"expected,omitempty"`      // ports: what PerCycle should be
	FromTable bool    `json:"from_table,omitempty"`    // Expected is known for this core; else the nearest whole number, or a half
	ClockGHz  float64 `json:"clock_ghz,omitempty"`     // of the cores meanwhile
	State     string  `json:"state"`                   // "ok", "unstable" or "missing"
	Why       string  `json:"why,omitempty"`           // of a state that is not "ok"
	Samples   int     `json:"samples"`                 // taken
	Disturbed int     `json:"dropped_disturbed"`       // dropped: a probe beside it was slow
	OffPeak   int     `json:"dropped_off_peak"`        // dropped: not ports × clock
	Ops       int     `json:"ops_per_instr,omitempty"` // of a unit
}

// limits measures all limits of the machine: those of wide instructions take
// turns, and all others, as cores may have a clock of their own for the former.
func (m *machine) limits(ctx context.Context, budget time.Duration) ([]Limit, error) {
	reads, _ := peak.Loops()
	huge := "normal pages: the system gave no huge ones"
	if m.hugePages {
		huge = "huge pages"
	}
	narrow, wide := trialOf{works: []work{m.readWork(readLimit), m.readWork(readSmallLimit)}, limits: []int{0, 1}}, trialOf{}
	list := []Limit{
		{Name: readLimit, What: huge + ", " + reads, Unit: "GB/s", Threads: m.gang.threads},
		{Name: readSmallLimit, What: "small pages, " + reads, Unit: "GB/s", Threads: m.gang.threads},
	}
	for i := range m.units {
		u := &m.units[i]
		l := Limit{Name: u.Name, What: u.Instruction, Unit: "GFLOP/s", Threads: m.gang.threads, Ops: u.Ops}
		if u.Type == "int8" {
			l.Unit = "GOP/s"
		}
		if len(u.Missing) > 0 {
			l.State, l.Why = StateMissing, "the processor lacks "+strings.Join(u.Missing, ", ")
		} else {
			of := &narrow
			if u.Wide {
				of = &wide
			}
			of.works, of.limits = append(of.works, m.unitWork(u)), append(of.limits, len(list))
		}
		list = append(list, l)
	}
	all := len(narrow.works) + len(wide.works)
	for _, of := range []trialOf{narrow, wide} {
		if len(of.works) == 0 {
			continue
		}
		t, err := m.meter.run(ctx, of.works, budget*time.Duration(len(of.works))/time.Duration(all))
		if err != nil {
			return nil, err
		}
		o := t.reduce()
		for i, at := range of.limits {
			list[at].set(&of.works[i], &o.works[i], o.clock)
			if l := &list[at]; l.Name == readLimit && l.State == StateOK {
				m.read.raise(l.P50)
			}
		}
	}
	return list, nil
}

// trialOf is works that take turns, and the limit that each is of, by its place.
type trialOf struct {
	works  []work
	limits []int
}

// set fills in what was measured.
func (l *Limit) set(w *work, o *workOutcome, clock float64) {
	per := float64(max(l.Ops, 1)) / 1e9
	if len(o.seconds) > 0 {
		l.P50, l.P90 = per/quantile(o.seconds, 0.5), per/quantile(o.seconds, 0.1)
	}
	l.Samples, l.Disturbed, l.OffPeak = o.total(), o.disturbed, o.offPeak
	if !math.IsNaN(clock) {
		l.ClockGHz = clock / 1e9
	}
	l.State = StateOK
	if w.rate.PerCycle != nil {
		l.FromTable = w.rate.Known
		if len(o.perCycle) > 0 {
			l.PerCycle = median(o.perCycle)
			l.Expected, _ = w.rate.Closest(l.PerCycle, tolerance)
		}
	}
	l.State, l.Why = judge(o)
}

// reached is the fastest that reading was in a trial of this run, in GB/s.
type reached float64

func (r *reached) raise(speed float64) { *r = max(*r, reached(speed)) }

// hold says of reading that was a quarter slower than in another trial that it is no
// limit: probes are in the first cache and do not see what slows memory.
func (r *reached) hold(s *Share) {
	if s == nil {
		return
	}
	if r.raise(s.Speed); s.State == StateOK && s.Speed < 0.75*float64(*r) {
		s.State, s.Why = StateUnstable, fmt.Sprintf("%.3g GB/s were read, %.3g in other trials", s.Speed, float64(*r))
	}
}

// judge says whether enough samples of a limit count for it to be one.
func judge(o *workOutcome) (state, why string) {
	kept := len(o.seconds)
	switch {
	case kept == 0 && o.offPeak == 0:
		return StateUnstable, fmt.Sprintf("all %d samples were beside a slow probe", o.total())
	case kept <= o.offPeak:
		return StateUnstable, fmt.Sprintf("%d of %d samples between quiet probes were not ports x clock within %g %%", o.offPeak, kept+o.offPeak, tolerance*100)
	case kept < leastRounds:
		return StateUnstable, fmt.Sprintf("%d of %d samples were beside a slow probe", o.disturbed, o.total())
	}
	return StateOK, ""
}

// find returns the limit of a name and a number of threads, nil where there is
// none.
func find(limits []Limit, name string, threads int) *Limit {
	for i := range limits {
		if limits[i].Name == name && limits[i].Threads == threads {
			return &limits[i]
		}
	}
	return nil
}
