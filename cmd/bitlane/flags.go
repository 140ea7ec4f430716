package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/prepacked"
	"github.com/bitlane/bitlane/quant"
)

// errHelp is returned after --help printed its text.
var errHelp = errors.New("help")

// flags is a flag set whose flags may stand before, between and after the
// positional arguments.
type flags struct {
	*flag.FlagSet
	e    *env
	json bool
}

func newFlags(e *env, name string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), e: e}
	f.SetOutput(io.Discard)
	f.BoolVar(&f.json, "json", false, "print one JSON object with stable names")
	f.Usage = func() {}
	return f
}

// parse returns exactly want positional arguments.
func (f *flags) parse(args []string, want ...string) ([]string, error) {
	var pos []string
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(f.e.stdout, "usage: bitlane %s %s [flags]\n\n", f.Name(), strings.Join(want, " "))
			f.SetOutput(f.e.stdout)
			f.PrintDefaults()
			return nil, errHelp
		}
		if err != nil {
			return nil, usagef("%v", err)
		}
		if f.NArg() == 0 {
			break
		}
		pos = append(pos, f.Arg(0))
		args = f.Args()[1:]
	}
	if len(pos) < len(want) {
		return nil, usagef("%s is missing", want[len(pos)])
	}
	if len(pos) > len(want) {
		return nil, usagef("unexpected argument %q", pos[len(want)])
	}
	for i, p := range pos {
		if p == "" {
			return nil, usagef("%s is empty", want[i])
		}
	}
	return pos, nil
}

// checkOutput reports a file that cannot be written, where that can be known
// before it is made.
func checkOutput(flag, path string) error {
	if dir, err := os.Stat(filepath.Dir(path)); err != nil || !dir.IsDir() {
		return usagef("%s is %s, want a file in a directory that exists", flag, path)
	}
	switch at, err := os.Stat(path); {
	case err == nil && at.IsDir():
		return usagef("%s is %s, want a file, not a directory", flag, path)
	case err == nil && !at.Mode().IsRegular():
		return usagef("%s is %s, want a file, not a device or a pipe", flag, path)
	}
	return nil
}

// checkThreads reports --threads beyond the processors: more would only wait for
// each other, and a slip of the finger starts thousands.
func checkThreads(n int) error {
	if most := runtime.NumCPU(); n < 0 || n > most {
		return usagef("--threads is %d, want 1 to %d, the processors that the process may use, or 0 for all", n, most)
	}
	return nil
}

// list is a flag of comma-separated words that may be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	for _, word := range strings.Split(s, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*l = append(*l, word)
		}
	}
	return nil
}

// globs is a list of patterns of layer names.
type globs list

func (g *globs) String() string { return (*list)(g).String() }

func (g *globs) Set(s string) error {
	var words list
	_ = words.Set(s)
	for _, word := range words {
		if err := checkpoint.Glob(word).Check(); err != nil {
			return err
		}
	}
	*g = append(*g, words...)
	return nil
}

// glob is one pattern of layer names; empty, it matches all.
type glob string

func (g *glob) String() string { return string(*g) }

func (g *glob) Set(s string) error {
	*g = glob(s)
	return checkpoint.Glob(s).Check()
}

func (g glob) match(name string) bool { return g == "" || checkpoint.Glob(g).Match(name) }

// denseFlags are the flags for weights that are quantized on load.
type denseFlags struct {
	f                    *flags
	bits, group          int
	asym                 bool
	method               string
	quantize, keep, skip globs
}

func (d *denseFlags) register(f *flags) {
	d.f = f
	f.IntVar(&d.bits, "bits", 4, "bits for weights that are quantized on load (dense checkpoints): 2 to 8")
	f.IntVar(&d.group, "group", 128, "group size for weights that are quantized on load, -1 for one group per channel")
	f.BoolVar(&d.asym, "asym", false, "zero points of their own for weights that are quantized on load")
	f.StringVar(&d.method, "method", "rtn", "how weights are quantized on load: rtn (bit-equal to upstream, in the weight's type) or rtn-accurate (float32)")
	f.Var(&d.quantize, "quantize", "globs of dense layers to quantize, also where --keep, --skip or the usual choice would not")
	f.Var(&d.keep, "keep", "globs of dense layers to keep plain, beside the usual heads and routers")
	f.Var(&d.skip, "skip", "globs of dense layers to leave out, beside the usual embeddings and norms")
}

func (d *denseFlags) options() (checkpoint.Options, error) {
	rtn := quant.RTN{Bits: d.bits, Group: d.group, Asymmetric: d.asym}
	var err error
	if rtn.Accurate, err = accurate(d.method); err != nil {
		return checkpoint.Options{}, err
	}
	if d.bits < 2 || d.bits > 8 {
		return checkpoint.Options{}, usagef("--bits is %d, want 2 to 8", d.bits)
	}
	if d.group != -1 && d.group < 1 {
		return checkpoint.Options{}, usagef("--group is %d, want -1 or at least 1", d.group)
	}
	return checkpoint.Options{Partial: true, Dense: checkpoint.DenseOptions{RTN: rtn, Quantize: d.quantize, Keep: d.keep, Skip: d.skip}}, nil
}

// accurate reads --method.
func accurate(method string) (bool, error) {
	switch method {
	case "rtn":
		return false, nil
	case "rtn-accurate":
		return true, nil
	}
	return false, usagef("--method is %q, want rtn or rtn-accurate", method)
}

// open opens the checkpoint in dir.
func (d *denseFlags) open(ctx context.Context, dir string) (*checkpoint.Model, error) {
	o, err := d.options()
	if err != nil {
		return nil, err
	}
	m, err := checkpoint.Open(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	if err := d.check(m); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// check reports a glob that matches nothing of the model.
func (d *denseFlags) check(m *checkpoint.Model) error {
	for _, f := range []struct {
		name  string
		globs globs
	}{{"quantize", d.quantize}, {"keep", d.keep}, {"skip", d.skip}} {
		if idle := m.Unmatched(f.globs); len(idle) > 0 {
			return usagef("--%s %q matches nothing in this checkpoint", f.name, idle[0])
		}
	}
	return nil
}

// warnings are the model's, and one for flags that change nothing of it.
func (d *denseFlags) warnings(m *checkpoint.Model) []string {
	warnings := orEmpty(m.Warnings())
	var idle []string
	d.f.Visit(func(g *flag.Flag) {
		if slices.Contains([]string{"bits", "group", "asym", "method"}, g.Name) {
			idle = append(idle, "--"+g.Name)
		}
	})
	if len(idle) == 0 || slices.ContainsFunc(m.Modules(), func(mod module.Module) bool { return mod.Format == "dense" && mod.Quantized }) {
		return warnings
	}
	return append(warnings, fmt.Sprintf("%s: of no effect: nothing in this %s checkpoint is quantized on load", strings.Join(idle, ", "), m.Format()))
}

// tensorParallel is --tp RANK/SIZE with --tp-axis.
type tensorParallel struct {
	spec, axis string
	rank, size int // size 0: the whole layer
}

func (t *tensorParallel) register(f *flags) {
	f.StringVar(&t.spec, "tp", "", "run one tensor-parallel rank of each layer: RANK/SIZE, for example 0/2")
	f.StringVar(&t.axis, "tp-axis", "auto", "which axis --tp cuts: n (column parallel), k (row parallel), auto (k for o_proj, down_proj and their kin)")
}

// rowParallel are the names of projections back into the residual stream,
// which tensor parallelism cuts along K.
var rowParallel = []string{"o_proj", "down_proj", "out_proj", "c_proj", "wo", "w2", "fc2", "dense_4h_to_h", "output.dense", "self_attention.dense"}

// resolve reads the flags.
func (t *tensorParallel) resolve() error {
	if t.axis != "auto" && t.axis != "n" && t.axis != "k" {
		return usagef("--tp-axis is %q, want auto, n or k", t.axis)
	}
	if t.spec == "" {
		if t.axis != "auto" {
			return usagef("--tp-axis is of no use without --tp RANK/SIZE")
		}
		return nil
	}
	r, s, ok := strings.Cut(t.spec, "/")
	rank, err1 := strconv.Atoi(r)
	size, err2 := strconv.Atoi(s)
	if !ok || err1 != nil || err2 != nil || size < 1 || rank < 0 || rank >= size {
		return usagef("--tp is %q, want RANK/SIZE with 0 <= RANK < SIZE", t.spec)
	}
	t.rank, t.size = rank, size
	return nil
}

// part is the rank's part of a layer, all of it without --tp.
func (t *tensorParallel) part(name string) prepacked.Part {
	p := prepacked.Part{Name: name}
	if t.size > 0 {
		p.Cuts = []prepacked.Cut{{Axis: t.axisOf(name), Rank: t.rank, Size: t.size}}
	}
	return p
}

// features is K of what part leaves of a module.
func (t *tensorParallel) features(mod *module.Module) int {
	if t.size > 0 && t.size <= mod.K && t.axisOf(mod.Name) == quant.AxisK {
		return quant.Share(mod.K, t.rank, t.size).Len()
	}
	return mod.K
}

// axisOf is the axis along which a layer is cut.
func (t *tensorParallel) axisOf(name string) quant.Axis {
	if t.axis == "k" {
		return quant.AxisK
	}
	if t.axis == "auto" {
		for _, suffix := range rowParallel {
			if name == suffix || strings.HasSuffix(name, "."+suffix) {
				return quant.AxisK
			}
		}
	}
	return quant.AxisN
}
