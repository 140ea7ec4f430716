package quantize

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/ctensors"
	"github.com/bitlane/bitlane/checkpoint/gptq"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// encoder is what a format's package gives to write a module.
type encoder interface {
	Entries(name string, f *quant.Form) ([]safetensors.Entry, error)
	Encode(name string, w *quant.Weight) ([]safetensors.Data, error)
}

// plan is everything that is known before a weight is read.
type plan struct {
	o        Options
	encoder  encoder
	layers   []layer // those to quantize, in natural order
	kept     []module.Refused
	ignored  []string // modules of a configuration's ignore list
	joints   []joint  // of both kinds of layers
	units    []unit   // in the order of writing
	warnings []string
}

// layer is one linear layer to quantize.
type layer struct {
	module.Module
	settings Settings
	rtn      quant.RTN
	form     quant.Form
}

// unit is what is written at a time: a layer's tensors, or a tensor to copy.
type unit struct {
	name    string
	layer   *layer // nil: a copy
	entries []safetensors.Entry
	bytes   int64
	shard   int
}

// manyProblems bounds what one error lists.
const manyProblems = 20

func newPlan(m *checkpoint.Model, dir string, o Options) (*plan, error) {
	p := &plan{o: o}
	if o.Format == CompressedTensors {
		p.encoder = new(ctensors.Encoder)
	} else {
		p.encoder = &gptq.Encoder{Version: o.version()}
	}
	if m.Format() != "dense" {
		return nil, quant.Errorf(quant.ErrUnsupported, dir, "format", "a plain model (float32, float16 or bfloat16): quantizing twice loses what the first kept", "%s", m.Format())
	}
	var problems []error
	for _, r := range m.Refused() {
		problems = append(problems, quant.Errorf(quant.ErrUnsupported, r.Name, "", "a weight that can be quantized, or the module skipped, which copies it", "%s", r.Why))
	}
	used := make([]bool, len(o.Overrides))
	for _, mod := range m.Modules() {
		if !mod.Quantized {
			p.kept = append(p.kept, module.Refused{Name: mod.Name, Why: "kept " + mod.Plain.String()})
			p.ignored = append(p.ignored, mod.Name)
			continue
		}
		l, err := p.layerOf(m, mod, used)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		p.layers = append(p.layers, l)
	}
	problems = append(idleGlobs(m, o, used), problems...) // first: of many layers only some are named
	if len(problems) > 0 {
		return nil, joined(problems)
	}
	if len(p.layers) == 0 {
		return nil, quant.Errorf(quant.ErrUnsupported, dir, "", "linear layers to quantize", "%s, all kept or skipped", module.Count(len(m.Modules()), "linear layer"))
	}
	p.findIgnored(m)
	p.joints = p.findJoints()
	p.warn(tied(filepath.Join(dir, configName)))
	if err := p.plan(m); err != nil {
		return nil, err
	}
	return p, nil
}

// GlobError reports a glob of Options that decides for no layer or tensor of the
// model: what it was meant for is not there, or has another name. It is of class
// quant.ErrUnsupported.
type GlobError struct {
	Err error // naming the glob and the option
}

// Error returns the text of Err.
func (e *GlobError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *GlobError) Unwrap() error { return e.Err }

// idleGlobs reports the globs that match no name of the model, and the overrides that
// are not used: misspelt ones would change nothing in silence.
func idleGlobs(m *checkpoint.Model, o Options, used []bool) (problems []error) {
	idle := func(glob, field, want, has string) {
		problems = append(problems, &GlobError{quant.Errorf(quant.ErrUnsupported, glob, field, want, "%s", has)})
	}
	for _, option := range []struct {
		name  string
		globs []string
	}{{"Quantize", o.Quantize}, {"Keep", o.Keep}, {"Skip", o.Skip}} {
		for _, g := range m.Unmatched(option.globs) {
			idle(g, "glob in "+option.name, "one that matches a layer or tensor", "without a match")
		}
	}
	for i, u := range used {
		if !u {
			idle(o.Overrides[i].Glob, "override", "a glob that decides for some layer", "without effect: no layer that is quantized matches it, or earlier ones match them all")
		}
	}
	return problems
}

func joined(problems []error) error {
	if len(problems) < 2 {
		return errors.Join(problems...)
	}
	all := []error{fmt.Errorf("%s, so that nothing is written", module.Count(len(problems), "problem"))}
	if more := len(problems) - manyProblems; more > 0 {
		problems = append(problems[:manyProblems:manyProblems], fmt.Errorf("and %s", module.Count(more, "more problem")))
	}
	return errors.Join(append(all, problems...)...)
}

// layerOf decides how a layer is quantized and whether the format can have it so.
func (p *plan) layerOf(m *checkpoint.Model, mod module.Module, used []bool) (layer, error) {
	s := p.o.Settings
	if o := p.overridesOf(mod.Name); len(o) > 0 {
		s, used[o[0]] = p.o.Overrides[o[0]].Settings, true
	}
	l := layer{Module: mod, settings: s}
	stored, _ := m.Files().Lookup(mod.Name + ".weight")
	t, _ := stored.Type.DType()
	l.rtn = quant.RTN{Bits: s.Bits, Group: s.Group, Asymmetric: s.Asymmetric, Accurate: !s.Parity}
	switch {
	case s.Parity && p.o.Scales != dtype.Invalid && p.o.Scales != t:
		return l, quant.Errorf(quant.ErrUnsupported, mod.Name, "scale type", t.String()+", the weight's, in parity mode", "%v", p.o.Scales)
	case !s.Parity:
		if l.rtn.Scales = p.o.Scales; l.rtn.Scales == dtype.Invalid {
			l.rtn.Scales = t
		}
		if p.o.Format == GPTQ && s.Asymmetric {
			l.rtn.LeastZero = 1
		}
	}
	if s.Group != -1 && mod.K%s.Group != 0 {
		return l, quant.Errorf(quant.ErrUnsupported, mod.Name, "K",
			fmt.Sprintf("a multiple of the group size %d, as readers of %s have it (give the layer another group size, or -1, or keep it)", s.Group, p.o.Format), "%d", mod.K)
	}
	if m.InputFirst(mod.Name) && p.o.Format == CompressedTensors {
		return l, quant.Errorf(quant.ErrUnsupported, mod.Name, "weight", "[N, K]: compressed-tensors knows linear layers only (write gptq, or keep it)", "stored input first, as GPT-2's Conv1D")
	}
	var err error
	if l.form, err = l.rtn.Form(mod.Name+".weight", t, mod.N, mod.K); err != nil {
		return l, err
	}
	_, err = p.encoder.Entries(mod.Name, &l.form)
	if err != nil && p.o.Format != CompressedTensors {
		err = fmt.Errorf("%w: keep %s plain (Keep, --keep), give it other bits (Overrides, --set), or write %s, which has every size", err, l.Name, CompressedTensors)
	}
	return l, err
}

// overridesOf returns the overrides that match a name: the first decides.
func (p *plan) overridesOf(name string) (matches []int) {
	for i, v := range p.o.Overrides {
		if checkpoint.Glob(v.Glob).Match(name) {
			matches = append(matches, i)
		}
	}
	return matches
}

// head is the module that configurations treat apart. It may have no tensor, being
// tied to the embedding, and is a linear layer nevertheless.
const head = "lm_head"

// findIgnored adds the linear layers that are in no list of modules: those that the
// options skip, with experts in one tensor, those that pass for an embedding by their
// names (the projections of a vision_embed_tokens), and a head that is tied.
func (p *plan) findIgnored(m *checkpoint.Model) {
	for _, s := range m.Skipped() {
		t, ok := m.Files().Lookup(s.Name + ".weight")
		if !ok {
			t, _ = m.Files().Lookup(s.Name)
		}
		name, dims := s.Name, len(t.Shape)
		skipped := slices.ContainsFunc(p.o.Skip, func(g string) bool { return checkpoint.Glob(g).Match(s.Name) })
		switch at := strings.LastIndex(name, "experts."); {
		case skipped && dims == 3 && at >= 0:
			name = name[:at+len("experts")] // the module of all of them
		case !ok || dims != 2 || !skipped && isEmbedding(name):
			continue
		}
		if skipped {
			p.kept = append(p.kept, module.Refused{Name: s.Name, Why: "skipped"})
		}
		p.ignored = append(p.ignored, name)
	}
	if !p.quantizes(head) {
		p.ignored = append(p.ignored, head)
	}
	slices.SortFunc(p.ignored, module.Compare)
	p.ignored = slices.Compact(p.ignored)
}

// isEmbedding tells the embedding of most decoders, which need not be ignored, from
// what may be a linear layer.
func isEmbedding(name string) bool {
	return name[strings.LastIndexByte(name, '.')+1:] == "embed_tokens"
}

func (p *plan) quantizes(name string) bool {
	return slices.ContainsFunc(p.layers, func(l layer) bool { return l.Name == name })
}

// warn says what other programs may not take. tied is whether the head is the
// embedding.
func (p *plan) warn(tied bool) {
	if tied && p.quantizes(head) {
		p.warnings = append(p.warnings, "tie_word_embeddings says that lm_head is the embedding: others use that one, or cannot load a head that is quantized")
	}
	if p.o.Format == GPTQ && slices.ContainsFunc(p.layers, func(l layer) bool { return l.settings.Asymmetric }) {
		p.warnings = append(p.warnings, "GPTQModel refuses asymmetric checkpoints of gptq that it did not write itself: for it, take gptq_v2")
	}
	p.warnOfJoints()
}

// plan lists what is written, in natural order, and divides it into files.
func (p *plan) plan(m *checkpoint.Model) error {
	replaced := map[string]bool{}
	for i := range p.layers {
		l := &p.layers[i]
		entries, err := p.encoder.Entries(l.Name, &l.form)
		if err != nil {
			return err
		}
		replaced[l.Name+".weight"] = true
		p.units = append(p.units, unit{name: l.Name, layer: l, entries: entries})
	}
	for _, t := range m.Tensors() {
		if !replaced[t.Name] {
			p.units = append(p.units, unit{name: t.Name, entries: []safetensors.Entry{{Name: t.Name, Type: t.Type, Shape: t.Shape}}})
		}
	}
	slices.SortFunc(p.units, func(a, b unit) int { return module.Compare(a.name, b.name) })
	owner := map[string]string{}
	shard, size := 0, int64(0)
	for i := range p.units {
		u := &p.units[i]
		for _, e := range u.entries {
			if other, taken := owner[e.Name]; taken {
				return quant.Errorf(quant.ErrUnsupported, e.Name, "tensor", "a name that is free", "of %s and of %s", other, u.name)
			}
			owner[e.Name] = u.name
			n, err := e.Bytes()
			if err != nil {
				return err
			}
			u.bytes += n
		}
		if size > 0 && u.bytes > p.o.ShardSize-size {
			shard, size = shard+1, 0
		}
		u.shard = shard
		size += u.bytes
	}
	return nil
}

func (p *plan) shards() int { return p.units[len(p.units)-1].shard + 1 }

// file returns the name of a shard.
func (p *plan) file(shard int) string {
	if p.shards() == 1 {
		return safetensors.SingleName
	}
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", shard+1, p.shards())
}
