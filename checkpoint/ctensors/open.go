package ctensors

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// Name is the format's name in a module.Module.
const Name = "compressed-tensors"

// The tensors of a module, after its name.
const (
	suffixPacked = ".weight_packed"
	suffixWeight = ".weight"
	suffixScale  = ".weight_scale"
	suffixZero   = ".weight_zero_point"
	suffixIndex  = ".weight_g_idx"
	suffixShape  = ".weight_shape"
	suffixGlobal = ".weight_global_scale"
	suffixBias   = ".bias"
	suffixBitmap = ".bitmask" // of the sparse formats
)

// Option changes how a checkpoint is read.
type Option func(*reader)

// ConfigName is how errors call the configuration: the file and the key that it
// is from. The default is "quantization_config".
func ConfigName(name string) Option {
	return func(r *reader) { r.config = name }
}

// reader is the module.Format of a checkpoint. It is not written to after
// Open.
type reader struct {
	src     safetensors.Source
	layers  map[string]*layer
	modules []module.Module
	refused []module.Refused
	config  string // what errors call the configuration

	ambiguous int    // modules that patterns of several schemes match,
	first     string // and the first of them
}

// layer is one module that can be read.
type layer struct {
	module.Module
	scheme *scheme
	config string // what errors call the configuration
	weight safetensors.Tensor
	packed bool // int32 words of codes; otherwise int8 values
	scale  safetensors.Tensor
	zero   safetensors.Tensor // no name: none
	index  safetensors.Tensor // no name: none
	groups int
}

// Open reads the configuration (the JSON object quantization_config, or
// compression_config in old files) and finds the quantized modules of src: the
// prefixes with a weight_packed, or with an int8 weight.
//
// Modules whose scheme is not read are in Refused with the reason; where no
// module can be read, the error (quant.ErrUnsupported) names each format and
// scheme with its number of layers. Tensors that contradict each other or the
// configuration are quant.ErrFormat.
func Open(cfg []byte, src safetensors.Source, options ...Option) (module.Format, error) {
	r := &reader{src: src, layers: map[string]*layer{}, config: "quantization_config"}
	for _, o := range options {
		o(r)
	}
	c, err := parseConfig(r.config, cfg)
	if err != nil {
		return nil, err
	}
	var faults module.Faults
	for _, name := range prefixes(src) {
		l, reason, err := r.open(c, name)
		if err != nil {
			if err = faults.Add(name, err); err != nil {
				return nil, err
			}
			continue
		}
		if reason != "" {
			r.refused = append(r.refused, module.Refused{Name: name, Why: reason})
			continue
		}
		r.layers[name] = l
		r.modules = append(r.modules, l.Module)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	if len(r.modules) == 0 && len(r.refused) > 0 {
		return nil, quant.Errorf(quant.ErrUnsupported, r.config, "",
			"integer weights in pack-quantized, int-quantized or naive-quantized form, activations exact or int8 per token", "%s", module.Reasons(r.refused))
	}
	return r, nil
}

// Warnings implements module.Warner.
func (r *reader) Warnings() []string {
	if r.ambiguous == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s with targets of several schemes, of which programs take different ones; the first is %s, which its tensors fit", Name, module.Count(r.ambiguous, "module"), r.first)}
}

// Trace implements module.Tracer.
func (r *reader) Trace(name string) (tensors []string, settings string) {
	l, ok := r.layers[name]
	if !ok {
		return nil, ""
	}
	for _, t := range []safetensors.Tensor{l.weight, l.scale, l.zero, l.index} {
		if t.Name != "" {
			tensors = append(tensors, t.Name)
		}
	}
	w := l.scheme.weights
	return append(tensors, name+suffixBias), fmt.Sprintf("%s %s [%d,%d] %d bits, sym %v, %s of %d in %d, actorder %v, %v",
		Name, l.Detail, l.N, l.K, l.Bits, l.Symmetric, w.strategy, w.group, l.groups, w.reordered, l.Recipe)
}

// prefixes returns the names of the modules that hold quantized tensors, or an int8
// weight whose scales may be missing, in natural order.
func prefixes(src safetensors.Source) []string {
	var out []string
	for _, t := range src.Names() {
		for _, suffix := range []string{suffixPacked, suffixScale, suffixBitmap} {
			if name, ok := strings.CutSuffix(t, suffix); ok && name != "" {
				// The sparse formats hang theirs on ….weight as well.
				out = append(out, strings.TrimSuffix(name, suffixWeight))
			}
		}
		if name, ok := strings.CutSuffix(t, suffixWeight); ok && name != "" {
			if w, _ := src.Lookup(t); w.Type == safetensors.I8 {
				out = append(out, name)
			}
		}
	}
	slices.SortFunc(out, module.Compare)
	return slices.Compact(out)
}

// open finds a module's scheme and tensors and checks their shapes. It returns
// a layer, or the reason why the module is refused. Where patterns of several schemes
// match it, it has the first that its tensors fit.
func (r *reader) open(c *config, name string) (*layer, string, error) {
	if c.refused != "" {
		return nil, c.refused, nil
	}
	ignored, err := c.find(&c.ignore, name)
	if err != nil {
		return nil, "", err
	}
	if len(ignored) > 0 {
		return nil, "quantized tensors, but the ignore list has the module", nil
	}
	schemes, err := c.find(&c.targets, name)
	if err != nil {
		return nil, "", err
	}
	if len(schemes) == 0 {
		return nil, "quantized tensors, but no target matches the module", nil
	}
	for _, i := range schemes {
		l, why, err := r.with(&c.schemes[i], name)
		switch {
		case err != nil && !errors.Is(err, quant.ErrFormat):
			return nil, "", err
		case err != nil || why != "":
			continue
		}
		if len(schemes) > 1 {
			r.note(c, schemes, l)
		}
		return l, "", nil
	}
	return r.with(&c.schemes[schemes[0]], name)
}

// note counts a layer that could have another scheme as well.
func (r *reader) note(c *config, schemes []int, l *layer) {
	if r.ambiguous++; r.ambiguous == 1 {
		r.first = fmt.Sprintf("%s of %q and %q, read as %q", l.Name, c.schemes[schemes[0]].name, c.schemes[schemes[1]].name, l.scheme.name)
	}
}

// with is open with a scheme.
func (r *reader) with(s *scheme, name string) (*layer, string, error) {
	refuse := func(format string, args ...any) (*layer, string, error) {
		return nil, fmt.Sprintf("format %q, scheme %q: ", s.format, s.name) + fmt.Sprintf(format, args...), nil
	}
	if why := s.refusal(); why != "" {
		return refuse("%s", why)
	}
	l := &layer{scheme: s, config: r.config}
	var ok bool
	if l.weight, l.packed = r.src.Lookup(name + suffixPacked); !l.packed {
		if l.weight, ok = r.src.Lookup(name + suffixWeight); !ok {
			return refuse("packed tensors without a weight_packed or a weight are not read")
		}
		if l.weight.Type != safetensors.I8 {
			return refuse("a weight of type %s with a weight_scale is not read", l.weight.Type)
		}
		if _, ok = r.src.Lookup(name + suffixScale); !ok {
			return refuse("there is no %s for a weight of type %s", name+suffixScale, l.weight.Type)
		}
	}
	if len(l.weight.Shape) != 2 {
		return refuse("a weight of %s is not read", module.Count(len(l.weight.Shape), "dimension"))
	}
	if _, ok = r.src.Lookup(name + suffixGlobal); ok {
		return refuse("a weight_global_scale is not read")
	}
	l.Module = module.Module{
		Name: name, Format: Name, Detail: "int-quantized",
		Bits: s.weights.bits, Symmetric: s.weights.symmetric, Recipe: s.recipe(), Quantized: true,
	}
	if l.packed {
		l.Detail = "pack-quantized"
	} else if s.format == "naive-quantized" {
		l.Detail = s.format
	}
	return l, "", l.check(r.src)
}
