package autoround

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/checkpoint/awq"
	"github.com/bitlane/bitlane/checkpoint/gptq"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// format is the name of the format.
const format = "auto-round"

// Option changes how a checkpoint is read.
type Option func(*reader)

// ConfigName is how errors call the configuration: the file and the key that it
// is from. The default is "quantization_config".
func ConfigName(name string) Option {
	return func(r *reader) { r.config = name }
}

// GPTQ passes options on to the reader of modules that are packed as GPTQ's.
func GPTQ(options ...gptq.Option) Option {
	return func(r *reader) { r.gptq = append(r.gptq, options...) }
}

// reader is the Format; it does not change after Open.
type reader struct {
	readers  map[string]module.Format // of each module
	findings map[string]module.Finding
	modules  []module.Module
	refused  []module.Refused
	warnings []string
	config   string // what errors call the configuration
	gptq     []gptq.Option
}

// Open returns the modules of an AutoRound checkpoint. config is the JSON
// object of its quantization configuration; src has its tensors and must stay
// open for as long as the Format is used. Every module with a tensor called
// qweight is quantized, whatever the configuration says about it.
//
// Modules whose settings are not read are in Refused with the reason; where
// no module can be read, the error (quant.ErrUnsupported) names each reason
// with its number of layers. Tensors that contradict each other or the
// configuration are quant.ErrFormat, naming the tensor. The Format is also a
// module.Warner.
func Open(config []byte, src safetensors.Source, options ...Option) (module.Format, error) {
	r := &reader{readers: map[string]module.Format{}, findings: map[string]module.Finding{}, config: "quantization_config"}
	for _, o := range options {
		o(r)
	}
	c, err := parseConfig(r.config, config)
	if err != nil {
		return nil, r.counted(err, src)
	}
	r.warnings = c.warnings
	for _, m := range foreignModules(src) {
		r.refuse(m, c.base.refused, "tensors of a layout that is not read")
	}
	if err := r.open(c, src); err != nil {
		return nil, err
	}
	if len(r.modules) == 0 && len(r.refused) > 0 {
		return nil, quant.Errorf(quant.ErrUnsupported, r.config, "", "integer weights packed as GPTQ's or AWQ's, activations of 16 bits", "%s: %s", format, module.Reasons(r.refused))
	}
	return r, nil
}

// foreignModules returns the modules whose tensors are of layouts that are not
// read: floats with scales, what compressed-tensors packs, marlin's B and s.
func foreignModules(src safetensors.Source) []string {
	names := module.Owners(src, ".weight_packed", ".weight_scale", ".weight_scale_inv", ".B")
	return slices.DeleteFunc(names, func(m string) bool {
		has := func(end string) bool { _, ok := src.Lookup(m + end); return ok }
		return has(".qweight") || has(".qzeros") || has(".B") && !has(".s")
	})
}

// counted turns a refusal of the configuration into an error that says how
// many layers it concerns.
func (r *reader) counted(err error, src safetensors.Source) error {
	var u *unsupported
	if !errors.As(err, &u) {
		return err
	}
	names := append(module.Owners(src, ".qweight", ".qzeros"), foreignModules(src)...)
	slices.SortFunc(names, module.Compare)
	first := ""
	if len(names) > 0 {
		first = names[0]
	}
	return quant.Errorf(quant.ErrUnsupported, r.config, u.field, u.want, "%s (%s: %s)", u.has, format, module.Layers(len(names), first))
}

// refuse adds a module to those refused, with the first reason that is one.
func (r *reader) refuse(name string, why ...string) {
	i := slices.IndexFunc(why, func(s string) bool { return s != "" })
	r.refused = append(r.refused, module.Refused{Name: name, Why: why[i]})
}

func (r *reader) warn(f string, args ...any) {
	r.warnings = append(r.warnings, format+": "+fmt.Sprintf(f, args...))
}

// open finds out the layout and the settings of each module and opens those of
// each layout together.
func (r *reader) open(c *config, src safetensors.Source) error {
	var faults module.Faults
	var asGPTQ, asAWQ []string
	gptqOf, awqOf := map[string]gptq.Settings{}, map[string]awq.Settings{}
	for _, m := range module.Owners(src, ".qweight", ".qzeros") {
		s, plainBy, err := c.of(m)
		if err != nil {
			return err
		}
		if plainBy != "" {
			r.warn("%s: extra_config %.100q says that it is not quantized, but it is; read with the general settings", m, plainBy)
		}
		p := stored(src, m, c.packing)
		switch {
		case s.refused != "":
			r.refuse(m, s.refused)
			continue
		case p.awq && s.bits != awq.Bits:
			r.refuse(m, fmt.Sprintf("bits is %d, want 4, as AWQ packs", s.bits))
			continue
		case !p.awq && !gptq.Packs(s.bits):
			r.refuse(m, fmt.Sprintf("bits is %d, want 2, 3, 4 or 8, as GPTQ packs", s.bits))
			continue
		}
		if p.awq != c.packing.awq {
			if err := r.mislabelled(m, p, c, &s); err != nil {
				if err = faults.Add(m, err); err != nil {
					return err
				}
				continue
			}
		}
		if p.awq {
			asAWQ = append(asAWQ, m)
			awqOf[m] = awq.Settings{GroupSize: s.group, ZeroPoints: !s.sym, Version: awq.GEMM, GroupSizeFrom: s.groupFrom}
			continue
		}
		asGPTQ = append(asGPTQ, m)
		gptqOf[m] = gptq.Settings{Bits: s.bits, GroupSize: s.group, Symmetric: s.sym, Version: max(p.version, 1), BitsFrom: s.bitsFrom, GroupSizeFrom: s.groupFrom}
	}
	readers := make([]module.Format, 2)
	var errs [2]error
	readers[0], errs[0] = gptq.OpenModules(src, asGPTQ, func(m string) (gptq.Settings, error) { return gptqOf[m], nil }, r.gptq...)
	readers[1], errs[1] = awq.OpenModules(src, asAWQ, func(m string) (awq.Settings, error) { return awqOf[m], nil })
	for i, f := range readers {
		if err := faults.Add("", errs[i]); err != nil {
			return err
		}
		if errs[i] == nil {
			r.take(f)
		}
	}
	if err := faults.Err(); err != nil {
		return err
	}
	slices.SortFunc(r.modules, func(a, b module.Module) int { return module.Compare(a.Name, b.Name) })
	return nil
}

// mislabelled notes that a module has another layout than the one that is
// named. That name then does not tell how GPTQ's zero points are stored; those
// of a symmetric model do.
func (r *reader) mislabelled(m string, p packing, c *config, s *scheme) error {
	layout := "GPTQ"
	if p.awq {
		layout = "AWQ"
	} else if !s.sym {
		return quant.Errorf(quant.ErrFormat, m+".qzeros", "layout", "AWQ's, as "+c.label+" has; whether zero points are stored minus one is not said for GPTQ's", "GPTQ's")
	}
	label := fmt.Sprintf("labelled %.60s", c.label)
	if c.label == "" {
		label = "without a packing_format, which means GPTQ's"
	}
	r.findings[m] = module.Finding{Module: m, Tensor: m + ".qweight", Text: label + ", but the shapes are those of " + layout + "; read so"}
	return nil
}

// take adds the modules of a reader.
func (r *reader) take(f module.Format) {
	for _, m := range f.Modules() {
		m.Detail = f.Name() + " " + m.Detail
		m.Format = format
		r.modules = append(r.modules, m)
		r.readers[m.Name] = f
	}
	if w, ok := f.(module.Warner); ok {
		r.warnings = append(r.warnings, w.Warnings()...)
	}
}

// Name returns "auto-round".
func (r *reader) Name() string { return format }

// Modules returns the quantized modules.
func (r *reader) Modules() []module.Module { return r.modules }

// Refused returns the modules that are not read, with the reasons.
func (r *reader) Refused() []module.Refused { return r.refused }

// Warnings returns what looks odd in the configuration.
func (r *reader) Warnings() []string { return r.warnings }

// Load implements module.Format.
func (r *reader) Load(ctx context.Context, dst *quant.Linear, name string, s *module.Scratch) ([]module.Finding, error) {
	f, ok := r.readers[name]
	if !ok {
		return nil, module.Unknown(name)
	}
	found, err := f.Load(ctx, dst, name, s)
	if own, ok := r.findings[name]; ok {
		found = append([]module.Finding{own}, found...)
	}
	return found, err
}

// Trace implements module.Tracer: what a module is made of is for its reader to say.
func (r *reader) Trace(name string) (tensors []string, settings string) {
	if t, ok := r.readers[name].(module.Tracer); ok {
		tensors, settings = t.Trace(name)
	}
	return tensors, format + " as " + settings + "; " + r.findings[name].Text
}
