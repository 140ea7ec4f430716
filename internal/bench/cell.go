package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/bitlane/bitlane/backend"
)

// States of a Cell, beside StateOK.
const (
	StateDisturbed = "disturbed" // few or no samples were beside quiet probes
	StateFailed    = "failed"    // the layer could not be prepared or applied
)

// A Cell is one layer at one number of rows.
type Cell struct {
	Shape       string `json:"shape"` // "KxN"
	K           int    `json:"k"`
	N           int    `json:"n"`
	M           int    `json:"m"`
	Bits        int    `json:"bits"` // 16: plain weights
	Group       int    `json:"group"`
	Zeros       bool   `json:"zeros"`
	ActOrder    bool   `json:"act_order"`
	Activations string `json:"activations"`
	DType       string `json:"dtype"`
	Scheme      string `json:"scheme"` // weights and activations in short
	Kernel      string `json:"kernel"`
	Threads     int    `json:"threads"`
	Copies      int    `json:"copies"` // that took turns
	Cold        bool   `json:"cold"`   // the copies were larger than the caches

	Bytes int64   `json:"bytes"` // codes, scales and zero points as checkpoints have them
	Ops   float64 `json:"ops"`   // 2·M·N·K

	P50  float64 `json:"seconds_p50"` // of one Apply
	P10  float64 `json:"seconds_p10"`
	GBps float64 `json:"gbps"` // Bytes by P50
	Gops float64 `json:"gops"` // Ops by P50

	Read  *Share `json:"read,omitempty"`  // of reading memory
	Peak  *Share `json:"peak,omitempty"`  // of the unit's peak; absent where no loop measures the unit
	Bound string `json:"bound,omitempty"` // which of the two applies: "read" or "peak"

	ClockGHz float64 `json:"clock_ghz"`
	Samples  int     `json:"samples"`           // taken of the layer
	Dropped  int     `json:"dropped_disturbed"` // of them: a probe beside it was slow, or other programs had its CPUs
	State    string  `json:"state"`
	Why      string  `json:"why,omitempty"`
}

// A Share is a figure beside a limit, by pairs of samples taken next to each
// other.
type Share struct {
	Limit string  `json:"limit"` // the limit's name
	Speed float64 `json:"speed"` // the limit meanwhile, in GB/s or GOP/s, median
	Of    float64 `json:"of"`    // the layer's part of it: 1 is all of it
	Pairs int     `json:"pairs"`
	State string  `json:"state"` // "ok" or "unstable"
	Why   string  `json:"why,omitempty"`
}

// bound returns the share that applies, nil where neither is known.
func (c *Cell) bound() *Share {
	switch c.Bound {
	case "read":
		return c.Read
	case "peak":
		return c.Peak
	}
	return nil
}

func newCell(s Shape, f Form, rows, threads int) Cell {
	return Cell{
		Shape: s.String(), K: s.K, N: s.N, M: rows, Bits: f.Bits, Group: f.Group, Zeros: f.Zeros, ActOrder: f.ActOrder,
		Activations: f.Recipe.String(), DType: f.X.String(), Threads: threads,
		Bytes: f.Bytes(s), Ops: s.Ops(rows), State: StateOK,
	}
}

// applyWork is Apply on one copy after another, as many times as fit into a
// sample; amounts are Applies. A long Apply can lose its CPUs and have them back
// between the probes, so that w is asked, too.
func applyWork(ctx context.Context, name string, w *waiting, c *Caller, rows int, apply func() error) (work, error) {
	once := func() (float64, error) {
		var err error
		c.warm(rows)
		t := stopwatch(func() { err = apply() })
		return t, err
	}
	best := math.Inf(1)
	for i := 0; i < 5; i++ {
		t, err := once()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return work{}, err
		}
		best = min(best, t)
		if t > 10*sampleTime {
			break
		}
	}
	n := max(1, int(sampleTime/best))
	return work{name: name, do: func() (sample, error) {
		var err error
		waited := w.seconds()
		c.warm(rows)
		t := stopwatch(func() {
			for i := 0; i < n && err == nil; i++ {
				err = apply()
			}
		})
		return sample{float64(n), t, w.seconds() - waited}, err
	}}, nil
}

// cell measures a stack at one number of rows, beside the reading of memory
// and the peak of its unit.
func (m *machine) cell(ctx context.Context, st *Stack, c *Caller, info backend.DeviceInfo, rows int, budget time.Duration) (Cell, error) {
	cell := newCell(st.Shape, st.Form, rows, m.gang.threads)
	cell.Kernel, cell.Scheme, cell.Copies, cell.Cold = st.Kernel.Name(), st.Spec.Scheme(), st.Copies(), st.Cold
	w := newWaiting()
	defer w.close()
	layer, err := applyWork(ctx, cell.Kernel, w, c, rows, func() error { return c.Turn(ctx, st, rows) })
	if err != nil {
		return cell, err
	}
	works := []work{layer, m.readWork(readLimit)}
	ops := 0
	if u := m.unitOf(st, rows, info.Tier); u != nil {
		works, ops = append(works, m.unitWork(u)), u.Ops
	}
	t, err := m.meter.run(ctx, works, budget)
	if err != nil {
		return cell, err
	}
	o := t.reduce()
	cell.fill(&o, works, ops)
	m.read.hold(cell.Read)
	return cell, nil
}

// fewText says why something is disturbed.
const fewText = "few samples were between quiet probes: other work ran on these cores"

// fill turns an outcome of the layer, of reading and, where ops is not 0, of a
// unit into figures.
func (c *Cell) fill(o *outcome, works []work, ops int) {
	layer := &o.works[0]
	c.Samples, c.Dropped = layer.total(), layer.disturbed
	if !math.IsNaN(o.clock) {
		c.ClockGHz = o.clock / 1e9
	}
	if kept := len(layer.seconds); kept < min(leastRounds, c.Samples) {
		c.State, c.Why = StateDisturbed, fewText
		if kept == 0 {
			return
		}
	}
	c.P50, c.P10 = quantile(layer.seconds, 0.5), quantile(layer.seconds, 0.1)
	c.GBps, c.Gops = float64(c.Bytes)/c.P50/1e9, c.Ops/c.P50/1e9
	c.Read = newShare(works[1].name, &o.works[1], o.pairs[1], float64(c.Bytes), 1)
	if ops > 0 {
		c.Peak = newShare(works[2].name, &o.works[2], o.pairs[2], c.Ops, float64(ops))
	}
	switch {
	case c.Read == nil || ops > 0 && c.Peak == nil: // whatever the other one was
	case c.Peak == nil || c.Read.Of >= c.Peak.Of:
		c.Bound = "read"
	default:
		c.Bound = "peak"
	}
}

// newShare returns the part that a layer with so many units in an Apply has of
// a limit with so many in its own amounts; nil where no pair counts.
func newShare(name string, o *workOutcome, pairs []float64, layer, limit float64) *Share {
	if len(pairs) == 0 {
		return nil
	}
	s := &Share{Limit: name, Pairs: len(pairs)}
	s.Speed = limit / median(o.seconds) / 1e9
	s.Of = median(pairs) * layer / limit
	if s.State, s.Why = judge(o); s.State == StateOK && s.Pairs < leastRounds {
		s.State, s.Why = StateUnstable, fmt.Sprintf("pairs of samples that count: %d", s.Pairs)
	}
	return s
}
