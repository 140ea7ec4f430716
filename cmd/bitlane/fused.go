package main

import (
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/prepacked"
	"github.com/bitlane/bitlane/quant"
)

// fuse replaces the modules that can be one layer by that layer, where the
// first of them is. Those that are known not to agree stay as they are.
func fuse(m *checkpoint.Model) (modules []module.Module, fused map[string]*checkpoint.Fused) {
	whole := map[string]*checkpoint.Fused{} // of each part
	all := m.Fused()
	fused = map[string]*checkpoint.Fused{}
	for i := range all {
		f := &all[i]
		switch {
		case f.Stored:
			fused[f.Name] = f
		case f.Problem == "":
			for _, p := range f.Parts {
				whole[p.Name] = f
			}
		}
	}
	at := map[string]int{}
	for _, mod := range m.Modules() {
		f := whole[mod.Name]
		if f == nil {
			modules = append(modules, mod)
			continue
		}
		i, seen := at[f.Name]
		if !seen {
			i, at[f.Name], fused[f.Name] = len(modules), len(modules), f
			modules = append(modules, mod)
			modules[i].Name = f.Name
			continue
		}
		w := &modules[i]
		w.N, w.Bytes = w.N+mod.N, w.Bytes+mod.Bytes
		w.Bias, w.Symmetric, w.ActOrder = w.Bias || mod.Bias, w.Symmetric && mod.Symmetric, w.ActOrder || mod.ActOrder
	}
	return modules, fused
}

// part is what --tp leaves of a layer. One that stands for several is cut in
// each of them, between heads.
func (r *runner) part(name string) (prepacked.Part, error) {
	f, tp := r.fused[name], &r.f.tp
	if f == nil || tp.size == 0 || tp.axis == "k" {
		return tp.part(name), nil
	}
	ranges, err := f.Rank(tp.rank, tp.size)
	return prepacked.Part{Name: name, Cuts: []prepacked.Cut{{Axis: quant.AxisN, Ranges: ranges}}}, err
}

// printFused lists the layers that can take the place of several, and those
// that are stored so.
func (e *env) printFused(all []checkpoint.Fused) error {
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintf(e.stdout, "\nmodules that read one input, as one layer (bitlane run --fused):\n")
	w := e.table()
	for _, f := range all {
		var parts []string
		for _, p := range f.Parts {
			name := p.Name[strings.LastIndexByte(p.Name, '.')+1:]
			if p.Rows != (quant.Range{}) {
				name += " " + p.Rows.String()
			}
			parts = append(parts, name)
		}
		how := ""
		switch {
		case f.Stored:
			how = "stored as one"
		case f.Problem != "":
			how = "not possible: " + f.Problem
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", f.Name, strings.Join(parts, ", "), how)
	}
	return w.Flush()
}
