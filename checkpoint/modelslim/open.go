package modelslim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Name is the format's name in a module.Module.
const Name = "modelslim"

// The tensors of a module, after its name.
const (
	suffixWeight = ".weight"
	suffixPacked = ".weight_packed"
	suffixScale  = ".weight_scale"
	suffixOffset = ".weight_offset"
	suffixBias   = ".bias"
	suffixLeft   = ".left_trans"
	suffixRight  = ".right_trans"
	suffixClip   = ".clip_ratio"
)

// Option changes how a checkpoint is read.
type Option func(*reader)

// ConfigName is how errors call the description: its file. The default is
// "quant_model_description.json".
func ConfigName(name string) Option {
	return func(r *reader) { r.config = name }
}

// ModelType is the type of the model's activations. Transforms that are stored
// in a wider type are rounded to it, as the device's operator and the writer's
// own model take them. Without it they stay as they are stored.
func ModelType(t dtype.DType) Option {
	return func(r *reader) { r.model = t }
}

// reader is the module.Format of a checkpoint. It is not written to after
// Open.
type reader struct {
	src      safetensors.Source
	layers   map[string]*layer
	modules  []module.Module
	refused  []module.Refused
	warnings []string
	config   string      // what errors call the description
	model    dtype.DType // Invalid: not known
}

// layer is one module that can be read.
type layer struct {
	module.Module
	scheme
	weight, scale     safetensors.Tensor
	offset            safetensors.Tensor // no name: none
	left, right, clip safetensors.Tensor // no names: no transform
	groups            int
}

// Open reads the description (the JSON object of quant_model_description.json)
// and finds the modules of src whose weight has a type other than FLOAT.
//
// Modules of a type that is not read are in Refused, with what reading them
// would take; where none can be read the error (quant.ErrUnsupported) names
// each type with its number of layers. Tensors that are described as quantized
// and missing, and shapes that contradict each other, are quant.ErrFormat. The
// Format is also a module.Warner.
func Open(desc []byte, src safetensors.Source, options ...Option) (module.Format, error) {
	r := &reader{src: src, layers: map[string]*layer{}, config: "quant_model_description.json"}
	for _, o := range options {
		o(r)
	}
	d, err := parse(r.config, desc)
	if err != nil {
		return nil, err
	}
	if err := r.checkComplete(d); err != nil {
		return nil, err
	}
	counts := refusals{}
	var faults module.Faults
	for _, m := range r.find(d) {
		l, why, err := r.open(d, m)
		if err != nil {
			if err = faults.Add(m.name, err); err != nil {
				return nil, err
			}
			continue
		}
		if why != "" {
			r.refused = append(r.refused, module.Refused{Name: m.name, Why: m.kind + " is not read: " + why})
			counts.add(m.kind+" ("+why+")", m.name)
			continue
		}
		r.layers[m.name] = l
		r.modules = append(r.modules, l.Module)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	if len(r.refused) > 0 {
		if len(r.modules) == 0 {
			return nil, quant.Errorf(quant.ErrUnsupported, r.config, "", readTypes, "%s", strings.Join(counts.lines(), "; "))
		}
		for _, line := range counts.lines() {
			r.warnings = append(r.warnings, Name+": not read: "+line)
		}
	}
	return r, nil
}

// checkComplete compares the description with what is stored. Float tensors
// are only warned about: nothing here reads them, and descriptions are known
// to list what was left out of the files.
func (r *reader) checkComplete(d *description) error {
	quantized, floats, nq, nf := d.missing(func(name string) bool {
		_, ok := r.src.Lookup(name)
		return ok
	})
	if nq > 0 {
		return quant.Errorf(quant.ErrFormat, quantized, "tensor", fmt.Sprintf("it in the files, as %s says (%s)", d.name, d.types[quantized]),
			"absent, the first of %d", nq)
	}
	if nf > 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("%s: float tensors that are in no file: %d, the first is %.160s", d.name, nf, floats))
	}
	return nil
}

// described is a module and the type of its weight.
type described struct{ name, kind string }

// Origin is the part of a Source that shows tensors under other names than the
// files have: it returns the name in the files. It is optional.
type Origin interface{ Origin(name string) string }

// typeOf returns the type of a tensor, "" where it is not described.
func (r *reader) typeOf(d *description, tensor string) string {
	if t, ok := d.types[tensor]; ok {
		return t
	}
	if o, ok := r.src.(Origin); ok {
		return d.types[o.Origin(tensor)]
	}
	return ""
}

// find returns the quantized modules in natural order. Old writers give norms
// the type of the whole model: a weight of one dimension is not a layer's.
func (r *reader) find(d *description) []described {
	var out []described
	for _, t := range r.src.Names() {
		name, ok := strings.CutSuffix(t, suffixWeight)
		if !ok {
			name, ok = strings.CutSuffix(t, suffixPacked)
		}
		if !ok || name == "" {
			continue
		}
		kind := r.typeOf(d, t)
		if kind == "" || kind == float {
			continue
		}
		if info, _ := r.src.Lookup(t); len(info.Shape) == 1 && info.Type != safetensors.I8 {
			continue
		}
		out = append(out, described{name, kind})
	}
	slices.SortFunc(out, func(a, b described) int { return module.Compare(a.name, b.name) })
	return slices.CompactFunc(out, func(a, b described) bool { return a.name == b.name })
}

// open checks one module. It returns a layer, or what reading it would take.
func (r *reader) open(d *description, m described) (*layer, string, error) {
	s, ok := schemes[m.kind]
	if !ok {
		return nil, "it needs " + need(m.kind), nil
	}
	if _, ok := r.src.Lookup(m.name + suffixPacked); ok {
		return nil, "it needs " + needed["W4A16"], nil
	}
	if d.rotates(m.name) {
		return nil, "it needs a rotation of its input, of which the description speaks", nil
	}
	for _, c := range changes {
		explained := s.transform && (c.suffix == suffixLeft || c.suffix == suffixRight || c.suffix == suffixClip)
		if _, has := r.src.Lookup(m.name + c.suffix); has && !explained {
			return nil, fmt.Sprintf("it needs %s (it has a tensor %s)", c.what, c.suffix[1:]), nil
		}
	}
	if parent, ok := strings.CutSuffix(m.name, ".linear"); ok {
		if _, has := r.src.Lookup(parent + ".div.mul_scale"); has {
			return nil, "it needs its input multiplied by " + parent + ".div.mul_scale", nil
		}
	}
	l := &layer{scheme: s}
	l.Module = module.Module{
		Name: m.name, Format: Name, Detail: m.kind,
		Bits: s.bits, Symmetric: true, Recipe: quant.Recipe{Kind: s.recipe}, Quantized: true,
	}
	return l, "", r.check(d, l)
}

// Name returns "modelslim".
func (r *reader) Name() string { return Name }

// Modules returns the modules that Load reads.
func (r *reader) Modules() []module.Module { return r.modules }

// Refused returns the modules that are not read, with the reasons.
func (r *reader) Refused() []module.Refused { return r.refused }

// Warnings returns what looks odd in the description, and how many modules of
// each type are refused.
func (r *reader) Warnings() []string { return r.warnings }

// Trace implements module.Tracer.
func (r *reader) Trace(name string) (tensors []string, settings string) {
	l, ok := r.layers[name]
	if !ok {
		return nil, ""
	}
	for _, t := range []safetensors.Tensor{l.weight, l.scale, l.offset, l.left, l.right, l.clip} {
		if t.Name != "" {
			tensors = append(tensors, t.Name)
		}
	}
	return append(tensors, name+".bias"), fmt.Sprintf("%s %s [%d,%d] %d bits, %d groups of %d, %v, model %v",
		Name, l.Detail, l.N, l.K, l.Bits, l.groups, l.GroupSize, l.Recipe, r.model)
}
