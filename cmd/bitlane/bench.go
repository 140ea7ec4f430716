package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/bench"
	"github.com/bitlane/bitlane/internal/topology"
	"github.com/bitlane/bitlane/quant"
)

// benchFlags is the command line of `bitlane bench`.
type benchFlags struct {
	*flags
	shapes, rows, kernels, activations, bits, group, dtypes, threads, cpus list

	device          string
	zeros, actOrder bool
	limits, sets    bool
	callers         int
	svg             string
	budget          time.Duration
	tune            tuning
}

func (f *benchFlags) register() {
	lists := func(l *list, name, usage string) { f.Var(l, name, usage) }
	lists(&f.shapes, "shapes", "layers: llama-8b, qwen-7b (all of a block's), or sizes KxN (default 4096x4096,llama-8b,qwen-7b; with --device 4096x4096,4096x14336,8192x8192,8192x28672)")
	lists(&f.rows, "m", "numbers of rows of x; a layer is made for the largest (default 1,2,4,8,16,32,64,128,256,512; for --groups 1, for --callers 1,16; with --device up to 4096)")
	lists(&f.kernels, "kernels", "kernels by name, or all that can run a layer (default: the best)")
	lists(&f.activations, "activations", "how activations enter: exact, int8-token, int8-token-asym, int8-group[/SIZE], ... (default exact,int8-group; with --device exact)")
	lists(&f.bits, "bits", "bits of a weight: 2 to 8, 16 for plain weights (default 4)")
	lists(&f.group, "group", "group sizes: numbers, or channel (default 128)")
	lists(&f.dtypes, "dtype", "types of x and y: float32, float16, bfloat16 (default bfloat16)")
	lists(&f.threads, "threads", "numbers of threads, at most one per core (default 1 and all)")
	lists(&f.cpus, "cpus", "logical CPUs to use, in order (default: one of each core that the process may use)")
	f.StringVar(&f.device, "device", "cpu", "what to measure: cpu, or a device with a clock of its own, such as cuda:0 or cuda-emulated:0")
	f.BoolVar(&f.zeros, "zeros", false, "explicit zero points")
	f.BoolVar(&f.actOrder, "act-order", false, "groups of shuffled features")
	f.BoolVar(&f.limits, "limits", false, "measure the limits, and what --groups and --callers ask for, but no shapes")
	f.BoolVar(&f.sets, "groups", false, "also q/k/v and gate/up of the models, as one layer beside one by one")
	f.IntVar(&f.callers, "callers", 0, "also so many callers of a layer at once beside one")
	f.StringVar(&f.svg, "svg", "", "write a roofline picture to this file")
	f.Var(&f.tune, "tune", "with --device: "+tuneUsage)
	f.DurationVar(&f.budget, "time", 400*time.Millisecond, "how long to measure each cell, at least")
}

var benchRows = list{"1", "2", "4", "8", "16", "32", "64", "128", "256", "512"}

func runBench(ctx context.Context, e *env, args []string) error {
	f := &benchFlags{flags: newFlags(e, "bench")}
	f.register()
	if _, err := f.parse(args); err != nil {
		return err
	}
	if f.device != "cpu" && f.device != "cpu:0" {
		return f.onDevice(ctx)
	}
	if f.tune.Tuned != nil {
		return usagef("--tune is for --device, the processor has nothing to tune")
	}
	o, err := f.options()
	if err == nil {
		err = f.checkKernels("cpu")
	}
	if err == nil && (!o.LimitsOnly || o.Sets || o.Callers > 0) {
		err = f.fitsTheMachine(ctx, &o, 2) // as they are made, and as a kernel has them
	}
	if err != nil {
		return err
	}
	w := bench.Watcher{}
	printer := &bench.Printer{W: e.stdout}
	if !f.json {
		w = printer.Watcher()
	}
	quiet(e, &w)
	report, err := bench.Run(ctx, o, w)
	e.progress("")
	if err != nil && (report == nil || len(report.Limits) == 0) {
		return err
	}
	if perr := f.finish(report, printer); perr != nil {
		return perr
	}
	if err == nil && !report.OK() {
		err = errFailed
	}
	return err
}

// checkKernels reports kernels that devices of a backend have not.
func (f *benchFlags) checkKernels(of string) error {
	for _, name := range f.kernels {
		if name == bench.AllKernels {
			continue
		}
		if err := (bitlane.ChooseOptions{Kernel: name}).CheckFor(of); err != nil {
			return usagef("--kernels: %v", err)
		}
	}
	return nil
}

// finish prints what comes after the tables, or the JSON, and the picture.
func (f *benchFlags) finish(report *bench.Report, printer *bench.Printer) error {
	if f.svg != "" {
		if err := os.WriteFile(f.svg, bench.SVG(report), 0o644); err != nil {
			return err
		}
	}
	if f.json {
		return f.e.printJSON(report)
	}
	printer.End(report)
	return nil
}

// quiet removes the progress before anything is printed, and draws it.
func quiet(e *env, w *bench.Watcher) {
	w.Progress = func(text string) { e.progress("%s", text) }
	clean := func() { e.progress("") }
	if begin := w.Begin; begin != nil {
		w.Begin = func(r *bench.Report) { clean(); begin(r) }
	}
	if limits := w.Limits; limits != nil {
		w.Limits = func(l []bench.Limit) { clean(); limits(l) }
	}
	if cell := w.Cell; cell != nil {
		w.Cell = func(c *bench.Cell) { clean(); cell(c) }
	}
	if together := w.Together; together != nil {
		w.Together = func(t *bench.Together) { clean(); together(t) }
	}
	if crowd := w.Crowd; crowd != nil {
		w.Crowd = func(c *bench.Crowd) { clean(); crowd(c) }
	}
}

func or(l list, otherwise ...string) list {
	if len(l) == 0 {
		return otherwise
	}
	return l
}

// options reads the flags.
func (f *benchFlags) options() (o bench.Options, err error) {
	o = bench.Options{Budget: f.budget, LimitsOnly: f.limits, Sets: f.sets, Callers: f.callers, Kernels: f.kernels}
	if f.svg != "" {
		if err := checkOutput("--svg", f.svg); err != nil {
			return o, err
		}
	}
	if o.Budget <= 0 {
		return o, usagef("--time is %v, want more than 0", f.budget)
	}
	if o.Callers < 0 || o.Callers == 1 || o.Callers > 1024 {
		return o, usagef("--callers is %d, want 2 to 1024", f.callers)
	}
	if o.LimitsOnly && !o.Sets && o.Callers == 0 {
		for _, flag := range []struct {
			name string
			set  bool
		}{
			{"--shapes", f.shapes != nil}, {"--m", f.rows != nil}, {"--kernels", f.kernels != nil}, {"--activations", f.activations != nil}, {"--bits", f.bits != nil},
			{"--group", f.group != nil}, {"--dtype", f.dtypes != nil}, {"--zeros", f.zeros}, {"--act-order", f.actOrder},
		} {
			if flag.set {
				return o, usagef("%s is of no use with --limits alone, which measures no layers", flag.name)
			}
		}
	}
	if o.Shapes, o.Models, err = bench.ParseShapes(or(f.shapes, "4096x4096", "llama-8b", "qwen-7b")); err != nil {
		return o, usagef("--shapes: %v", err)
	}
	if o.Sets && len(o.Models) == 0 {
		return o, usagef("--groups wants a model in --shapes: sizes do not say which layers share x")
	}
	for _, of := range []struct {
		to   *[]int
		rows list
	}{{&o.Rows, or(f.rows, benchRows...)}, {&o.SetRows, or(f.rows, "1")}, {&o.CallerRows, or(f.rows, "1", "16")}} {
		if *of.to, err = numbers("m", of.rows, 1, maxTokens); err != nil {
			return o, err
		}
	}
	if f.cpus != nil {
		if o.CPUs, err = numbers("cpus", f.cpus, 0, 1<<16); err != nil {
			return o, err
		}
		sorted := slices.Clone(o.CPUs)
		slices.Sort(sorted)
		if len(slices.Compact(sorted)) != len(o.CPUs) {
			return o, usagef("--cpus names a CPU twice")
		}
		for _, c := range o.CPUs {
			if allowed := topology.Here().CPUs; !slices.Contains(allowed, c) {
				return o, usagef("--cpus: the process may not use CPU %d; it may use %v", c, allowed)
			}
		}
	} else {
		o.CPUs = bench.Cores()
	}
	most := len(o.CPUs)
	if o.Threads, err = numbers("threads", or(f.threads, "1", strconv.Itoa(most)), 1, most); err != nil {
		return o, err
	}
	o.Threads = slices.Compact(o.Threads)
	o.Forms, err = f.forms()
	return o, err
}

// forms returns every combination of bits, groups, recipes and types that
// there is.
func (f *benchFlags) forms() (forms []bench.Form, err error) {
	var bits []int
	for _, word := range or(f.bits, "4") {
		b, err := strconv.Atoi(word)
		if err != nil || b < 2 || b > 8 && b != bench.PlainBits {
			return nil, usagef("--bits is %q, want numbers from 2 to 8, or %d for plain weights, separated by commas", word, bench.PlainBits)
		}
		bits = append(bits, b)
	}
	var groups []int
	for _, word := range or(f.group, "128") {
		if word == "channel" || word == "-1" {
			groups = append(groups, -1)
			continue
		}
		g, err := numbers("group", list{word}, 1, quant.MaxDim)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g...)
	}
	var recipes []quant.Recipe
	for _, word := range or(f.activations, "exact", "int8-group") {
		r, err := quant.ParseRecipe(word)
		if err == nil && r.Kind == quant.Int4FlatQuant {
			err = errors.New("int4-flatquant needs a checkpoint's transform: see bitlane run")
		}
		if err != nil {
			return nil, usagef("--activations: %v", err)
		}
		if r.Kind != quant.Exact && !slices.ContainsFunc(bits, func(b int) bool { return b != bench.PlainBits }) && f.activations != nil {
			return nil, usagef("--activations %s is of no use with --bits %d: plain weights are always exact", word, bench.PlainBits)
		}
		recipes = append(recipes, r)
	}
	var types []dtype.DType
	for _, word := range or(f.dtypes, "bfloat16") {
		t, err := dtype.Parse(word)
		if err != nil {
			return nil, usagef("--dtype: %v", err)
		}
		types = append(types, t)
	}
	for _, b := range bits {
		for _, g := range groups {
			for _, r := range recipes {
				for _, t := range types {
					form := bench.Form{Bits: b, Group: g, Zeros: f.zeros, ActOrder: f.actOrder, Recipe: r, X: t}
					if b == bench.PlainBits { // no groups and no recipes
						form = bench.Form{Bits: b, Group: -1, X: t}
					}
					if !slices.Contains(forms, form) {
						forms = append(forms, form)
					}
				}
			}
		}
	}
	return forms, nil
}

// numbers reads the words of a flag.
func numbers(flag string, words list, least, most int) ([]int, error) {
	var out []int
	for _, w := range words {
		n, err := strconv.Atoi(w)
		if err != nil || n < least || n > most {
			return nil, usagef("--%s is %q, want numbers from %d to %d, separated by commas", flag, w, least, most)
		}
		out = append(out, n)
	}
	return out, nil
}
