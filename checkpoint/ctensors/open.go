package ctensors

import (
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

// reader is the module.Format of a checkpoint. It is not written to after
// Open.
type reader struct {
	src     safetensors.Source
	layers  map[string]*layer
	modules []module.Module
	refused []module.Refused
}

// layer is one module that can be read.
type layer struct {
	module.Module
	scheme *scheme
	weight safetensors.Tensor
	packed bool // int32 words of codes; otherwise int8 values
	scale  safetensors.Tensor
	zero   safetensors.Tensor // no name: none
	index  safetensors.Tensor // no name: none
	groups int
}

// Open reads the configuration (the JSON object quantization_config, or
// compression_config in old files) and finds the quantized modules of src: the
// prefixes with a weight_packed, or with an int8 weight and a weight_scale.
//
// Modules whose scheme is not read are in Refused with the reason; where no
// module can be read, the error (quant.ErrUnsupported) names each format and
// scheme with its number of layers. Tensors that contradict each other or the
// configuration are quant.ErrFormat.
func Open(cfg []byte, src safetensors.Source) (module.Format, error) {
	c, err := parseConfig(cfg)
	if err != nil {
		return nil, err
	}
	r := &reader{src: src, layers: map[string]*layer{}}
	var why []string // of each refused module, in the same order
	for _, name := range prefixes(src) {
		l, reason, err := r.open(c, name)
		if err != nil {
			return nil, err
		}
		if reason != "" {
			r.refused = append(r.refused, module.Refused{Name: name, Why: reason})
			why = append(why, reason)
			continue
		}
		r.layers[name] = l
		r.modules = append(r.modules, l.Module)
	}
	if len(r.modules) == 0 && len(why) > 0 {
		return nil, quant.Errorf(quant.ErrUnsupported, "quantization_config", "",
			"integer weights in pack-quantized, int-quantized or naive-quantized form, activations exact or int8 per token", "%s", count(why))
	}
	return r, nil
}

// prefixes returns the names of the modules that hold quantized tensors, in
// natural order.
func prefixes(src safetensors.Source) []string {
	var out []string
	for _, t := range src.Names() {
		for _, suffix := range []string{suffixPacked, suffixScale, suffixBitmap} {
			if name, ok := strings.CutSuffix(t, suffix); ok && name != "" {
				// The sparse formats hang theirs on ….weight as well.
				out = append(out, strings.TrimSuffix(name, suffixWeight))
			}
		}
	}
	slices.SortFunc(out, module.Compare)
	return slices.Compact(out)
}

// count makes one line of reasons, each with the number of layers it holds for.
func count(why []string) string {
	const most = 8
	n := map[string]int{}
	var order []string
	for _, w := range why {
		if n[w]++; n[w] == 1 {
			order = append(order, w)
		}
	}
	var lines []string
	for _, w := range order[:min(len(order), most)] {
		lines = append(lines, fmt.Sprintf("%s: %d layers", w, n[w]))
	}
	if more := len(order) - most; more > 0 {
		lines = append(lines, fmt.Sprintf("%d more reasons", more))
	}
	return strings.Join(lines, "; ")
}

// open finds a module's scheme and tensors and checks their shapes. It returns
// a layer, or the reason why the module is refused.
func (r *reader) open(c *config, name string) (*layer, string, error) {
	if c.refused != "" {
		return nil, c.refused, nil
	}
	_, ignored, err := c.find(&c.ignore, name)
	if err != nil {
		return nil, "", err
	}
	if ignored {
		return nil, "quantized tensors, but the ignore list has the module", nil
	}
	i, found, err := c.find(&c.targets, name)
	if err != nil {
		return nil, "", err
	}
	if !found {
		return nil, "quantized tensors, but no target matches the module", nil
	}
	s := &c.schemes[i]
	refuse := func(format string, args ...any) (*layer, string, error) {
		return nil, fmt.Sprintf("format %q, scheme %q: ", s.format, s.name) + fmt.Sprintf(format, args...), nil
	}
	if why := s.refusal(); why != "" {
		return refuse("%s", why)
	}
	l := &layer{scheme: s}
	var ok bool
	if l.weight, l.packed = r.src.Lookup(name + suffixPacked); !l.packed {
		if l.weight, ok = r.src.Lookup(name + suffixWeight); !ok {
			return refuse("packed tensors without a weight_packed or a weight are not read")
		}
		if l.weight.Type != safetensors.I8 {
			return refuse("a weight of type %s with a weight_scale is not read", l.weight.Type)
		}
	}
	if len(l.weight.Shape) != 2 {
		return refuse("a weight of %d dimensions is not read", len(l.weight.Shape))
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
