package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/prepacked"
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
	x      []float32 // of --input, for the only layer; nil: random
	report runReport
	widths columns
	linear quant.Linear
	cache  *prepacked.Cache             // nil: none
	fused  map[string]*checkpoint.Fused // layers that stand for several modules

	alike              alike         // findings so far
	restoring, packing time.Duration // of the layers of cache
}

// layerReport is one layer of the report.
type layerReport struct {
	Name     string      `json:"name"`
	N        int         `json:"n"`
	K        int         `json:"k"`
	Scheme   string      `json:"scheme"`
	Kernel   string      `json:"kernel,omitempty"`
	Bytes    int64       `json:"bytes"`              // packed weights on the device
	Restored bool        `json:"restored,omitempty"` // the packed weights came from --cache
	Runs     []runResult `json:"runs"`
	Error    string      `json:"error,omitempty"`   // why the layer could not be run
	Reasons  []string    `json:"reasons,omitempty"` // each kernel's refusal, when none fits
}

// runResult is one Apply, verified.
type runResult struct {
	M         int     `json:"m"`
	Seconds   float64 `json:"seconds"`         // median of several calls
	GBps      float64 `json:"weight_gbps"`     // packed bytes of the weight per second
	Accepted  bool    `json:"accepted"`        // every y within the bound, every code equal
	OverBound float64 `json:"over_bound"`      // largest |y − ref| / B before output rounding
	Wrong     string  `json:"wrong,omitempty"` // the first thing that was not accepted
	notFinite
}

// explanation says what the table has no room for; t is the type of x and y.
func (l *layerReport) explanation(t string) []string {
	lines := slices.Clone(l.Reasons)
	if l.Error != "" && len(lines) == 0 {
		lines = append(lines, l.Error)
	}
	for _, r := range l.Runs {
		if r.Wrong != "" {
			lines = append(lines, fmt.Sprintf("M=%d: not accepted: %s", r.M, r.Wrong))
		}
		for _, line := range r.notFinite.explanation(r.M, t) {
			lines = append(lines, fmt.Sprintf("M=%d: %s", r.M, line))
		}
	}
	return lines
}

func (r *runner) all(ctx context.Context, modules []module.Module) error {
	r.printHead(modules)
	for i, mod := range modules {
		if ctx.Err() != nil {
			return stoppedAfter(ctx, i, len(modules), "layer")
		}
		r.e.progress("%d/%d %s", i+1, len(modules), mod.Name)
		layer, err := r.one(ctx, &mod)
		r.e.progress("")
		var bad *usageError
		var file *fileError
		switch {
		case ctx.Err() != nil:
			return stoppedAfter(ctx, i, len(modules), "layer")
		case errors.As(err, &bad):
			return err
		case errors.As(err, &file):
			if len(layer.Runs) > 0 {
				r.add(layer)
			}
			return err
		case err != nil:
			layer.Error = err.Error()
			var none *bitlane.NoKernelError
			if errors.As(err, &none) {
				layer.Reasons = strings.Split(err.Error(), "\n")
			}
			r.report.Summary.Failed++
		}
		r.add(layer)
	}
	return nil
}

// fileError is of a file of the user's, and no fault of the layer.
type fileError struct {
	flag  string
	cause error
}

func (f *fileError) Error() string { return f.flag + ": " + f.cause.Error() }

func (f *fileError) Unwrap() error { return f.cause }

// columns prints rows as they come: a table that waits for its last row shows
// nothing of a long run. Widths are those that the modules promise.
type columns struct{ name, shape, scheme, kernel int }

const runColumns = "%-*s  %-*s  %-*s  %-*s  %5v  %8s  %7s  %s\n"

func (r *runner) print(name, shape, scheme, kernel string, m any, time, rate, verdict string) {
	w := r.widths
	fmt.Fprintf(r.e.stdout, runColumns, w.name, name, w.shape, shape, w.scheme, scheme, w.kernel, kernel, m, time, rate, verdict)
}

func (r *runner) printHead(modules []module.Module) {
	if r.f.json {
		return
	}
	var bytes int64
	w := columns{len("layer"), len("N x K"), len("scheme"), len("kernel")}
	for _, m := range modules {
		bytes += m.Bytes
		recipe := m.Recipe
		if r.f.recipe != nil && m.Quantized {
			recipe = *r.f.recipe
		}
		m.Detail = ""
		w.name = max(w.name, len(m.Name))
		w.shape = max(w.shape, len(fmt.Sprintf("%d x %d", m.N, m.K)))
		w.scheme = max(w.scheme, len(schemeOf(&m)+" asym, "+recipe.String()))
	}
	r.widths = w
	i := r.dev.Info()
	if b, ok := backend.Lookup(i.Backend); ok {
		for _, k := range b.Kernels() {
			r.widths.kernel = max(r.widths.kernel, len(k.Name()))
		}
	}
	rank := ""
	if r.f.tp.size > 0 {
		rank = fmt.Sprintf("rank %d of %d of ", r.f.tp.rank, r.f.tp.size)
	}
	fmt.Fprintf(r.e.stdout, "%s: %s%s, %s, x and y in %v   on %s (%s, %s)\n\n", r.model.Format(), rank, plural(len(modules), "linear layer"), humanBytes(bytes),
		r.f.request(r.model, &modules[0], 1).X, i.Address(), i.Name, describe(i))
	for _, w := range r.report.Warnings {
		r.e.warn("%s", w)
	}
	r.print("layer", "N x K", "scheme", "kernel", "M", "time", "GB/s", "error/bound")
}

func (r *runner) add(l layerReport) {
	s := &r.report.Summary
	s.Layers++
	if l.Restored {
		s.Restored++
	}
	for _, run := range l.Runs {
		s.Runs++
		if run.Accepted {
			s.Accepted++
		}
		s.Worst = max(s.Worst, run.OverBound)
		s.NotFinite += run.X + run.Y
	}
	r.report.Layers = append(r.report.Layers, l)
	if r.f.json {
		return
	}
	shape := fmt.Sprintf("%d x %d", l.N, l.K)
	if l.Error != "" {
		r.print(l.Name, shape, l.Scheme, l.Kernel, "", "", "", "not run")
		return
	}
	for i, run := range l.Runs {
		verdict := fmt.Sprintf("%.2g", run.OverBound) + run.verdict()
		if !run.Accepted {
			verdict += " NOT ACCEPTED"
		}
		time, rate := humanTime(time.Duration(run.Seconds*1e9)), fmt.Sprintf("%.3g", run.GBps)
		if i == 0 {
			r.print(l.Name, shape, l.Scheme, l.Kernel, run.M, time, rate, verdict)
		} else {
			r.print("", "", "", "", run.M, time, rate, verdict)
		}
	}
}

// one loads, cuts, prepares, applies and verifies a layer.
func (r *runner) one(ctx context.Context, mod *module.Module) (layerReport, error) {
	out := layerReport{Name: mod.Name, N: mod.N, K: mod.K, Bytes: mod.Bytes, Runs: []runResult{}}
	part, err := r.part(mod.Name)
	if err != nil {
		return out, err
	}
	found, err := r.model.Load(ctx, &r.linear, mod.Name)
	if err != nil {
		return out, err
	}
	r.report.Findings = append(r.report.Findings, found...)
	for _, f := range found {
		if r.alike.shown(f) {
			r.e.warn("%s", findingText(f))
		}
	}
	l, err := part.Of(&r.linear)
	if err != nil {
		return out, err
	}
	out.N, out.K = l.Weight.N(), l.Weight.K()
	rows, x := r.rows, r.x
	if x != nil {
		rows = []int{len(x) / out.K}
	}
	request := r.f.request(r.model, mod, max(slices.Max(rows), 1))
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
	t := &trial{runner: r, linear: l, spec: spec, kernel: kernel, x: x, part: part}
	defer t.close()
	out.Runs, err = t.run(ctx, rows)
	if out.Restored = t.restored; err != nil {
		return out, err
	}
	out.Bytes = t.layer.Bytes()
	if r.f.output != "" {
		if err := writeOutput(r.f.output, request.X, t.y, rows[len(rows)-1], out.N); err != nil {
			return out, &fileError{"--output", err}
		}
	}
	return out, nil
}
