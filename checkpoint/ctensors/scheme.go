package ctensors

import (
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// The strategies: how many elements share a scale.
const (
	perTensor  = "tensor"
	perChannel = "channel"
	perGroup   = "group"
	perToken   = "token"
)

// args is a QuantizationArgs object: how weights or activations are quantized.
type args struct {
	bits      int
	kind      string // "int" or "float"
	symmetric bool
	strategy  string
	group     int    // features in a group; 0 where there are none
	dynamic   string // "false", "true" or "local"
	reordered bool   // actorder "group": a group index is stored
	orChannel bool   // one scale per row is as good as groups (a preset that changed)
}

// scheme is one of the configuration's groups.
type scheme struct {
	name                     string // its key in config_groups
	format                   string // its own, else the configuration's; may be empty
	weights, inputs, outputs *args
}

// parseArgs reads the object under key, nil where there is none.
func parseArgs(o *module.Object, key string) (*args, error) {
	q, err := o.Object(key)
	if q == nil || err != nil {
		return nil, err
	}
	a := &args{}
	if a.bits, err = q.Int("num_bits", 8); err != nil {
		return nil, err
	}
	if a.kind, err = word(q, "type", "int"); err != nil {
		return nil, err
	}
	if a.symmetric, err = q.Bool("symmetric", true); err != nil {
		return nil, err
	}
	if a.group, err = q.Int("group_size", 0); err != nil {
		return nil, err
	}
	implied := perTensor
	switch {
	case a.group > 0:
		implied = perGroup
	case a.group == -1:
		implied = perChannel
	case a.group < 0 || q.Has("group_size"):
		return nil, quant.Errorf(quant.ErrFormat, q.Name, "group_size", "-1 or at least 1", "%d", a.group)
	}
	if a.strategy, err = word(q, "strategy", implied); err != nil {
		return nil, err
	}
	if a.strategy == perGroup && a.group < 1 {
		got := "absent"
		if a.group < 0 {
			got = fmt.Sprint(a.group)
		}
		return nil, quant.Errorf(quant.ErrFormat, q.Name, "group_size", "a number of features, as strategy group has", "%s", got)
	}
	if a.group > 0 && a.strategy != perGroup && a.strategy != "tensor_group" {
		return nil, quant.Errorf(quant.ErrFormat, q.Name, "group_size", fmt.Sprintf("none, as strategy %.40s has", a.strategy), "%d", a.group)
	}
	if a.dynamic, err = flag(q, "dynamic"); err != nil {
		return nil, err
	}
	order, err := flag(q, "actorder")
	if err != nil {
		return nil, err
	}
	switch order {
	case "true", "group", "dynamic":
		a.reordered = true
	case "false", "weight", "static":
	default:
		return nil, quant.Errorf(quant.ErrUnsupported, q.Name, "actorder", "group, weight or one of their aliases", "%.40q", order)
	}
	return a, nil
}

// word reads a string field in lower case, as upstream compares it.
func word(o *module.Object, key, absent string) (string, error) {
	s, err := o.Text(key)
	if s == "" {
		s = absent
	}
	return strings.ToLower(s), err
}

// flag reads a field that is a boolean or a string, as a lower-case word.
func flag(o *module.Object, key string) (string, error) {
	v, ok := o.Raw(key)
	if ok && v[0] != '"' {
		b, err := o.Bool(key, false)
		return fmt.Sprint(b), err
	}
	return word(o, key, "false")
}

// preset returns the scheme that a name stands for, in any case. Float presets
// have only what their refusal names.
func preset(name string) (*scheme, bool) {
	integer := func(bits int, strategy string, group int, symmetric bool) *args {
		return &args{bits: bits, kind: "int", symmetric: symmetric, strategy: strategy, group: group, dynamic: "false"}
	}
	float := func(bits int) *args {
		return &args{bits: bits, kind: "float", symmetric: true, strategy: perTensor, dynamic: "false"}
	}
	token := integer(8, perToken, 0, true)
	token.dynamic = "true"
	upper := strings.ToUpper(name)
	switch upper {
	case "UNQUANTIZED":
		return &scheme{}, true
	case "W8A8", "INT8":
		return &scheme{weights: integer(8, perChannel, 0, true), inputs: token}, true
	case "W4A8":
		return &scheme{weights: integer(4, perGroup, 128, true), inputs: token}, true
	case "W4A16_ASYM":
		return &scheme{weights: integer(4, perGroup, 128, false)}, true
	case "W8A16":
		// One scale per row in early versions, groups of 128 since.
		w := integer(8, perGroup, 128, true)
		w.orChannel = true
		return &scheme{weights: w}, true
	case "W2A16", "W3A16", "W4A16", "W5A16", "W6A16", "W7A16":
		return &scheme{weights: integer(int(upper[1]-'0'), perGroup, 128, true)}, true
	case "W4AFP8":
		return &scheme{weights: integer(4, perGroup, 128, true), inputs: float(8)}, true
	}
	for prefix, bits := range map[string]int{"FP8": 8, "MXFP8": 8, "NVFP4": 4, "MXFP4": 4} {
		if strings.HasPrefix(upper, prefix) {
			return &scheme{weights: float(bits)}, true
		}
	}
	return nil, false
}

// refusal says why modules of the scheme are not read, or "".
func (s *scheme) refusal() string {
	switch s.format {
	case "", "dense", "pack-quantized", "int-quantized", "naive-quantized":
	default:
		return "the format is not read"
	}
	w := s.weights
	switch {
	case w == nil:
		return "its weights are not quantized, but the tensors are"
	case w.kind != "int":
		return fmt.Sprintf("%d-bit %s weights are not read", w.bits, w.kind)
	case w.bits < 2 || w.bits > 8:
		return fmt.Sprintf("%d-bit weights are not read", w.bits)
	case w.dynamic != "false":
		return "dynamic weights are not read"
	case w.strategy != perTensor && w.strategy != perChannel && w.strategy != perGroup:
		return fmt.Sprintf("weights with strategy %q are not read", w.strategy)
	case s.outputs != nil:
		return "quantized output activations are not read"
	}
	in := s.inputs
	switch {
	case in == nil:
		return ""
	case in.kind != "int":
		return fmt.Sprintf("%d-bit %s activations are not read", in.bits, in.kind)
	case in.dynamic == "false":
		return "static activation scales are not read"
	case in.dynamic != "true":
		return fmt.Sprintf("%q dynamic activations are not read", in.dynamic)
	case in.strategy != perToken:
		return fmt.Sprintf("dynamic activations with strategy %q are not read", in.strategy)
	case !in.symmetric:
		return "asymmetric dynamic activations are not read"
	case in.bits != 8:
		return fmt.Sprintf("%d-bit activations are not read", in.bits)
	}
	return ""
}

// recipe is how a readable scheme's activations enter.
func (s *scheme) recipe() quant.Recipe {
	if s.inputs == nil {
		return quant.Recipe{Kind: quant.Exact}
	}
	return quant.Recipe{Kind: quant.Int8Token}
}
