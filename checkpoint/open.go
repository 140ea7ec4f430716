package checkpoint

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/bitlane/bitlane/checkpoint/gptq"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Options changes how a model is opened. The zero value is what most want.
type Options struct {
	Dense DenseOptions
	GPTQ  []gptq.Option // passed on where modules are packed as GPTQ's: in GPTQ and AutoRound models

	// Partial opens a model some of whose quantized modules have tensors that are missing or
	// do not fit: those are in Model.Refused. It is for tools that look at models.
	Partial bool

	// Fusions are rules for Model.Fused by model_type, beside those that are
	// built in (see FusedTypes) and instead of them where a type has both.
	Fusions map[string][]Fusion
}

// Model is an open model directory. Its methods may be called by several
// goroutines at once, Load with distinct dst; Close when none is running.
type Model struct {
	dir      string
	set      *safetensors.Set
	src      *unstacked // set, with each expert of a stack by itself
	settings *settings
	format   module.Format // nil: dense
	modules  []module.Module
	plain    map[string]plain // those that the format does not read
	skipped  []module.Refused
	refused  []module.Refused
	warnings []string
	rules    []Fusion
	fused    []Fused
	rtn      quant.RTN
	scratch  sync.Pool // of *module.Scratch
}

// Open opens the model directory dir: its safetensors files and, where they
// are there, config.json, quantize_config.json, quant_config.json and
// quant_model_description.json, which may be named after its type. It reads
// headers and configurations only.
//
// A format that is not read is quant.ErrUnsupported, naming the format, its
// scheme and the number of its layers; files that are damaged or contradict
// each other are quant.ErrFormat; a directory that does not exist wraps
// fs.ErrNotExist.
func Open(ctx context.Context, dir string, o Options) (*Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	s, err := readSettings(dir)
	if err != nil {
		return nil, err
	}
	set, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	m := &Model{dir: dir, set: set, settings: s, rtn: o.Dense.RTN}
	if err := m.open(o); err != nil {
		set.Close()
		return nil, m.inFiles(err)
	}
	return m, nil
}

// openFormat opens the quantized modules; in a partial model, those without faults.
func (m *Model) openFormat(o Options) (module.Format, error) {
	f, err := openFormat(m.dir, m.settings, m.src, o)
	faults := module.FaultsOf(m.inFiles(err))
	if !o.Partial || len(faults) == 0 {
		return f, err
	}
	sound := &without{unstacked: m.src, modules: map[string]bool{}}
	for _, r := range faults {
		sound.modules[r.Name] = true
	}
	if f, again := openFormat(m.dir, m.settings, sound, o); again == nil {
		m.refused = append(m.refused, faults...)
		return f, nil
	}
	return nil, err
}

// without does not list the tensors of some modules, and finds them as before.
type without struct {
	*unstacked
	modules map[string]bool
}

func (w *without) Names() []string {
	return slices.DeleteFunc(w.unstacked.Names(), func(name string) bool {
		return w.modules[name[:max(0, strings.LastIndexByte(name, '.'))]]
	})
}

// inFiles returns err with the file of the tensor that it is about, where a
// model has several.
func (m *Model) inFiles(err error) error {
	if err == nil || len(m.set.Files()) == 1 {
		return err
	}
	return module.InFiles(err, func(tensor string) string {
		if m.src != nil {
			tensor = m.src.Origin(tensor)
		}
		if file := m.set.FileOf(tensor); file != "" {
			return filepath.Base(file)
		}
		return ""
	})
}

func (m *Model) open(o Options) error {
	m.scratch.New = func() any { return new(module.Scratch) }
	m.warnings = append(slices.Clone(m.set.Warnings()), m.settings.warnings...)
	src, refused, err := unstack(m.set)
	if err != nil {
		return err
	}
	m.src, m.refused = src, refused
	if q := m.settings.quant; q != nil {
		f, err := m.openFormat(o)
		if err != nil {
			return err
		}
		m.format = f
		m.modules = slices.Clone(f.Modules())
		m.refused = append(m.refused, f.Refused()...)
		if w, ok := f.(module.Warner); ok {
			m.warnings = append(m.warnings, w.Warnings()...)
		}
		others := m.ofAnotherFormat()
		switch none := len(m.modules) == 0 && len(m.refused) == 0; {
		case none && len(others) > 0:
			return quant.Errorf(quant.ErrFormat, q.source, "quant_method", "the format of tensors such as "+others[0].tensor+", "+formatsOf(others[0].tensor),
				"%s, which has no module here (%s)", q.method, layersOf(others))
		case none:
			m.warnings = append(m.warnings, fmt.Sprintf("%s says %s, but no module is quantized so", q.source, q.method))
		}
		for _, o := range others {
			m.refused = append(m.refused, module.Refused{Name: o.module, Why: "its tensor " + o.tensor + " is of another format (" + formatsOf(o.tensor) + ") than " + q.method})
		}
	} else if found := quantizedModules(m.src); len(found) > 0 {
		return quant.Errorf(quant.ErrFormat, m.dir, "quantization", "quantization_config in config.json, quantize_config.json, or quant_model_description.json",
			"not configured, yet there are tensors such as %s (%s)", found[0].tensor, layersOf(found))
	}
	m.findPlain(o.Dense)
	byName := func(a, b module.Refused) int { return module.Compare(a.Name, b.Name) }
	slices.SortFunc(m.modules, func(a, b module.Module) int { return module.Compare(a.Name, b.Name) })
	slices.SortFunc(m.skipped, byName)
	slices.SortFunc(m.refused, byName)
	m.findFused(o.Fusions)
	if len(m.modules) == 0 && len(m.refused) == 0 {
		m.warnings = append(m.warnings, "no linear layer found")
	}
	return nil
}

// Format returns "gptq", "awq", "auto-round", "compressed-tensors", "modelslim" or "dense".
func (m *Model) Format() string {
	if m.format == nil {
		return dense
	}
	return m.format.Name()
}

// Modules returns the linear layers in natural order of their names: the
// quantized ones and the plain ones. The slice is not to be written to.
func (m *Model) Modules() []module.Module { return m.modules }

// Skipped returns the modules and tensors that are not linear layers, or that
// the options leave out, and why. The slice is not to be written to.
func (m *Model) Skipped() []module.Refused { return m.skipped }

// Refused returns the modules that are linear layers, or may be, and are not
// read, and why. The slice is not to be written to.
func (m *Model) Refused() []module.Refused { return m.refused }

// Unmatched returns those of globs, as Glob reads them, that match no name in Modules,
// Skipped and Refused: misspelt ones would change nothing in silence.
func (m *Model) Unmatched(globs []string) []string {
	return slices.DeleteFunc(slices.Clone(globs), func(g string) bool {
		match := func(r module.Refused) bool { return Glob(g).Match(r.Name) }
		return slices.ContainsFunc(m.modules, func(mod module.Module) bool { return Glob(g).Match(mod.Name) }) ||
			slices.ContainsFunc(m.skipped, match) || slices.ContainsFunc(m.refused, match)
	})
}

// Warnings returns what looks odd in the files and configurations, for people.
// The slice is not to be written to.
func (m *Model) Warnings() []string { return m.warnings }

// DType returns the activation type that config.json states (torch_dtype or
// dtype), or Invalid.
func (m *Model) DType() dtype.DType { return m.settings.dtype }

// Tensors returns every tensor of the files in order of name.
func (m *Model) Tensors() []safetensors.Tensor {
	names := m.set.Names()
	out := make([]safetensors.Tensor, 0, len(names))
	for _, n := range names {
		if t, ok := m.set.Lookup(n); ok {
			out = append(out, t)
		}
	}
	return out
}

// ReadTensor returns the bytes of a tensor, little-endian in its type, in dst
// where they fit.
func (m *Model) ReadTensor(dst []byte, name string) ([]byte, error) { return m.set.Read(dst, name) }

// Files returns the files that the tensors are in, open for as long as the model is.
// They are not to be closed.
func (m *Model) Files() *safetensors.Set { return m.set }

// InputFirst reports whether a plain layer is stored [K, N], as GPT-2 has it.
func (m *Model) InputFirst(name string) bool { return m.plain[name].transposed }

// Close closes the files. What reads tensors then, as Load, is fs.ErrClosed.
func (m *Model) Close() error { return m.set.Close() }
