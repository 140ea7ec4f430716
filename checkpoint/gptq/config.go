package gptq

import (
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// Bounds on the dynamic overrides, far above any published model (one entry
// for each expert projection of a large mixture), so that a hostile
// configuration cannot ask for unbounded compiled patterns.
const (
	maxDynamic      = 1 << 15
	maxDynamicBytes = 2 << 20
)

// Settings is what a configuration says of one module.
type Settings struct {
	Bits      int
	GroupSize int // features of a group; -1: one group
	Symmetric bool
	ActOrder  *bool // nil: not said
	Version   int   // 1: a stored zero point is the zero point − 1; 2: it is the zero point
	Planar    bool  // codes and zero points of 3, 5, 6 and 7 bits are in planes

	BitsFrom, GroupSizeFrom string // what errors call the places that Bits and GroupSize are from; "" stands for ConfigName
}

// config is a parsed quantization configuration.
type config struct {
	base     Settings
	dynamic  []override
	compiler module.Patterns
	patterns module.PatternList // of dynamic
	lmHead   *bool              // nil: not said
	warnings []string
}

// override is one entry of "dynamic".
type override struct {
	expr string
	skip bool // "-:": the module is not quantized
	Settings
	err error // what is wrong with the settings; matters where a module has them
}

// unsupported says which variant is refused and where it is asked for; layers
// are counted by Open.
type unsupported struct{ name, field, has, want string }

func (u *unsupported) Error() string { return u.name + ": " + u.field + " is " + u.has }

// parseConfig reads a configuration; name stands for it in errors.
func parseConfig(name string, data []byte) (*config, error) {
	o, err := module.ParseObject(name, data)
	if err != nil {
		return nil, err
	}
	c := &config{base: Settings{Version: 1, Symmetric: true}}
	method, err := agree(o, "quant_method", "method")
	if err != nil {
		return nil, err
	}
	if method != "" && method != "gptq" {
		return nil, &unsupported{o.Name, "quant_method", method, "gptq"}
	}
	for _, key := range []string{"bits", "group_size"} {
		if !o.Has(key) {
			return nil, quant.Errorf(quant.ErrFormat, o.Name, key, "a number", "absent")
		}
	}
	if !o.Has("sym") {
		c.warnings = append(c.warnings, "gptq: the configuration does not say sym; taken as true, as AutoGPTQ does")
	}
	if c.base, err = c.base.with(o); err != nil {
		return nil, err
	}
	if o.Has("lm_head") {
		b, err := o.Bool("lm_head", false)
		if err != nil {
			return nil, err
		}
		c.lmHead = &b
	}
	return c, c.parseDynamic(o)
}

// with returns s with the settings that o has.
func (s Settings) with(o *module.Object) (Settings, error) {
	var err error
	if o.Has("bits") {
		s.BitsFrom = o.Name
	}
	if o.Has("group_size") {
		s.GroupSizeFrom = o.Name
	}
	if s.Bits, err = o.Int("bits", s.Bits); err != nil {
		return s, err
	}
	if s.GroupSize, err = o.Int("group_size", s.GroupSize); err != nil {
		return s, err
	}
	if s.GroupSize != -1 && s.GroupSize < 1 {
		return s, quant.Errorf(quant.ErrFormat, o.Name, "group_size", "-1 or at least 1", "%d", s.GroupSize)
	}
	if s.Symmetric, err = o.Bool("sym", s.Symmetric); err != nil {
		return s, err
	}
	if o.Has("desc_act") {
		b, err := o.Bool("desc_act", false)
		if err != nil {
			return s, err
		}
		s.ActOrder = &b
	}
	format, err := agree(o, "checkpoint_format", "format")
	if err != nil {
		return s, err
	}
	switch format {
	case "":
	case "gptq":
		s.Version, s.Planar = 1, false
	case "gptq_v2":
		s.Version, s.Planar = 2, false
	case "gptq_p":
		s.Version, s.Planar = 2, true
	default:
		return s, &unsupported{o.Name, "checkpoint_format", format, "gptq, gptq_v2 or gptq_p"}
	}
	for _, other := range []string{"marlin", "bitblas"} {
		if b, err := o.Bool("is_"+other+"_format", false); err != nil {
			return s, err
		} else if b {
			return s, &unsupported{o.Name, "checkpoint_format", other, "gptq, gptq_v2 or gptq_p"}
		}
	}
	pack, err := o.Text("pack_dtype")
	if err != nil {
		return s, err
	}
	if pack = strings.TrimPrefix(pack, "torch."); pack != "" && pack != "int32" {
		return s, &unsupported{o.Name, "pack_dtype", pack, "int32"}
	}
	if !s.packs() {
		return s, &unsupported{o.Name, "bits", fmt.Sprint(s.Bits), readBits}
	}
	return s, nil
}

// readBits are the bits of Packs, for people.
const readBits = "2, 3, 4 or 8; 5, 6 and 7 in checkpoint_format gptq_p"

// Packs reports whether there is a layout for codes of so many bits.
func Packs(bits int) bool { return bits == 2 || bits == 3 || bits == 4 || bits == 8 }

// packs is Packs, with the bits that only planes have.
func (s *Settings) packs() bool { return Packs(s.Bits) || s.Planar && s.Bits >= 5 && s.Bits <= 7 }

// check reports settings that no configuration can lead to.
func (s *Settings) check(module string) error {
	switch {
	case !s.packs():
		return quant.Errorf(quant.ErrUnsupported, module, "bits", readBits, "%d", s.Bits)
	case s.GroupSize != -1 && s.GroupSize < 1:
		return quant.Errorf(quant.ErrFormat, module, "group_size", "-1 or at least 1", "%d", s.GroupSize)
	case s.Version != 1 && s.Version != 2:
		return quant.Errorf(quant.ErrUnsupported, module, "version of zero points", "1 or 2", "%d", s.Version)
	}
	return nil
}

// agree returns the value of two keys that mean the same, in lower case.
func agree(o *module.Object, a, b string) (string, error) {
	x, err := o.Text(a)
	if err != nil {
		return "", err
	}
	y, err := o.Text(b)
	if err != nil {
		return "", err
	}
	x, y = strings.ToLower(x), strings.ToLower(y)
	if x != "" && y != "" && x != y {
		return "", quant.Errorf(quant.ErrFormat, o.Name, b, fmt.Sprintf("%q as %s says", x, a), "%q", y)
	}
	if x == "" {
		x = y
	}
	return x, nil
}

func (c *config) parseDynamic(o *module.Object) error {
	d, err := o.Object("dynamic")
	if err != nil || d == nil {
		return err
	}
	if len(d.Fields) > maxDynamic {
		return quant.Errorf(quant.ErrFormat, d.Name, "", fmt.Sprintf("at most %d entries", maxDynamic), "%d entries", len(d.Fields))
	}
	size := 0
	for _, f := range d.Fields {
		size += len(f.Key)
		if size > maxDynamicBytes {
			return quant.Errorf(quant.ErrFormat, d.Name, "", fmt.Sprintf("patterns of at most %d bytes", maxDynamicBytes), "more")
		}
		v := override{expr: f.Key}
		expr := strings.TrimPrefix(f.Key, "+:")
		if expr == f.Key {
			expr, v.skip = strings.CutPrefix(f.Key, "-:")
		}
		pattern, err := c.compiler.Compile(d.Name, expr)
		if err != nil {
			return err
		}
		c.patterns.Add(pattern)
		v.Settings = c.base
		if !v.skip && string(f.Value) != "null" {
			fields, err := module.ParseObject(fmt.Sprintf("%s: %.200q", d.Name, f.Key), f.Value)
			if err != nil {
				return err
			}
			v.Settings, v.err = c.base.with(fields)
		}
		c.dynamic = append(c.dynamic, v)
	}
	return nil
}

// same returns those of names whose settings are wrong in the way of err.
func (c *config) same(err error, names []string) []string {
	var out []string
	for _, n := range names {
		if _, _, e := c.of(n); e == err {
			out = append(out, n)
		}
	}
	return out
}

// of returns the settings of a module; skip reports that the configuration
// says it is not quantized, and by which pattern.
func (c *config) of(name string) (s Settings, skip string, err error) {
	i, err := c.compiler.First(&c.patterns, name)
	switch {
	case err != nil:
		return s, "", err
	case i < 0:
		return c.base, "", nil
	}
	v := &c.dynamic[i]
	if v.skip {
		return c.base, v.expr, nil
	}
	return v.Settings, "", v.err
}
