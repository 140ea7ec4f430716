package ctensors

import (
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/module"
)

// Scheme is how the modules of its targets are quantized.
type Scheme struct {
	Targets   []string // exact names, "re:" with a pattern, or class names
	Bits      int
	Group     int // -1: one scale per row
	Symmetric bool
	ActOrder  bool // a group index is stored
}

// Config is what a quantization configuration of pack-quantized modules says. A
// module's scheme is the one with its exact name, then the first with a pattern that
// matches, then the one with its class.
type Config struct {
	Schemes []Scheme
	Ignore  []string // modules that are not quantized, as Targets has them
}

// Class is the class of every module that this package reads, as targets name it.
const Class = class

// Fields returns the configuration as it stands in config.json under
// quantization_config.
func (c *Config) Fields() []module.Field {
	var groups []module.Field
	for i, s := range c.Schemes {
		groups = append(groups, module.NewField(fmt.Sprintf("group_%d", i), []module.Field{
			module.NewField("input_activations", nil),
			module.NewField("output_activations", nil),
			module.NewField("targets", s.Targets),
			module.NewField("weights", s.weights()),
		}))
	}
	ignore := c.Ignore
	if ignore == nil {
		ignore = []string{}
	}
	return []module.Field{
		module.NewField("config_groups", groups),
		module.NewField("format", "pack-quantized"),
		module.NewField("global_compression_ratio", nil),
		module.NewField("ignore", ignore),
		module.NewField("kv_cache_scheme", nil),
		module.NewField("quant_method", Name),
		module.NewField("quantization_status", "compressed"),
	}
}

func (s *Scheme) weights() []module.Field {
	var group, order any
	strategy := perChannel
	if s.Group > 0 {
		group, strategy = s.Group, perGroup
	}
	if s.ActOrder {
		order = "group"
	}
	return []module.Field{
		module.NewField("actorder", order),
		module.NewField("block_structure", nil),
		module.NewField("dynamic", false),
		module.NewField("group_size", group),
		module.NewField("num_bits", s.Bits),
		module.NewField("observer", "minmax"),
		module.NewField("observer_kwargs", []module.Field{}),
		module.NewField("strategy", strategy),
		module.NewField("symmetric", s.Symmetric),
		module.NewField("type", "int"),
	}
}
