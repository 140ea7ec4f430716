package autoround

import (
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// Bounds on the patterns of extra_config, far above any published model. Names
// of modules are looked up and need none.
const (
	maxPatterns     = 1 << 15
	maxPatternBytes = 2 << 20
)

// scheme is what the configuration says of a module.
type scheme struct {
	bits, group int
	sym         bool
	refused     string // why it is not read, or empty
	bitsFrom    string // what errors call the place that bits is from
	groupFrom   string // and group
}

// entry is one of extra_config.
type entry struct {
	key    string
	scheme scheme
}

// config is a parsed quantization configuration.
type config struct {
	packing  packing
	label    string // what the configuration calls it
	base     scheme
	exact    map[string]*entry
	entries  []*entry // those with patterns
	compiler module.Patterns
	patterns module.PatternList // of entries
	warnings []string
}

// plain is the number of bits from which on a weight is not quantized.
const plain = 16

// unsupported says what is refused and where it is asked for; layers are
// counted by Open.
type unsupported struct{ field, has, want string }

func (u *unsupported) Error() string { return u.field + " is " + u.has }

// parseConfig reads a configuration; name stands for it in errors.
func parseConfig(name string, data []byte) (*config, error) {
	o, err := module.ParseObject(name, data)
	if err != nil {
		return nil, err
	}
	method, err := o.Text("quant_method")
	if err != nil {
		return nil, err
	}
	switch strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(method), "intel/"), "_", "-") {
	case "", "auto-round", "autoround":
	default:
		return nil, &unsupported{"quant_method", fmt.Sprintf("%.60q", method), "auto-round"}
	}
	c := &config{exact: map[string]*entry{}}
	if err := c.parsePacking(o); err != nil {
		return nil, err
	}
	if c.base, err = (scheme{sym: true}).with(o); err != nil {
		return nil, err
	}
	if c.base.refused == "" {
		for _, key := range []string{"bits", "group_size"} {
			if !o.Has(key) {
				return nil, quant.Errorf(quant.ErrFormat, o.Name, key, "a number", "absent")
			}
		}
		if !o.Has("sym") {
			c.warnings = append(c.warnings, format+": the configuration does not say sym; taken as true, as auto-round does")
		}
	}
	return c, c.parseExtra(o)
}

// parsePacking reads packing_format. Older tools said it in backend, which
// newer ones use for what runs the model.
func (c *config) parsePacking(o *module.Object) error {
	field := "packing_format"
	if !o.Has(field) && o.Has("backend") {
		field = "backend"
	}
	var err error
	if c.label, err = o.Text(field); err != nil {
		return err
	}
	var ok bool
	if c.packing, ok = parsePacking(c.label); !ok {
		return &unsupported{field, fmt.Sprintf("%.60q", c.label), "auto_round:auto_gptq, auto_round, auto_round:gptqmodel, auto_round:auto_awq or one of their aliases"}
	}
	return nil
}

// with returns s with the settings that o has. Those of a scheme that is not
// read may be of any kind, so they are looked at last.
func (s scheme) with(o *module.Object) (scheme, error) {
	var err error
	if o.Has("bits") {
		s.bitsFrom = o.Name
	}
	if o.Has("group_size") {
		s.groupFrom = o.Name
	}
	bits := s.bits
	if bits, err = o.Int("bits", bits); err != nil {
		return s, err
	}
	if bits >= plain {
		s.bits = bits
		return s, nil
	}
	why, err := refusal(o)
	if err != nil || why != "" {
		s.refused = why
		return s, err
	}
	s.bits = bits
	if s.group, err = o.Int("group_size", s.group); err != nil {
		return s, err
	}
	if o.Has("group_size") && s.group != -1 && s.group < 1 {
		return s, quant.Errorf(quant.ErrFormat, o.Name, "group_size", "-1 or at least 1", "%d", s.group)
	}
	s.sym, err = o.Bool("sym", s.sym)
	return s, err
}

// refusal says why a scheme is not read, from the keys that o has.
func refusal(o *module.Object) (string, error) {
	kind, err := o.Text("data_type")
	if err != nil {
		return "", err
	}
	if !integer(kind) {
		return fmt.Sprintf("data_type is %.40q, want int: weights of integers", kind), nil
	}
	bits, err := o.Int("act_bits", plain)
	if err != nil {
		return "", err
	}
	if bits < plain {
		what := ""
		for _, key := range []string{"act_data_type", "act_dynamic"} {
			if v, ok := o.Raw(key); ok {
				what += fmt.Sprintf(", %s %.40s", key, v)
			}
		}
		return fmt.Sprintf("act_bits is %d%s, want 16 or none: quantized activations are read from compressed-tensors, which auto-round exports as llm_compressor", bits, what), nil
	}
	for _, key := range []string{"rotation_config", "rotation_configs", "spinquant_config", "hadamard_config"} {
		v, ok := o.Raw(key)
		switch string(v) {
		case "{}", "[]", `""`, "false":
			ok = false
		}
		if ok {
			return fmt.Sprintf("%s is %.60s, want none: x would have to be rotated", key, strings.Join(strings.Fields(string(v)), " ")), nil
		}
	}
	return "", nil
}

// integer reports whether a data type is integers as the layouts have them;
// others are those of gguf, with quantized scales, and floats.
func integer(kind string) bool {
	kind = strings.ToLower(kind)
	for _, how := range []string{"opt_", "rtn_"} {
		kind = strings.TrimPrefix(kind, how)
	}
	switch strings.TrimRight(kind, "0123456789") {
	case "", "int", "int_sym", "int_asym", "int_sym_gptq":
		return true
	}
	return false
}

// parseExtra reads extra_config.
func (c *config) parseExtra(o *module.Object) error {
	extra, err := o.Object("extra_config")
	if err != nil || extra == nil {
		return err
	}
	size := 0
	for _, f := range extra.Fields {
		if string(f.Value) == "null" {
			continue
		}
		fields, err := module.ParseObject(fmt.Sprintf("%s: %.200q", extra.Name, f.Key), f.Value)
		if err != nil {
			return err
		}
		if len(fields.Fields) == 0 {
			continue // it counts as none, so that a later pattern may match
		}
		e := &entry{key: f.Key}
		if e.scheme, err = c.base.with(fields); err != nil {
			return err
		}
		if !strings.ContainsAny(f.Key, `*+?^$()[]{}|\`) {
			c.exact[f.Key] = e
			continue
		}
		if size += len(f.Key); size > maxPatternBytes || len(c.entries) == maxPatterns {
			return quant.Errorf(quant.ErrFormat, extra.Name, "", fmt.Sprintf("at most %d patterns of %d bytes together", maxPatterns, maxPatternBytes), "more")
		}
		pattern, err := c.compiler.CompileSearch(extra.Name, f.Key)
		if err != nil {
			return err
		}
		c.patterns.Add(pattern)
		c.entries = append(c.entries, e)
	}
	return nil
}

// of returns the settings of a module: those of the entry that has its name,
// else of the first whose pattern matches, else the general ones. plain is the
// key of an entry that says that the module is not quantized.
func (c *config) of(name string) (s scheme, plainBy string, err error) {
	e := c.exact[name]
	if e == nil {
		i, err := c.compiler.First(&c.patterns, name)
		if err != nil {
			return s, "", err
		}
		if i >= 0 {
			e = c.entries[i]
		}
	}
	switch {
	case e == nil:
		return c.base, "", nil
	case e.scheme.bits >= plain:
		return c.base, e.key, nil
	}
	return e.scheme, "", nil
}
