package bench

import (
	"fmt"
	"io"
	"strings"
)

// A Printer writes what Run measures as tables, row by row as it comes.
type Printer struct {
	W      io.Writer
	table  string // whose head stands
	notes  []string
	absent map[string]bool // units that the processor lacks, printed once
}

// Watcher returns a Watcher that prints.
func (p *Printer) Watcher() Watcher {
	return Watcher{Begin: p.begin, Limits: p.limits, Cell: p.cell, Together: p.together, Crowd: p.crowd}
}

func (p *Printer) begin(r *Report) {
	where := "not bound to CPUs"
	if r.Bound {
		where = "bound to " + list(r.CPUs)
	}
	design := ""
	if r.Core.Design != "" {
		design = ", " + r.Core.Design
	}
	fmt.Fprintf(p.W, "%s (%s family %d model %d%s), tier %s, %s\n", r.Device.Name, r.Core.Vendor, r.Core.Family, r.Core.Model, design, r.Device.Tier, r.Device.Memory)
	fmt.Fprintf(p.W, "threads %s; last-level cache %d MiB; a sample counts between two probes (%s) within 3 %% of the best, in cycles\n", where, r.Cache>>20, r.Probe)
}

func list(numbers []int) string {
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = fmt.Sprint(n)
	}
	return "CPU " + strings.Join(words, ",")
}

// head writes a table's head, where it does not stand already.
func (p *Printer) head(table, columns string) {
	if p.table == table {
		return
	}
	p.table = table
	fmt.Fprintf(p.W, "\n%s\n", columns)
}

const (
	limitColumns = "%-16s  %-38s  %7s  %9s  %9s  %-8s  %9s  %8s  %s\n"
	cellColumns  = "%-11s  %-28s  %-8s  %-18s  %3s  %4s  %9s  %9s  %6s  %8s  %8s  %14s  %-22s  %s\n"
	setColumns   = "%-17s  %-28s  %-8s  %-18s  %3s  %4s  %9s  %9s  %6s  %s\n"
	crowdColumns = "%-11s  %-28s  %-8s  %-18s  %3s  %4s  %7s  %10s  %10s  %7s  %s\n"
)

func (p *Printer) row(columns string, values ...any) {
	p.line(fmt.Sprintf(columns, values...))
}

func (p *Printer) line(text string) { fmt.Fprintln(p.W, strings.TrimRight(text, " \n")) }

func (p *Printer) limits(limits []Limit) {
	p.head("limits", strings.TrimRight(fmt.Sprintf(limitColumns, "limit", "what", "threads", "p50", "p90", "", "per cycle", "expected", "counted"), " \n"))
	for i := range limits {
		l := &limits[i]
		if l.State == StateMissing {
			if p.absent[l.Name] {
				continue
			}
			if p.absent == nil {
				p.absent = map[string]bool{}
			}
			p.absent[l.Name] = true
			p.row(limitColumns, l.Name, l.What, fmt.Sprint(l.Threads), "-", "-", l.Unit, "", "", l.Why)
			continue
		}
		perCycle, expected := "", ""
		if l.Expected > 0 {
			perCycle, expected = fmt.Sprintf("%.3g", l.PerCycle), fmt.Sprintf("%g", l.Expected)
			if !l.FromTable {
				expected += "?"
				p.note("?: this core is not in the table of ports; the nearest that any core could have is taken as right")
			}
		}
		p.row(limitColumns, l.Name, l.What, fmt.Sprint(l.Threads), number(l.P50), number(l.P90), l.Unit, perCycle, expected,
			counted(l.Samples-l.Disturbed-l.OffPeak, l.Samples, l.State, l.Why))
	}
}

// note keeps a remark for the end.
func (p *Printer) note(text string) {
	for _, n := range p.notes {
		if n == text {
			return
		}
	}
	p.notes = append(p.notes, text)
}

func (p *Printer) cell(c *Cell) {
	p.head("cells", strings.TrimRight(fmt.Sprintf(cellColumns, "K x N", "scheme", "x", "kernel", "thr", "M", "p50", "p10", "GB/s", "of read", "GOP/s", "of peak", "limit that applies", "counted"), " \n"))
	if c.State == StateFailed {
		p.line(fmt.Sprintf("%-11s  w%d g%d %s, %s: %s: not measured: %s", c.Shape, c.Bits, c.Group, c.Activations, c.DType, c.Kernel, c.Why))
		return
	}
	bound := ""
	if s := c.bound(); s != nil {
		unit := "GB/s"
		if c.Bound == "peak" {
			unit = "GOP/s"
		}
		bound = fmt.Sprintf("%s %s %s", s.Limit, number(s.Speed), unit)
	}
	peak := share(c.Peak)
	if c.Peak != nil {
		peak += " " + c.Peak.Limit
	}
	for _, s := range []*Share{c.Read, c.Peak} {
		if s != nil && s.State != StateOK {
			p.note("~: the limit was unstable meanwhile (" + s.Limit + ": " + s.Why + ")")
		}
	}
	p.row(cellColumns, c.Shape, c.Scheme, c.DType, c.Kernel, fmt.Sprint(c.Threads), fmt.Sprint(c.M), seconds(c.P50), seconds(c.P10),
		number(c.GBps), share(c.Read), number(c.Gops), peak, bound, counted(c.Samples-c.Dropped, c.Samples, c.State, c.Why))
}

func (p *Printer) together(t *Together) {
	p.head("sets", strings.TrimRight(fmt.Sprintf(setColumns, "layers", "scheme", "x", "kernel", "thr", "M", "as one", "apart", "gain", "counted"), " \n"))
	if t.State == StateFailed {
		p.line(fmt.Sprintf("%-17s  %s: not measured: %s", t.Set, t.Kernel, t.Why))
		return
	}
	p.row(setColumns, t.Set, t.Scheme, t.DType, t.Kernel, fmt.Sprint(t.Threads), fmt.Sprint(t.M), seconds(t.SecondsOne), seconds(t.SecondsEach),
		ratio(t.Gain), counted(t.Samples-t.Dropped, t.Samples, t.State, t.Why))
}

func (p *Printer) crowd(c *Crowd) {
	p.head("crowds", strings.TrimRight(fmt.Sprintf(crowdColumns, "K x N", "scheme", "x", "kernel", "thr", "M", "callers", "one, /s", "all, /s", "ratio", "counted"), " \n"))
	if c.State == StateFailed {
		p.line(fmt.Sprintf("%-11s  %s: not measured: %s", c.Shape, c.Kernel, c.Why))
		return
	}
	p.row(crowdColumns, c.Shape, c.Scheme, c.DType, c.Kernel, fmt.Sprint(c.Threads), fmt.Sprint(c.M), fmt.Sprint(c.Callers), number(c.One), number(c.All),
		ratio(c.Ratio), counted(c.Samples-c.Dropped, c.Samples, c.State, c.Why))
}

// End writes what is left to say of a report.
func (p *Printer) End(r *Report) {
	if len(p.notes)+len(r.Warnings) > 0 {
		fmt.Fprintln(p.W)
	}
	for _, n := range p.notes {
		fmt.Fprintln(p.W, n)
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(p.W, "note: "+w)
	}
	r.tally().close(p.W)
}

// counted writes "48/50", and the state that is not ok.
func counted(kept, of int, state, why string) string {
	s := fmt.Sprintf("%d/%d", kept, of)
	if state != StateOK {
		s += " " + strings.ToUpper(state) + ": " + why
	}
	return s
}

// share writes a percentage, with a tilde where the limit is not to be relied
// on.
func share(s *Share) string {
	switch {
	case s == nil:
		return "-"
	case s.State != StateOK:
		return fmt.Sprintf("~%.0f %%", s.Of*100)
	case s.Of < 0.1:
		return fmt.Sprintf("%.1f %%", s.Of*100)
	}
	return fmt.Sprintf("%.0f %%", s.Of*100)
}

// ratio writes three decimals.
func ratio(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", v)
}

// number writes three digits.
func number(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// seconds writes a time with three digits.
func seconds(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v >= 1:
		return number(v) + " s"
	case v >= 1e-3:
		return number(v*1e3) + " ms"
	}
	return number(v*1e6) + " us"
}
