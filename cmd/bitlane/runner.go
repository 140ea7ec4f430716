package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// runner applies the layers of one model on one device, one after another: it
// holds one layer at a time.
type runner struct {
	e      *env
	f      *runFlags
	model  *checkpoint.Model
	dev    backend.Device
	rows   []int
	report runReport
	table  *tabwriter.Writer
	linear quant.Linear
}

// layerReport is one layer of the report.
type layerReport struct {
	Name    string      `json:"name"`
	N       int         `json:"n"`
	K       int         `json:"k"`
	Scheme  string      `json:"scheme"`
	Kernel  string      `json:"kernel,omitempty"`
	Bytes   int64       `json:"bytes"` // packed weights on the device
	Runs    []runResult `json:"runs"`
	Error   string      `json:"error,omitempty"`   // why the layer could not be run
	Reasons []string    `json:"reasons,omitempty"` // each kernel's refusal, when none fits
}

// runResult is one Apply, verified.
type runResult struct {
	M         int     `json:"m"`
	Seconds   float64 `json:"seconds"`         // median of several calls
	GBps      float64 `json:"weight_gbps"`     // packed bytes of the weight per second
	Accepted  bool    `json:"accepted"`        // every y within the bound, every code equal
	OverBound float64 `json:"over_bound"`      // largest |y − ref| / B before output rounding
	Wrong     string  `json:"wrong,omitempty"` // the first thing that was not accepted
}

func (l *layerReport) explanation() []string {
	lines := slices.Clone(l.Reasons)
	if l.Error != "" && len(lines) == 0 {
		lines = append(lines, l.Error)
	}
	for _, r := range l.Runs {
		if r.Wrong != "" {
			lines = append(lines, fmt.Sprintf("M=%d: not accepted: %s", r.M, r.Wrong))
		}
	}
	return lines
}

func (r *runner) all(ctx context.Context, modules []module.Module) error {
	r.printHead(modules)
	for i, mod := range modules {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.e.progress("%d/%d %s", i+1, len(modules), mod.Name)
		layer, err := r.one(ctx, &mod)
		var bad *usageError
		if errors.As(err, &bad) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			layer.Error = err.Error()
			var none *bitlane.NoKernelError
			if errors.As(err, &none) {
				layer.Reasons = strings.Split(err.Error(), "\n")
			}
			r.report.Summary.Failed++
		}
		r.add(layer)
	}
	r.e.progress("")
	return nil
}

func (r *runner) printHead(modules []module.Module) {
	if r.f.json {
		return
	}
	var bytes int64
	for _, m := range modules {
		bytes += m.Bytes
	}
	i := r.dev.Info()
	fmt.Fprintf(r.e.stdout, "%s: %s, %s   on %s:%s (%s, %s)\n\n", r.model.Format(), plural(len(modules), "linear layer"), humanBytes(bytes), i.Backend, i.ID, i.Name, describe(i))
	for _, w := range r.report.Warnings {
		r.e.warn("%s", w)
	}
	r.table = r.e.table()
	fmt.Fprintln(r.table, "layer\tN x K\tscheme\tkernel\tM\ttime\tGB/s\terror/bound")
}

func (r *runner) add(l layerReport) {
	s := &r.report.Summary
	s.Layers++
	for _, run := range l.Runs {
		s.Runs++
		if run.Accepted {
			s.Accepted++
		}
		s.Worst = max(s.Worst, run.OverBound)
	}
	r.report.Layers = append(r.report.Layers, l)
	if r.f.json {
		return
	}
	head := fmt.Sprintf("%s\t%d x %d\t%s\t%s", l.Name, l.N, l.K, l.Scheme, l.Kernel)
	if l.Error != "" {
		fmt.Fprintf(r.table, "%s\t\t\t\tnot run\n", head)
	}
	for _, run := range l.Runs {
		verdict := fmt.Sprintf("%.2g", run.OverBound)
		if !run.Accepted {
			verdict += " NOT ACCEPTED"
		}
		fmt.Fprintf(r.table, "%s\t%d\t%s\t%.3g\t%s\n", head, run.M, humanTime(time.Duration(run.Seconds*1e9)), run.GBps, verdict)
		head = "\t\t\t"
	}
}

// one loads, cuts, prepares, applies and verifies a layer.
func (r *runner) one(ctx context.Context, mod *module.Module) (layerReport, error) {
	out := layerReport{Name: mod.Name, N: mod.N, K: mod.K, Bytes: mod.Bytes, Runs: []runResult{}}
	found, err := r.model.Load(ctx, &r.linear, mod.Name)
	if err != nil {
		return out, err
	}
	r.report.Findings = append(r.report.Findings, found...)
	for _, f := range found {
		r.e.warn("%s", findingText(f))
	}
	l, err := r.f.tp.apply(&r.linear)
	if err != nil {
		return out, err
	}
	out.N, out.K = l.Weight.N(), l.Weight.K()
	x, err := r.f.readInput(l)
	if err != nil {
		return out, err
	}
	rows := r.rows
	if x != nil {
		rows = []int{len(x) / out.K}
	}
	request, err := r.f.request(r.model, mod, max(slices.Max(rows), 1))
	if err != nil {
		return out, err
	}
	r.report.DType = request.X.String()
	if x == nil {
		x = randomInput(r.f.seed, l.Name, slices.Max(rows), out.K, request.X)
	} else {
		roundAll(request.X, x)
	}
	spec, err := backend.NewSpec(l, request)
	if err != nil {
		return out, err
	}
	out.Scheme = spec.Scheme()
	kernel, _, err := bitlane.Choose(r.dev, spec, r.f.choose())
	if err != nil {
		return out, err
	}
	out.Kernel = kernel.Name()
	t := &trial{runner: r, linear: l, spec: spec, kernel: kernel, x: x}
	defer t.close()
	if out.Runs, err = t.run(ctx, rows); err != nil {
		return out, err
	}
	out.Bytes = t.layer.Bytes()
	if r.f.output != "" {
		err = writeOutput(r.f.output, request.X, t.y, rows[len(rows)-1], out.N)
	}
	return out, err
}
