package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

type explainReport struct {
	Layer   string           `json:"layer"`
	Scheme  string           `json:"scheme"`
	Spec    backend.Spec     `json:"spec"`
	Reports []bitlane.Report `json:"backends"`

	Warnings []string `json:"warnings"`
}

func runExplain(ctx context.Context, e *env, args []string) error {
	f := &runFlags{flags: newFlags(e, "explain")}
	f.register()
	rows := f.Int("rows", 16, "the largest number of rows that the layer will see")
	pos, err := f.parse(args, "DIR", "LAYER")
	if err != nil {
		return err
	}
	if *rows < 1 {
		return usagef("--rows is %d, want at least 1", *rows)
	}
	if err := f.resolve(); err != nil {
		return err
	}
	m, err := f.dense.open(ctx, pos[0])
	if err != nil {
		return err
	}
	defer m.Close()
	for _, mod := range m.Modules() {
		if mod.Name != pos[1] {
			continue
		}
		var l quant.Linear
		if _, err := m.Load(ctx, &l, mod.Name); err != nil {
			return err
		}
		cut := f.tp.part(mod.Name)
		part, err := cut.Of(&l)
		if err != nil {
			return err
		}
		spec, err := backend.NewSpec(part, f.request(m, &mod, *rows))
		if err != nil {
			return err
		}
		return f.explain(ctx, explainReport{Layer: mod.Name, Scheme: spec.Scheme(), Spec: spec, Warnings: append(f.dense.warnings(m), f.idle(mod)...)})
	}
	for _, fused := range m.Fused() {
		if fused.Name == pos[1] {
			return usagef("%s is not stored as one layer; explain its parts, the first is %s", pos[1], fused.Parts[0].Name)
		}
	}
	return usagef("%s has no layer %q; bitlane inspect %s lists them", pos[0], pos[1], pos[0])
}

func (f *runFlags) explain(ctx context.Context, r explainReport) error {
	chosen := false
	for _, rep := range bitlane.Explain(ctx, r.Spec, f.choose()) {
		name := rep.Device.Address()
		if f.device != "" && f.device != "auto" && f.device != name && f.device != rep.Device.Backend {
			continue
		}
		r.Reports = append(r.Reports, rep)
		for _, v := range rep.Verdicts {
			chosen = chosen || v.Chosen
		}
	}
	if len(r.Reports) == 0 {
		dev, err := bitlane.Open(ctx, f.device, backend.OpenOptions{}) // says what there is instead
		if err == nil {
			err = errors.Join(fmt.Errorf("--device is %q, want auto, a backend or %s", f.device, dev.Info().Address()), dev.Close())
		}
		return err
	}
	if f.json {
		if err := f.e.printJSON(&r); err != nil {
			return err
		}
	} else if err := f.printExplain(&r); err != nil {
		return err
	}
	if !chosen {
		return errFailed
	}
	return nil
}

func (f *runFlags) printExplain(r *explainReport) error {
	s := &r.Spec
	fmt.Fprintf(f.e.stdout, "%s: %d x %d, %s, x %v, y %v, up to %s\n", r.Layer, s.N, s.K, r.Scheme, s.X, s.Y, plural(s.MaxRows, "row"))
	if s.N != s.FullN || s.KCut() {
		fmt.Fprintf(f.e.stdout, "part of %d x %d: rows %s, features %s\n", s.FullN, s.FullK, rangesText(s.NRanges), rangesText(s.KRanges))
	}
	for _, text := range r.Warnings {
		f.e.warn("%s", text)
	}
	w := f.e.table()
	for _, rep := range r.Reports {
		name := rep.Device.Address()
		if rep.Reason != "" {
			fmt.Fprintf(w, "%s\t-\tno device\t%s\n", name, rep.Reason)
		}
		for _, v := range rep.Verdicts {
			switch {
			case v.Chosen:
				fmt.Fprintf(w, "%s\t%s\tchosen\t%s\n", name, v.Kernel, v.Note)
			case v.Refusal != nil:
				for i, reason := range v.Refusal.Reasons {
					if i > 0 {
						fmt.Fprintf(w, "\t\t\t%s\n", reason)
						continue
					}
					fmt.Fprintf(w, "%s\t%s\trefused\t%s\n", name, v.Kernel, reason)
				}
			default:
				fmt.Fprintf(w, "%s\t%s\t\t%s\n", name, v.Kernel, v.Note)
			}
		}
	}
	return w.Flush()
}

func rangesText(ranges []quant.Range) string {
	if ranges == nil {
		return "all"
	}
	words := make([]string, len(ranges))
	for i, r := range ranges {
		words[i] = r.String()
	}
	return strings.Join(words, " ")
}
