package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/prepacked"
	"github.com/bitlane/bitlane/quant"
)

// runFlags is the command line of `bitlane run`.
type runFlags struct {
	*flags
	dense          denseFlags
	tp             tensorParallel
	device, tokens string
	layer          glob
	activations    string
	dtype          string
	kernel         string
	disable        list
	threads        int
	fused          bool
	tune           tuning
	seed           uint64
	input, output  string
	cache          string

	recipe *quant.Recipe // of --activations; nil: the checkpoint's
	xtype  dtype.DType   // of --dtype; Invalid: the checkpoint's
}

func (f *runFlags) register() {
	f.dense.register(f.flags)
	f.tp.register(f.flags)
	f.StringVar(&f.device, "device", "auto", "the device: auto, cpu, cpu:0, ... (see bitlane devices)")
	f.StringVar(&f.activations, "activations", "checkpoint", "how activations enter: checkpoint (what it was made for; exact where it says nothing), exact, int8-token, int8-token-asym, int8-token-xpu, int8-token-ascend, int4-token-ascend, int8-group[/SIZE]; plain layers are always exact")
	f.StringVar(&f.dtype, "dtype", "", "type of x and y: float32, float16, bfloat16 (default: config.json's, else float32)")
	f.StringVar(&f.kernel, "kernel", "", "use this kernel and no other")
	f.Var(&f.disable, "disable", "kernels not to use, beside those of BITLANE_DISABLE")
	f.IntVar(&f.threads, "threads", 0, "host threads, 0 for all that the process may use")
}

func (f *runFlags) choose() bitlane.ChooseOptions {
	return bitlane.ChooseOptions{Kernel: f.kernel, Disable: f.disable}
}

// resolve reads the flags that every layer shares, before anything is opened.
func (f *runFlags) resolve() error {
	if f.activations != "checkpoint" {
		recipe, err := quant.ParseRecipe(f.activations)
		if err != nil {
			return usagef("--activations: %v", err)
		}
		f.recipe = &recipe
	}
	if f.dtype != "" {
		t, err := dtype.Parse(f.dtype)
		if err != nil {
			return usagef("--dtype: %v", err)
		}
		f.xtype = t
	}
	if err := checkThreads(f.threads); err != nil {
		return err
	}
	if err := f.choose().Check(); err != nil {
		return usagef("%v", err)
	}
	return f.tp.resolve()
}

// openCache opens the directory of --cache, if there is one.
func (f *runFlags) openCache() (*prepacked.Cache, error) {
	if f.cache == "" {
		return nil, nil
	}
	c, err := prepacked.Open(f.cache)
	if err != nil {
		return nil, &fileError{"--cache", err}
	}
	return c, nil
}

// idle is a warning where --activations changes nothing of the layers that were picked.
func (f *runFlags) idle(picked ...module.Module) []string {
	if f.recipe == nil || f.recipe.Kind == quant.Exact || slices.ContainsFunc(picked, func(m module.Module) bool { return m.Quantized }) {
		return nil
	}
	return []string{"--activations: of no effect: plain layers are always exact, and there are no others here"}
}

// request turns the flags into a request for one layer of the model.
func (f *runFlags) request(m *checkpoint.Model, mod *module.Module, rows int) backend.Request {
	r := backend.Request{X: f.xtype, MaxRows: rows}
	if !r.X.Valid() {
		r.X = m.DType()
	}
	if !r.X.Valid() {
		r.X = dtype.F32
	}
	if mod.Quantized {
		r.Recipe = f.recipe
	}
	return r
}

// maxTokens bounds the rows of x.
const maxTokens = 1 << 16

func (f *runFlags) parseTokens() ([]int, error) {
	var rows []int
	for _, word := range strings.Split(f.tokens, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || n > maxTokens {
			return nil, usagef("--tokens is %q, want numbers from 1 to %d, separated by commas", f.tokens, maxTokens)
		}
		rows = append(rows, n)
	}
	return rows, nil
}

// checkFiles reports --input, --output and --tokens that do not go together.
func (f *runFlags) checkFiles(dir string, rows []int) error {
	tokens := false
	f.Visit(func(g *flag.Flag) { tokens = tokens || g.Name == "tokens" })
	switch {
	case f.input != "" && tokens:
		return usagef("--tokens does not go with --input, whose x has its own rows")
	case f.input == "" && f.output != "" && len(rows) > 1:
		return usagef("--output takes one run: give --tokens one number, or --input")
	}
	if f.input != "" {
		if _, err := os.Stat(f.input); err != nil {
			return usagef("--input: %v", err)
		}
	}
	if f.output == "" {
		return nil
	}
	if err := checkOutput("--output", f.output); err != nil {
		return err
	}
	return checkReplaced(dir, f.output)
}

// checkReplaced guards the files of the model and of others: an output may take the place of
// an earlier one only.
func checkReplaced(model, output string) error {
	if in, err := os.Stat(model); err == nil {
		if to, err := os.Stat(filepath.Dir(output)); err == nil && os.SameFile(in, to) {
			return usagef("--output is %s, want a file outside of the model's directory", output)
		}
	}
	if _, err := os.Stat(output); err != nil {
		return nil
	}
	before, err := safetensors.Open(output)
	if err == nil {
		defer before.Close()
	}
	if err != nil || !slices.Equal(before.Names(), []string{outputName}) {
		return usagef("--output is %s, which is there and is no earlier output; want a name that is free", output)
	}
	return nil
}

// runReport is the JSON of `bitlane run`.
type runReport struct {
	Directory string             `json:"directory"`
	Format    string             `json:"format"`
	Device    backend.DeviceInfo `json:"device"`
	DType     string             `json:"dtype"`
	Layers    []layerReport      `json:"layers"`
	Refused   []module.Refused   `json:"refused"`
	Findings  []module.Finding   `json:"findings"`
	Warnings  []string           `json:"warnings"`
	Summary   runSummary         `json:"summary"`
}

type runSummary struct {
	Layers   int     `json:"layers"`
	Runs     int     `json:"runs"`
	Accepted int     `json:"accepted"`           // runs within the error bound of the reference
	Failed   int     `json:"failed"`             // layers that could not be run
	Restored int     `json:"restored,omitempty"` // layers whose packed weights came from --cache
	Worst    float64 `json:"worst_over_bound"`   // largest |y − ref| / B before output rounding

	NotFinite int `json:"rows_not_finite,omitempty"` // of x or y, all runs together
}

func runRun(ctx context.Context, e *env, args []string) error {
	f := &runFlags{flags: newFlags(e, "run")}
	f.register()
	f.Var(&f.tune, "tune", tuneUsage)
	f.Var(&f.layer, "layer", "glob over layer names; * crosses dots")
	f.BoolVar(&f.fused, "fused", false, "run modules that read one input (q/k/v, gate/up) as one layer, where their numbers allow it: see bitlane inspect")
	f.StringVar(&f.tokens, "tokens", "1,16", "numbers of rows of x, separated by commas; a layer is made for the largest")
	f.Uint64Var(&f.seed, "seed", 1, "seed of the random x")
	f.StringVar(&f.input, "input", "", "safetensors file with the tensor x [M,K], instead of random x; needs --layer to name one layer")
	f.StringVar(&f.output, "output", "", "safetensors file to write the tensor y [M,N] to; needs --layer to name one layer")
	f.StringVar(&f.cache, "cache", "", "directory to keep packed weights in, and to take them from; made where it does not exist (default: none)")
	pos, err := f.parse(args, "DIR")
	if err != nil {
		return err
	}
	rows, err := f.parseTokens()
	if err == nil {
		err = f.checkFiles(pos[0], rows)
	}
	if err == nil {
		err = f.resolve()
	}
	if err == nil {
		err = f.tune.check(f.device)
	}
	if err != nil {
		return err
	}
	m, err := f.dense.open(ctx, pos[0])
	if err != nil {
		return err
	}
	defer m.Close()
	all, fused := m.Modules(), map[string]*checkpoint.Fused(nil)
	warnings := f.dense.warnings(m)
	if f.fused {
		if all, fused = fuse(m); len(fused) == 0 {
			warnings = append(warnings, "--fused: of no effect: no modules of this checkpoint can be run as one layer")
		}
	}
	modules, err := f.selectLayers(m, all)
	if err != nil {
		return err
	}
	warnings = append(warnings, f.idle(modules...)...)
	x, err := f.readInput(f.tp.features(&modules[0]))
	if err != nil {
		return &fileError{"--input", err}
	}
	dev, err := bitlane.Open(ctx, f.device, backend.OpenOptions{Threads: f.threads, Tuning: f.tune.Tuned})
	if err != nil {
		return err
	}
	if err := f.choose().CheckFor(dev.Info().Backend); err != nil {
		return errors.Join(usagef("--kernel: %v", err), dev.Close())
	}
	cache, err := f.openCache()
	if err != nil {
		return errors.Join(err, dev.Close())
	}
	r := &runner{e: e, f: f, model: m, dev: dev, rows: rows, x: x, cache: cache, fused: fused, report: runReport{
		Directory: pos[0], Format: m.Format(), Device: dev.Info(), Layers: []layerReport{},
		Refused: orEmpty(m.Refused()), Findings: []module.Finding{}, Warnings: warnings,
	}}
	err = r.all(ctx, modules)
	if cerr := dev.Close(); err == nil && cerr != nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return r.finish()
}

// selectLayers returns the layers that --layer names, all without it.
func (f *runFlags) selectLayers(m *checkpoint.Model, all []module.Module) ([]module.Module, error) {
	var picked []module.Module
	for _, mod := range all {
		if f.layer.match(mod.Name) {
			picked = append(picked, mod)
		}
	}
	switch {
	case len(all) == 0:
		why := ""
		for _, r := range m.Refused() {
			why += "\n  " + aboutLayer(r)
		}
		for _, w := range m.Warnings() {
			why += "\n  " + w
		}
		return nil, fmt.Errorf("the %s checkpoint has no linear layer that can be read, in %s%s", m.Format(), strings.Join(m.Files().Files(), ", "), why)
	case len(picked) == 0:
		return nil, usagef("--layer %q matches none of %s; the first is %s", f.layer, plural(len(all), "layer"), all[0].Name)
	case len(picked) > 1 && (f.input != "" || f.output != ""):
		return nil, usagef("--input and --output need --layer to name one layer, %q matches %d", f.layer, len(picked))
	}
	return picked, nil
}

// finish prints the end of the report and says whether all is well.
func (r *runner) finish() error {
	s := &r.report.Summary
	ok := s.Failed == 0 && s.Accepted == s.Runs && len(r.report.Refused) == 0
	if r.f.json {
		if err := r.e.printJSON(&r.report); err != nil {
			return err
		}
	} else {
		for _, line := range r.alike.rest() {
			r.e.warn("%s", line)
		}
		for _, layer := range r.report.Layers {
			for _, line := range layer.explanation(r.report.DType) {
				fmt.Fprintf(r.e.stderr, "%s: %s\n", layer.Name, strings.TrimPrefix(line, layer.Name+": "))
			}
		}
		for _, ref := range r.report.Refused {
			fmt.Fprintf(r.e.stderr, "refused: %s\n", aboutLayer(ref))
		}
		if r.cache != nil {
			fmt.Fprintf(r.e.stdout, "\n%s from %s in %s, %d packed in %s", plural(s.Restored, "layer"), r.cache.Dir(), humanTime(r.restoring),
				s.Layers-s.Restored-s.Failed, humanTime(r.packing))
		}
		fmt.Fprintf(r.e.stdout, "\n%s, %s: ", plural(s.Layers, "layer"), plural(s.Runs, "run"))
		switch {
		case ok:
			but := ""
			if s.NotFinite > 0 {
				but = fmt.Sprintf(", but for %s not finite", plural(s.NotFinite, "row"))
			}
			fmt.Fprintf(r.e.stdout, "all within the error bound of the float64 reference (worst %.2g of the bound before output rounding)%s\n", s.Worst, but)
		default:
			fmt.Fprintf(r.e.stdout, "%d accepted, %d not accepted; %s could not be run, %s not read\n",
				s.Accepted, s.Runs-s.Accepted, plural(s.Failed, "layer"), plural(len(r.report.Refused), "layer"))
		}
	}
	if !ok {
		return errFailed
	}
	return nil
}
