package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/quantize"
	"github.com/bitlane/bitlane/dtype"
)

// quantizeFlags is the command line of `bitlane quantize`.
type quantizeFlags struct {
	*flags
	format               string
	bits, group          int
	asym                 bool
	method               string
	scales               string
	set                  sets
	quantize, keep, skip globs
	shardSize            string
	force                bool
	threads              int
}

// sets is --set, which may be repeated; its settings have commas of their own.
type sets []string

func (s *sets) String() string { return strings.Join(*s, " ") }

func (s *sets) Set(v string) error {
	*s = append(*s, v)
	return nil
}

func (f *quantizeFlags) register() {
	f.StringVar(&f.format, "format", quantize.GPTQ, "what to write: "+strings.Join(quantize.Formats(), ", "))
	f.IntVar(&f.bits, "bits", 4, "bits of a weight: 2 to 8 in compressed-tensors, 2, 3, 4 or 8 in gptq")
	f.IntVar(&f.group, "group", 128, "features under one scale, a divisor of K, or -1 for all of a row")
	f.BoolVar(&f.asym, "asym", false, "zero points of their own")
	f.StringVar(&f.method, "method", "rtn-accurate", "rtn-accurate (each group's scale searched for the least squared error) or rtn (round to nearest, bit-equal to upstream)")
	f.StringVar(&f.scales, "scales", "", "type of the scales: float32, float16, bfloat16 (default: the weight's)")
	f.Var(&f.set, "set", "settings of the layers that a glob matches, GLOB=bits:8,group:32,asym,sym,method:rtn; may be repeated, the first that matches decides")
	f.Var(&f.quantize, "quantize", "globs of layers to quantize, also where --keep, --skip or the usual choice would not")
	f.Var(&f.keep, "keep", "globs of layers to keep plain, beside the usual heads and routers")
	f.Var(&f.skip, "skip", "globs of tensors to copy unread, beside the usual embeddings and norms")
	f.StringVar(&f.shardSize, "shard-size", "5GB", "the most that one file holds, as 500MB, 5GB, 2GiB")
	f.BoolVar(&f.force, "force", false, "replace OUT where it is a quantized model")
	f.IntVar(&f.threads, "threads", 0, "host threads, 0 for all that the process may use; the files do not depend on it")
}

// options reads the flags.
func (f *quantizeFlags) options() (o quantize.Options, err error) {
	base := quantize.Settings{Bits: f.bits, Group: f.group, Asymmetric: f.asym}
	searched, err := accurate(f.method)
	if err != nil {
		return o, err
	}
	base.Parity = !searched
	o = quantize.Options{Format: f.format, Settings: base, Quantize: f.quantize, Keep: f.keep, Skip: f.skip, Replace: f.force, Threads: f.threads}
	known := false
	for _, name := range quantize.Formats() {
		known = known || name == f.format
	}
	if !known {
		return o, usagef("--format is %q, want %s", f.format, strings.Join(quantize.Formats(), ", "))
	}
	if err := f.checkNumbers("--", base); err != nil {
		return o, err
	}
	for _, s := range f.set {
		v, err := f.override(s, base)
		if err != nil {
			return o, err
		}
		o.Overrides = append(o.Overrides, v)
	}
	if f.scales != "" {
		if o.Scales, err = dtype.Parse(f.scales); err != nil {
			return o, usagef("--scales: %v", err)
		}
	}
	if o.ShardSize, err = parseBytes(f.shardSize); err != nil {
		return o, usagef("--shard-size is %q, want a size, as 500MB, 5GB or 2GiB", f.shardSize)
	}
	return o, checkThreads(f.threads)
}

func (f *quantizeFlags) checkNumbers(prefix string, s quantize.Settings) error {
	if f.format == quantize.CompressedTensors {
		if s.Bits < 2 || s.Bits > 8 {
			return usagef("%sbits is %d, want 2 to 8", prefix, s.Bits)
		}
	} else if s.Bits != 2 && s.Bits != 3 && s.Bits != 4 && s.Bits != 8 {
		return usagef("%sbits is %d, want 2, 3, 4 or 8, as %s has (compressed-tensors has 2 to 8)", prefix, s.Bits, f.format)
	}
	if s.Group != -1 && s.Group < 1 {
		return usagef("%sgroup is %d, want -1 or at least 1", prefix, s.Group)
	}
	return nil
}

// override reads one --set; what it does not say is as for all layers.
func (f *quantizeFlags) override(text string, base quantize.Settings) (quantize.Override, error) {
	v := quantize.Override{Settings: base}
	at := strings.LastIndexByte(text, '=')
	if at < 1 || at == len(text)-1 {
		return v, usagef("--set is %q, want GLOB=bits:8,group:32", text)
	}
	v.Glob = text[:at]
	if err := checkpoint.Glob(v.Glob).Check(); err != nil {
		return v, usagef("--set %q: %v", text, err)
	}
	for _, word := range strings.Split(text[at+1:], ",") {
		word = strings.TrimSpace(word)
		key, value, _ := strings.Cut(word, ":")
		n, err := strconv.Atoi(value)
		switch {
		case key == "bits" && err == nil:
			v.Bits = n
		case key == "group" && err == nil:
			v.Group = n
		case word == "asym" || word == "sym":
			v.Asymmetric = word == "asym"
		case key == "method":
			searched, err := accurate(value)
			if err != nil {
				return v, usagef("--set %q: %v", text, err)
			}
			v.Parity = !searched
		default:
			return v, usagef("--set %q: %q, want bits:N, group:N, sym, asym or method:rtn", text, word)
		}
	}
	return v, f.checkNumbers("--set "+v.Glob+": ", v.Settings)
}

// parseBytes reads a size with or without its unit.
func parseBytes(s string) (int64, error) {
	unit := 1.0
	for _, u := range []struct {
		name string
		size float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	if v *= unit; !(v >= 1 && v < math.MaxInt64) {
		return 0, strconv.ErrRange
	}
	return int64(v), nil
}

// zeroRisk is what Options.RisksZero may come to, which only the numbers tell.
const zeroRisk = "--method rtn gives a group of few negative weights or none a zero point of 0, which gptq cannot store and gptq_v2 can"

func runQuantize(ctx context.Context, e *env, args []string) error {
	f := &quantizeFlags{flags: newFlags(e, "quantize")}
	f.register()
	pos, err := f.parse(args, "IN", "OUT")
	if err != nil {
		return err
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	// Who reads the output may go away, as head does. That would end the program where it
	// is, and leave what is made beside OUT.
	read, stop := signal.NotifyContext(ctx, syscall.SIGPIPE)
	defer stop()
	p := &quantizePrinter{f: f}
	if !f.json {
		if o.RisksZero() {
			e.warn("%s", zeroRisk)
		}
	}
	o.Progress = p.step
	r, err := quantize.Model(read, pos[0], pos[1], o)
	e.progress("")
	if err != nil && f.json { // else they are in the report
		for _, note := range p.notes {
			e.warn("%s", note)
		}
	}
	if errors.Is(err, context.Canceled) {
		after := fmt.Sprintf("after %s; %s is not written", plural(p.done, "layer"), pos[1])
		if ctx.Err() == nil {
			return fmt.Errorf("nobody reads the output any more, %s", after)
		}
		return &stopped{after, ctx.Err()}
	}
	var idle *quantize.GlobError
	if errors.As(err, &idle) { // as run has it
		return usagef("%v", err)
	}
	if err != nil {
		return err
	}
	if f.json {
		if o.RisksZero() {
			r.Warnings = append([]string{zeroRisk}, r.Warnings...)
		}
		return e.printJSON(r)
	}
	p.finish(r)
	return nil
}

// quantizePrinter prints layers as they come.
type quantizePrinter struct {
	f     *quantizeFlags
	done  int
	notes []string // which the report has once more
}

const quantizeColumns = "%-14s  %-16s  %9s  %9s  %5s  %s\n"

func (p *quantizePrinter) step(s quantize.Step) {
	e := p.f.e
	switch {
	case s.Note != "":
		p.notes = append(p.notes, s.Note)
		if !p.f.json {
			e.warn("%s", s.Note)
		}
		return
	case p.f.json:
		if s.Layer != nil {
			p.done++
		}
		return
	case s.Layer == nil:
		e.progress("%d/%d %s", s.Number, s.Of, s.Name)
		return
	}
	e.progress("")
	if p.done++; p.done == 1 {
		fmt.Fprintf(e.stdout, quantizeColumns, "N x K", "scheme", "error", "rtn", "saves", "layer")
	}
	l := s.Layer
	scheme := fmt.Sprintf("w%d channel", l.Bits)
	if l.Group > 0 {
		scheme = fmt.Sprintf("w%d g%d", l.Bits, l.Group)
	}
	if !l.Symmetric {
		scheme += " asym"
	}
	rtn, saves := beside(l.Error, l.RTNError)
	fmt.Fprintf(e.stdout, quantizeColumns, fmt.Sprintf("%d x %d", l.N, l.K), scheme, fmt.Sprintf("%.3g", l.Error), rtn, saves, l.Name)
}

// beside writes the error of plain round to nearest, and what another saves of it.
func beside(err float64, rtn *float64) (text, saves string) {
	if rtn == nil {
		return "-", "-"
	}
	if *rtn == 0 {
		return "0", "-"
	}
	return fmt.Sprintf("%.3g", *rtn), fmt.Sprintf("%.0f%%", 100*(1 - err / *rtn))
}

func (p *quantizePrinter) finish(r *quantize.Report) {
	e := p.f.e
	for _, k := range r.Kept {
		fmt.Fprintf(e.stdout, "plain: %s: %s\n", k.Name, k.Why)
	}
	for _, l := range r.LeftOut {
		fmt.Fprintf(e.stdout, "left out: %s: %s\n", l.Name, l.Why)
	}
	for _, w := range r.Warnings {
		if !slices.Contains(p.notes, w) {
			e.warn("%s", w)
		}
	}
	s := &r.Summary
	rtn, saves := beside(s.Error, s.RTNError)
	fmt.Fprintf(e.stdout, "\n%s: %s, %s quantized, %s copied, %s to %s in %s\n", r.Out, r.Format, plural(s.Layers, "layer"), plural(s.Copied, "tensor"),
		humanBytes(s.InBytes), humanBytes(s.OutBytes), plural(s.Shards, "file"))
	fmt.Fprintf(e.stdout, "squared error %.3g of the squared weights, round to nearest %s (saves %s)\n", s.Error, rtn, saves)
}
