package awq

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// name of the format.
const name = "awq"

// Option changes how a checkpoint is read.
type Option func(*reader)

// ConfigName is how errors call the configuration: the file and the key that it
// is from. The default is "quantization_config".
func ConfigName(name string) Option {
	return func(r *reader) { r.config = name }
}

// reader is the Format; it does not change after Open.
type reader struct {
	src      safetensors.Source
	layers   []layer // in natural order of names
	byName   map[string]int
	modules  []module.Module
	warnings []string
	config   string // what errors call the configuration
}

// layer is one quantized module: what the configuration and the shapes say.
type layer struct {
	Settings         // its Version is the one found
	said     Version // by the configuration
	name     string
	n, k     int
	groups   int
	scales   dtype.DType
	zeros    dtype.DType // of the zero points where they are floats
	weight   safetensors.Tensor
	scale    string
	zero     string // "" where no zero points are stored
}

// Open returns the AWQ modules of a checkpoint. config is the JSON object of
// its quantization configuration; src has its tensors and must stay open for
// as long as the Format is used. Every module with a tensor called qweight is
// quantized, whatever the configuration says about it.
//
// A variant that is not read is quant.ErrUnsupported, naming it and the number
// of its layers; tensors that contradict each other or the configuration are
// quant.ErrFormat, naming the tensor. The Format is also a module.Warner.
func Open(config []byte, src safetensors.Source, options ...Option) (module.Format, error) {
	r := newReader(src, options)
	names := modulesOf(src)
	c, err := parseConfig(r.config, config)
	if err != nil {
		return nil, counted(err, names)
	}
	work := 0
	var faults module.Faults
	for _, m := range names {
		if err := faults.Add(m, r.add(m, c.Settings)); err != nil {
			return nil, err
		}
		if work += len(c.plain) * (len(m) + 8); work > maxWork {
			return nil, quant.Errorf(quant.ErrUnsupported, r.config, "modules_to_not_convert", "fewer names", "%s for %s", module.Count(len(c.plain), "name"), module.Count(len(names), "module"))
		}
		for _, part := range c.plain {
			if strings.Contains(m, part) {
				r.warn("%s: modules_to_not_convert has %.100q, but it is quantized; read so", m, part)
				break
			}
		}
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// maxWork bounds how long names are compared for warnings, far above any
// published model.
const maxWork = 1 << 32

// OpenModules is Open for the formats that pack modules as AWQ does and say
// otherwise how: it returns the modules called names, each with the settings
// that settings returns for it, whose errors it passes on.
func OpenModules(src safetensors.Source, names []string, settings func(name string) (Settings, error), options ...Option) (module.Format, error) {
	r := newReader(src, options)
	var faults module.Faults
	for _, m := range names {
		s, err := settings(m)
		if err == nil && s.GroupSize != -1 && s.GroupSize < 1 {
			err = quant.Errorf(quant.ErrFormat, m, "group_size", "-1 or at least 1", "%d", s.GroupSize)
		}
		if err == nil {
			err = r.add(m, s)
		}
		if err = faults.Add(m, err); err != nil {
			return nil, err
		}
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// modulesOf returns the modules that have codes or zero points, in natural
// order.
func modulesOf(src safetensors.Source) []string {
	return module.Owners(src, ".qweight", ".qzeros", ".scaled_zeros")
}

func newReader(src safetensors.Source, options []Option) *reader {
	r := &reader{src: src, byName: map[string]int{}, config: "quantization_config"}
	for _, o := range options {
		o(r)
	}
	return r
}

func (r *reader) warn(format string, args ...any) {
	r.warnings = append(r.warnings, name+": "+fmt.Sprintf(format, args...))
}

// add finds and checks the tensors of a module.
func (r *reader) add(name string, s Settings) error {
	l := layer{Settings: s, said: s.Version, name: name}
	l.GroupSizeFrom = cmp.Or(l.GroupSizeFrom, r.config)
	if err := l.find(r.src); err != nil {
		return err
	}
	if _, both := r.src.Lookup(name + ".weight"); both {
		r.warn("%s: stored both as qweight and as weight; qweight is read", name)
	}
	r.byName[name] = len(r.layers)
	r.layers = append(r.layers, l)
	r.modules = append(r.modules, l.describe(r.src))
	return nil
}

// Name returns "awq".
func (r *reader) Name() string { return name }

// Modules returns the quantized modules.
func (r *reader) Modules() []module.Module { return r.modules }

// Refused returns nothing: what is not read is refused by Open as a whole.
func (r *reader) Refused() []module.Refused { return nil }

// Warnings returns what looks odd in the configuration.
func (r *reader) Warnings() []string { return r.warnings }

func (l *layer) describe(src safetensors.Source) module.Module {
	m := module.Module{
		Name: l.name, Format: name, Detail: l.Version.String(),
		N: l.n, K: l.k, Bits: Bits, GroupSize: l.GroupSize, Symmetric: !l.ZeroPoints,
		Scales: l.scales, Quantized: true,
	}
	for _, t := range []string{l.weight.Name, l.zero, l.scale, l.name + ".bias"} {
		if t, ok := src.Lookup(t); ok {
			m.Bytes += t.Bytes
			m.Bias = m.Bias || t.Name == l.name+".bias"
		}
	}
	return m
}

// Trace implements module.Tracer.
func (r *reader) Trace(module string) (tensors []string, settings string) {
	i, ok := r.byName[module]
	if !ok {
		return nil, ""
	}
	l := &r.layers[i]
	tensors = []string{l.weight.Name, l.scale, l.name + ".bias"}
	if l.zero != "" {
		tensors = append(tensors, l.zero)
	}
	return tensors, fmt.Sprintf("%s [%d,%d] {GroupSize:%d ZeroPoints:%v Version:%v}, said %v, zero points %v",
		name, l.n, l.k, l.GroupSize, l.ZeroPoints, l.Version, l.said, l.zeros)
}
