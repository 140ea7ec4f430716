package bench

import (
	"context"
	"errors"
	"time"

	"github.com/bitlane/bitlane/backend"
)

// A Together is layers that share x: applied as one by the device's Grouper,
// and one by one.
type Together struct {
	Set         string   `json:"set"`
	Shapes      []string `json:"shapes"`
	M           int      `json:"m"`
	Scheme      string   `json:"scheme"`
	DType       string   `json:"dtype"`
	Kernel      string   `json:"kernel"`
	Threads     int      `json:"threads"`
	SecondsOne  float64  `json:"seconds_p50_grouped"`
	SecondsEach float64  `json:"seconds_p50_separate"`
	Gain        float64  `json:"gain"` // how many times faster as one, median of pairs
	Pairs       int      `json:"pairs"`
	Samples     int      `json:"samples"`
	Dropped     int      `json:"dropped_disturbed"`
	State       string   `json:"state"`
	Why         string   `json:"why,omitempty"`
}

// A setStack is copies of a set that take turns, grouped and as they are. Both
// ways share the packed weights.
type setStack struct {
	stacks  []*Stack // one for each layer
	grouped []backend.Layer
	next    int
}

// newSetStack prepares copies of all layers of a set and groups each.
func newSetStack(ctx context.Context, dev backend.Device, set Set, f Form, kernel string, rows int, cold int64) (s *setStack, err error) {
	g, ok := dev.(backend.Grouper)
	if !ok {
		return nil, errors.New("the device groups no layers")
	}
	var bytes int64
	for _, shape := range set.Layers {
		bytes += f.Bytes(shape)
	}
	s = &setStack{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
			s = nil
		}
	}()
	for _, shape := range set.Layers {
		part := cold * f.Bytes(shape) / bytes
		st, err := NewStack(ctx, dev, shape, f, kernel, rows, part)
		if err != nil {
			return s, err
		}
		s.stacks = append(s.stacks, st)
	}
	copies := s.stacks[0].Copies()
	for _, st := range s.stacks {
		copies = min(copies, st.Copies())
	}
	for i := range copies {
		var layers []backend.Layer
		for _, st := range s.stacks {
			layers = append(layers, st.copies[i])
		}
		one, err := g.Group(layers...)
		if err != nil {
			return s, err
		}
		s.grouped = append(s.grouped, one)
	}
	return s, nil
}

func (s *setStack) close() error {
	var errs []error
	for _, g := range s.grouped {
		errs = append(errs, g.Close())
	}
	for _, st := range s.stacks {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}

// turn returns the number of the copy whose turn it is.
func (s *setStack) turn() int {
	s.next = (s.next + 1) % len(s.grouped)
	return s.next
}

// apart measures a set both ways.
func (m *machine) apart(ctx context.Context, dev backend.Device, set Set, s *setStack, rows int, budget time.Duration) (out Together, err error) {
	spec := s.stacks[0].Spec
	out = Together{
		Set: set.Name, M: rows, Scheme: spec.Scheme(), DType: spec.X.String(), Kernel: s.stacks[0].Kernel.Name(),
		Threads: m.gang.threads, State: StateOK,
	}
	var callers []*Caller
	defer func() {
		for _, c := range callers {
			err = errors.Join(err, c.Close())
		}
	}()
	for _, st := range s.stacks {
		out.Shapes = append(out.Shapes, st.Shape.String())
		c, err := st.Caller(dev)
		if err != nil {
			return out, err
		}
		callers = append(callers, c)
	}
	joint := s.grouped[0].Spec()
	one, err := NewCaller(dev, &joint, s.grouped[0].Workspace(joint.MaxRows))
	if err != nil {
		return out, err
	}
	callers = append(callers, one)
	w := newWaiting()
	defer w.close()
	grouped, err := applyWork(ctx, "grouped", w, one, rows, func() error { return one.Apply(ctx, s.grouped[s.turn()], rows) })
	if err != nil {
		return out, err
	}
	separate, err := applyWork(ctx, "separate", w, callers[0], rows, func() error {
		i := s.turn()
		for j, st := range s.stacks {
			if err := callers[j].Apply(ctx, st.copies[i], rows); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	if u := m.unitOf(s.stacks[0], rows, dev.Info().Tier); u != nil {
		grouped.wide = u.Wide
	}
	t, err := m.meter.run(ctx, []work{grouped, separate}, budget)
	if err != nil {
		return out, err
	}
	out.fill(t.reduce())
	return out, nil
}

func (t *Together) fill(o outcome) {
	t.Samples, t.Dropped, t.Pairs = o.works[0].total(), o.works[0].disturbed, len(o.pairs[1])
	if t.Pairs < min(leastRounds, t.Samples) {
		t.State, t.Why = StateDisturbed, fewText
		if t.Pairs == 0 {
			return
		}
	}
	t.SecondsOne, t.SecondsEach = median(o.works[0].seconds), median(o.works[1].seconds)
	t.Gain = median(o.pairs[1])
}
