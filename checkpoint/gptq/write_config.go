package gptq

import "github.com/bitlane/bitlane/checkpoint/module"

// Scheme is how modules are quantized.
type Scheme struct {
	Bits      int
	Group     int // -1: one group
	Symmetric bool
	ActOrder  bool // the group index is not k/Group
}

// Override changes the settings of the modules that Pattern matches: a Python
// regular expression, anchored at the start of the name only.
type Override struct {
	Pattern string
	Keep    bool // they are not quantized, and have no Scheme
	Scheme
}

// Config is what a quantization configuration says. The first override that
// matches a module decides, and without one the general settings.
type Config struct {
	Scheme
	Version   int  // as Encoder has it
	LMHead    bool // lm_head is quantized
	Overrides []Override
}

// Fields returns the configuration as it stands in config.json under
// quantization_config, and alone in quantize_config.json.
func (c *Config) Fields() []module.Field {
	format := "gptq"
	if c.Version == 2 {
		format = "gptq_v2"
	}
	fields := []module.Field{
		module.NewField("bits", c.Bits),
		module.NewField("checkpoint_format", format),
		module.NewField("desc_act", c.ActOrder),
	}
	var dynamic []module.Field
	for _, o := range c.Overrides {
		if o.Keep {
			dynamic = append(dynamic, module.NewField("-:"+o.Pattern, []module.Field{}))
			continue
		}
		settings := []module.Field{module.NewField("bits", o.Bits), module.NewField("group_size", o.Group), module.NewField("sym", o.Symmetric)}
		if o.ActOrder != c.ActOrder {
			settings = append(settings, module.NewField("desc_act", o.ActOrder))
		}
		dynamic = append(dynamic, module.NewField("+:"+o.Pattern, settings))
	}
	if dynamic != nil {
		fields = append(fields, module.NewField("dynamic", dynamic))
	}
	return append(fields,
		module.NewField("group_size", c.Group),
		module.NewField("lm_head", c.LMHead),
		module.NewField("meta", []module.Field{module.NewField("quantizer", []string{"bitlane"})}),
		module.NewField("pack_dtype", "int32"),
		module.NewField("quant_method", "gptq"),
		module.NewField("sym", c.Symmetric),
	)
}
