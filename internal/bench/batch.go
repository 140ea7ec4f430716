package bench

import (
	"context"
	"errors"
	"slices"

	"github.com/bitlane/bitlane/backend"
)

// A batch is what a Run measures with one number of threads.
type batch struct {
	*runner
	*machine
	dev backend.Device
}

// kernels returns the names to measure a layer with, "" for the best.
func (b *batch) kernels(s Shape, f Form, rows int) ([]string, error) {
	switch {
	case len(b.o.Kernels) == 0:
		return []string{""}, nil
	case !slices.Contains(b.o.Kernels, AllKernels):
		return b.o.Kernels, nil
	}
	l, err := f.Linear(Shape{s.K, 1}, 1) // what decides is the same in one row
	if err != nil {
		return nil, err
	}
	spec, err := backend.NewSpec(l, backend.Request{X: f.X, MaxRows: rows})
	if err != nil {
		return nil, err
	}
	var names []string
	own, _ := backend.Lookup(b.dev.Info().Backend)
	for _, k := range own.Kernels() {
		if k.Supports(b.dev.Info(), spec) == nil {
			names = append(names, k.Name())
		}
	}
	return names, nil
}

// each calls f for every form and kernel of a shape. An error of f that is not
// the context's is the layer's own, and goes to failed.
func (b *batch) each(ctx context.Context, s Shape, rows []int, f func(Form, string) error, failed func(Form, string, error)) error {
	for _, form := range b.o.Forms {
		names, err := b.kernels(s, form, slices.Max(rows))
		if err != nil {
			failed(form, "", err)
			continue
		}
		for _, kernel := range names {
			err := f(form, kernel)
			if ctx.Err() != nil {
				return errors.Join(ctx.Err(), err)
			}
			if err != nil {
				failed(form, kernel, err)
			}
		}
	}
	return nil
}

func (b *batch) layers(ctx context.Context) error {
	for _, s := range b.o.Shapes {
		err := b.each(ctx, s, b.o.Rows, func(f Form, kernel string) error { return b.layer(ctx, s, f, kernel) },
			func(f Form, kernel string, err error) {
				c := newCell(s, f, 0, b.gang.threads)
				c.Kernel, c.State, c.Why = kernel, StateFailed, err.Error()
				b.add(&c)
			})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) layer(ctx context.Context, s Shape, f Form, kernel string) (err error) {
	b.say("preparing %v, %d bits", s, f.Bits)
	st, err := NewStack(ctx, b.dev, s, f, kernel, slices.Max(b.o.Rows), b.cold)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if !st.Cold {
		b.warn("%v, %d bits: %d copies are less than %d MiB: weights are not cold", s, f.Bits, st.Copies(), b.cold>>20)
	}
	c, err := st.Caller(b.dev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for _, rows := range b.o.Rows {
		b.step("%v %s, %s, M=%d, %d threads", s, st.Spec.Scheme(), st.Kernel.Name(), rows, b.gang.threads)
		cell, err := b.cell(ctx, st, c, b.dev.Info(), rows, b.o.Budget)
		if err != nil {
			return err
		}
		b.add(&cell)
	}
	return nil
}

func (b *batch) add(c *Cell) {
	b.report.Cells = append(b.report.Cells, *c)
	if b.w.Cell != nil {
		b.w.Cell(c)
	}
}

func (b *batch) sets(ctx context.Context) error {
	for _, model := range b.o.Models {
		for _, set := range model.Sets() {
			err := b.each(ctx, set.Layers[0], b.o.SetRows, func(f Form, kernel string) error { return b.set(ctx, set, f, kernel) },
				func(f Form, kernel string, err error) {
					b.addTogether(&Together{Set: set.Name, DType: f.X.String(), Kernel: kernel, Threads: b.gang.threads, State: StateFailed, Why: err.Error()})
				})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batch) set(ctx context.Context, set Set, f Form, kernel string) (err error) {
	b.say("preparing %s, %d bits", set.Name, f.Bits)
	s, err := newSetStack(ctx, b.dev, set, f, kernel, slices.Max(b.o.SetRows), b.cold)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, rows := range b.o.SetRows {
		b.step("%s as one layer and as %d, M=%d, %d threads", set.Name, len(set.Layers), rows, b.gang.threads)
		out, err := b.apart(ctx, b.dev, set, s, rows, b.o.Budget)
		if err != nil {
			return err
		}
		b.addTogether(&out)
	}
	return nil
}

func (b *batch) addTogether(t *Together) {
	b.report.Together = append(b.report.Together, *t)
	if b.w.Together != nil {
		b.w.Together(t)
	}
}

func (b *batch) crowds(ctx context.Context, cpus []int) error {
	for _, s := range b.o.Shapes {
		err := b.each(ctx, s, b.o.CallerRows, func(f Form, kernel string) error { return b.callers(ctx, s, f, kernel, cpus) },
			func(f Form, kernel string, err error) {
				b.addCrowd(&Crowd{Shape: s.String(), DType: f.X.String(), Kernel: kernel, Threads: b.gang.threads, Callers: b.o.Callers, State: StateFailed, Why: err.Error()})
			})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) callers(ctx context.Context, s Shape, f Form, kernel string, cpus []int) (err error) {
	b.say("preparing %v, %d bits", s, f.Bits)
	st, err := NewStack(ctx, b.dev, s, f, kernel, slices.Max(b.o.CallerRows), b.cold)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	for _, rows := range b.o.CallerRows {
		b.step("%v, %d callers beside one, M=%d, %d threads", s, b.o.Callers, rows, b.gang.threads)
		out, err := b.crowd(ctx, b.dev, st, b.o.Callers, rows, cpus, b.o.Budget)
		if err != nil {
			return err
		}
		b.addCrowd(&out)
	}
	return nil
}

func (b *batch) addCrowd(c *Crowd) {
	b.report.Crowds = append(b.report.Crowds, *c)
	if b.w.Crowd != nil {
		b.w.Crowd(c)
	}
}

// say shows what takes a while without being a step.
func (b *batch) say(format string, args ...any) {
	if b.w.Progress != nil {
		b.done--
		b.step(format, args...)
	}
}
