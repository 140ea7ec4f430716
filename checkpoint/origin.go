package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// decoding changes with what a reader makes of the same file.
const decoding = 1

// Origin is everything that decides what Load gives for a module: equal Origins, with
// equal bytes of the tensors, give equal layers.
type Origin struct {
	Settings string // format, configuration and options
	Tensors  []OriginTensor
}

// OriginTensor is one tensor that Load reads.
type OriginTensor struct {
	safetensors.Tensor
	Stamp   string    // now; see safetensors.File.Stamp
	Changed time.Time // of its file
}

// Origin returns what a layer, one of Modules or of Fused, is made of, without reading its tensors: they are in order of
// name. An unknown or refused module, and one of a format that does not tell, is
// quant.ErrUnsupported; a layer that lacks a part is quant.ErrFormat.
func (m *Model) Origin(name string) (Origin, error) {
	if f := m.fusion(name); f != nil {
		return m.fusedOrigin(f)
	}
	tensors, settings := m.trace(name)
	if tensors == nil {
		return Origin{}, quant.Errorf(quant.ErrUnsupported, name, "module", "one of this model, whose format says what its layers are made of", "unknown, or format %s, which does not say it", m.Format())
	}
	slices.Sort(tensors)
	o := Origin{Settings: fmt.Sprintf("%s; model %v; decoding %d", settings, m.settings.dtype, decoding)}
	for _, t := range tensors {
		if info, ok := m.src.Lookup(t); ok {
			stamp, changed := m.stamp(info)
			o.Tensors = append(o.Tensors, OriginTensor{info, stamp, changed})
		}
	}
	return o, nil
}

// fusedOrigin is that of all parts.
func (m *Model) fusedOrigin(f *Fused) (whole Origin, err error) {
	if err := m.complete(f); err != nil {
		return whole, err
	}
	for _, p := range f.Parts {
		o, err := m.Origin(p.Name)
		if err != nil {
			return Origin{}, err
		}
		whole.Settings += fmt.Sprintf("%q: %s\n", p.Name, o.Settings)
		whole.Tensors = append(whole.Tensors, o.Tensors...)
	}
	slices.SortFunc(whole.Tensors, func(a, b OriginTensor) int { return strings.Compare(a.Name, b.Name) })
	return whole, nil
}

// stamp is that of the file; a tensor of an expert is a part of one.
func (m *Model) stamp(t safetensors.Tensor) (text string, changed time.Time) {
	name := m.src.Origin(t.Name)
	if text, changed = m.set.Stamp(name); text != "" && name != t.Name {
		text = fmt.Sprintf("%s; %d of them at %d", text, t.Bytes, t.Offset)
	}
	return text, changed
}

func (m *Model) trace(name string) (tensors []string, settings string) {
	if p, ok := m.plain[name]; ok {
		settings = fmt.Sprintf("%s [%d,%d] %v transposed %v", dense, p.n, p.k, p.dtype, p.transposed)
		if p.quantize {
			settings += fmt.Sprintf(" quantized %+v", m.rtn)
		}
		return []string{p.tensor.Name, name + ".bias"}, settings
	}
	if t, ok := m.format.(module.Tracer); ok {
		return t.Trace(name)
	}
	return nil, ""
}

// ReadTensorAt fills dst with the bytes of a tensor, of the files or of an expert, from off on.
func (m *Model) ReadTensorAt(dst []byte, name string, off int64) error {
	return m.src.ReadAt(dst, name, off)
}
