package ctensors

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// Bounds on patterns, far above any published configuration, so that a hostile
// one cannot ask for unbounded work.
const (
	maxPatterns     = 2048
	maxPatternBytes = 1 << 18
)

// config is a parsed quantization_config.
type config struct {
	schemes []scheme
	targets targets // of the schemes, by their number
	ignore  targets
	refused string // why none of it is read; "" where some may be

	compiler               module.Patterns
	patterns, patternBytes int
}

// targets is a list of entries that select modules: exact names, patterns and
// class names, each with the number of its scheme.
type targets struct {
	entries  map[string]int // as written; exact names and class names are looked up here
	patterns module.PatternList
	schemes  []int // of the patterns
}

// class is the class of every module that this package reads, as targets name
// it.
const class = "Linear"

// find returns the schemes that a module can have: that of its exact name, else
// those of the patterns that match it, in their order, else that of the class. Of
// several patterns vLLM takes the first of the file, and the library of the format,
// which writes most files, the first in the order of their text.
func (c *config) find(t *targets, name string) (schemes []int, err error) {
	if i, ok := t.entries[name]; ok {
		return []int{i}, nil
	}
	found, err := c.compiler.All(&t.patterns, name)
	if err != nil {
		return nil, err
	}
	for _, i := range found {
		if s := t.schemes[i]; !slices.Contains(schemes, s) {
			schemes = append(schemes, s)
		}
	}
	if i, ok := t.entries[class]; ok && len(schemes) == 0 {
		schemes = []int{i}
	}
	return schemes, nil
}

// add adds a scheme's entries. The same entry in two schemes contradicts
// itself.
func (c *config) add(t *targets, field string, entries []string, scheme int) error {
	if t.entries == nil {
		t.entries = map[string]int{}
	}
	for _, e := range entries {
		if other, taken := t.entries[e]; taken {
			if other != scheme {
				return quant.Errorf(quant.ErrFormat, field, "", "each target in one group", "%q in %s as well", e, c.schemes[other].name)
			}
			continue
		}
		t.entries[e] = scheme
		expr, isPattern := strings.CutPrefix(e, "re:")
		if !isPattern {
			continue
		}
		if c.patterns++; c.patterns > maxPatterns {
			return quant.Errorf(quant.ErrFormat, field, "", fmt.Sprintf("at most %d patterns", maxPatterns), "more")
		}
		if c.patternBytes += len(expr); c.patternBytes > maxPatternBytes {
			return quant.Errorf(quant.ErrFormat, field, "", fmt.Sprintf("patterns of at most %d bytes together", maxPatternBytes), "more")
		}
		p, err := c.compiler.Compile(field, expr)
		if err != nil {
			return err
		}
		t.patterns.Add(p)
		t.schemes = append(t.schemes, scheme)
	}
	return nil
}

// parseConfig reads a quantization_config (compression_config in old files).
// Unknown keys are ignored: they change with every version upstream. name stands
// for the configuration in errors.
func parseConfig(name string, data []byte) (*config, error) {
	o, err := module.ParseObject(name, data)
	if err != nil {
		return nil, err
	}
	c := &config{}
	method, err := o.Text("quant_method")
	if err != nil {
		return nil, err
	}
	if method != "" && method != "compressed-tensors" {
		return nil, quant.Errorf(quant.ErrUnsupported, o.Name, "quant_method", "compressed-tensors", "%q", method)
	}
	format, err := o.Text("format")
	if err != nil {
		return nil, err
	}
	if format == "mixed-precision" {
		format = "" // each group has its own
	}
	if err := c.parseGroups(o, format); err != nil {
		return nil, err
	}
	ignore, err := o.Texts("ignore")
	if err != nil {
		return nil, err
	}
	if err := c.add(&c.ignore, o.Name+": ignore", ignore, 0); err != nil {
		return nil, err
	}
	c.refused, err = wholeRefusal(o)
	return c, err
}

// parseGroups reads config_groups, in the order of the text: objects, or the
// name of a preset with its targets.
func (c *config) parseGroups(o *module.Object, format string) error {
	groups, err := o.Object("config_groups")
	if groups == nil || err != nil {
		return err
	}
	for i, f := range groups.Fields {
		s := scheme{}
		var entries []string
		field := groups.Name + ": " + f.Key
		if !groups.Has(f.Key) {
			return quant.Errorf(quant.ErrFormat, field, "", "a scheme or a list of targets", "null")
		}
		if f.Value[0] == '[' {
			p, ok := preset(f.Key)
			if !ok {
				return quant.Errorf(quant.ErrUnsupported, field, "preset", "a scheme object or a preset that is known", "%q", f.Key)
			}
			s = *p
			if entries, err = groups.Texts(f.Key); err != nil {
				return err
			}
		} else if entries, err = s.parse(groups, f.Key); err != nil {
			return err
		}
		s.name = f.Key
		if s.format == "" {
			s.format = format
		}
		c.schemes = append(c.schemes, s)
		if err := c.add(&c.targets, field+": targets", entries, i); err != nil {
			return err
		}
	}
	return nil
}

// parse reads a scheme object and returns its targets.
func (s *scheme) parse(groups *module.Object, key string) ([]string, error) {
	g, err := groups.Object(key)
	if err != nil {
		return nil, err
	}
	if s.weights, err = parseArgs(g, "weights"); err != nil {
		return nil, err
	}
	if s.inputs, err = parseArgs(g, "input_activations"); err != nil {
		return nil, err
	}
	if s.outputs, err = parseArgs(g, "output_activations"); err != nil {
		return nil, err
	}
	if s.format, err = g.Text("format"); err != nil {
		return nil, err
	}
	return g.Texts("targets")
}

// wholeRefusal finds settings that change every module and are not read.
func wholeRefusal(o *module.Object) (string, error) {
	sparsity, err := o.Object("sparsity_config")
	if err != nil {
		return "", err
	}
	if sparsity != nil {
		format, err := sparsity.Text("format")
		if err != nil {
			return "", err
		}
		if format != "" && format != "dense" {
			return fmt.Sprintf("sparsity format %q is not read", format), nil
		}
	}
	transform, err := o.Object("transform_config")
	if transform == nil || err != nil {
		return "", err
	}
	groups, err := transform.Object("config_groups")
	if groups != nil && len(groups.Fields) > 0 {
		return fmt.Sprintf("transforms (transform_config, %s) are not read", module.Count(len(groups.Fields), "group")), nil
	}
	return "", err
}
