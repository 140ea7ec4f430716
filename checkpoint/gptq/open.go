package gptq

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// name of the format.
const name = "gptq"

// Option changes how a checkpoint is read.
type Option func(*reader)

// UnmaskedZeros reads a version 1 zero point as stored+1 without cutting it to
// the bits, as some of AutoGPTQ's kernels and vLLM's did: a stored 15 of 4 bits
// is then 16 and not 0. The quantizer meant the cut form, which is the default.
func UnmaskedZeros(r *reader) { r.unmasked = true }

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
	unmasked bool
	config   string // what errors call the configuration
}

// layer is one quantized module: what the configuration and the shapes say.
type layer struct {
	Settings
	name                           string
	n, k, groups                   int
	scales                         dtype.DType
	qweight, qzeros, scale, gIndex string // tensor names; gIndex is "" where there is none
}

// Open returns the GPTQ modules of a checkpoint. config is the JSON object of
// its quantization configuration; src has its tensors and must stay open for
// as long as the Format is used. Every module with a tensor called qweight is
// quantized, whatever the configuration says about it.
//
// A variant that is not read is quant.ErrUnsupported, naming it and the number
// of its layers; tensors that contradict each other or the configuration are
// quant.ErrFormat, naming the tensor. The Format is also a module.Warner.
func Open(config []byte, src safetensors.Source, options ...Option) (module.Format, error) {
	names := modulesOf(src)
	r := newReader(src, len(names), options)
	c, err := parseConfig(r.config, config)
	if err != nil {
		return nil, counted(err, names)
	}
	r.warnings = c.warnings
	var faults module.Faults
	for i, m := range names {
		s, skip, err := c.of(m)
		if err != nil {
			return nil, counted(err, c.same(err, names[i:]))
		}
		if skip != "" {
			r.warn("%s: dynamic entry %q says that it is not quantized, but it is; read with the general settings", m, skip)
		}
		if m == "lm_head" && c.lmHead != nil && !*c.lmHead {
			r.warn("lm_head: the configuration says that it is not quantized, but it is")
		}
		if err := faults.Add(m, r.add(m, s)); err != nil {
			return nil, err
		}
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenModules is Open for the formats that pack modules as GPTQ does and say
// otherwise how: it returns the modules called names, each with the settings
// that settings returns for it, whose errors it passes on.
func OpenModules(src safetensors.Source, names []string, settings func(name string) (Settings, error), options ...Option) (module.Format, error) {
	r := newReader(src, len(names), options)
	var faults module.Faults
	for _, m := range names {
		s, err := settings(m)
		if err == nil {
			err = s.check(m)
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

func newReader(src safetensors.Source, modules int, options []Option) *reader {
	r := &reader{src: src, byName: make(map[string]int, modules), config: "quantization_config"}
	for _, o := range options {
		o(r)
	}
	return r
}

// add finds and checks the tensors of a module.
func (r *reader) add(name string, s Settings) error {
	if _, both := r.src.Lookup(name + ".weight"); both {
		r.warn("%s: stored both as qweight and as weight; qweight is read", name)
	}
	l := layer{Settings: s, name: name}
	l.BitsFrom, l.GroupSizeFrom = cmp.Or(l.BitsFrom, r.config), cmp.Or(l.GroupSizeFrom, r.config)
	if err := l.find(r.src); err != nil {
		return err
	}
	r.byName[name] = len(r.layers)
	r.layers = append(r.layers, l)
	r.modules = append(r.modules, l.describe(r.src))
	return nil
}

func (r *reader) warn(format string, args ...any) {
	r.warnings = append(r.warnings, name+": "+fmt.Sprintf(format, args...))
}

// counted turns a refusal of the configuration into an error that says which
// layers it concerns.
func counted(err error, layers []string) error {
	var u *unsupported
	if !errors.As(err, &u) {
		return err
	}
	first := ""
	if len(layers) > 0 {
		first = layers[0]
	}
	return quant.Errorf(quant.ErrUnsupported, u.name, u.field, u.want, "%s (%s: %s)", u.has, name, module.Layers(len(layers), first))
}

// modulesOf returns the modules that have codes or zero points, in natural
// order. The tensor names of the variants that are refused count too, so that a
// refusal can say how many layers there are.
func modulesOf(src safetensors.Source) []string {
	found := map[string]bool{}
	for _, n := range src.Names() {
		for _, suffix := range []string{".qweight", ".qzeros", ".B", ".trellis"} {
			if m, ok := strings.CutSuffix(n, suffix); ok && (suffix[1] == 'q' || hasCompanion(src, m)) {
				found[m] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), module.Compare)
}

// hasCompanion tells marlin's B and s and exl3's trellis from tensors that
// happen to be called so.
func hasCompanion(src safetensors.Source, m string) bool {
	for _, suffix := range []string{".s", ".suh", ".svh"} {
		if _, ok := src.Lookup(m + suffix); ok {
			return true
		}
	}
	return false
}

// Name returns "gptq".
func (r *reader) Name() string { return name }

// Modules returns the quantized modules.
func (r *reader) Modules() []module.Module { return r.modules }

// Refused returns nothing: what is not read is refused by Open as a whole.
func (r *reader) Refused() []module.Refused { return nil }

// Warnings returns what looks odd in the configuration.
func (r *reader) Warnings() []string { return r.warnings }

// Trace implements module.Tracer.
func (r *reader) Trace(module string) (tensors []string, settings string) {
	i, ok := r.byName[module]
	if !ok {
		return nil, ""
	}
	l := &r.layers[i]
	tensors = []string{l.qweight, l.qzeros, l.scale, l.name + ".bias"}
	if l.gIndex != "" {
		tensors = append(tensors, l.gIndex)
	}
	actOrder := "not said"
	if l.ActOrder != nil {
		actOrder = fmt.Sprint(*l.ActOrder)
	}
	return tensors, fmt.Sprintf("%s %d bits, groups of %d, sym %v, desc_act %s, version %d, planar %v, unmasked %v",
		name, l.Bits, l.GroupSize, l.Symmetric, actOrder, l.Version, l.Planar, r.unmasked)
}

// find looks up the tensors of l and checks their types and shapes against
// each other and against the settings.
func (l *layer) find(src safetensors.Source) error {
	err := l.check(src)
	if err != nil {
		err = l.like(src).Explain(err)
	}
	return err
}

// like finds the settings that the shapes have: scales tell N and the groups,
// zero points the bits, and codes K.
func (l *layer) like(src safetensors.Source) (like module.Likeness) {
	w, err := words(src, l.qweight)
	if err != nil {
		return like
	}
	z, err := words(src, l.qzeros)
	if err != nil {
		return like
	}
	s, ok := src.Lookup(l.scale)
	if !ok || len(s.Shape) != 2 || s.Shape[0] != z.Shape[0] || s.Shape[1] < 1 {
		return like
	}
	n := s.Shape[1]
	if w.Shape[1] != n {
		if w.Shape[1]*8 == n && w.Shape[1] == z.Shape[1] {
			like.Format = "awq"
		}
		return like
	}
	bits := z.Shape[1] * 32 / n
	if z.Shape[1]*32%n != 0 || !Packs(int(bits)) {
		return like
	}
	if int(bits) != l.Bits {
		like.Bits = int(bits)
	}
	k := w.Shape[0] * 32 / bits
	if groups := s.Shape[0]; l.GroupSize < 1 || (k-1)/int64(l.GroupSize)+1 != groups {
		like.GroupSize = module.GroupSizeOf(k, groups)
	}
	if l.GroupSize < 1 && like.GroupSize < 0 {
		like.GroupSize = 0
	}
	return like
}

func (l *layer) check(src safetensors.Source) error {
	l.qweight, l.qzeros, l.scale = l.name+".qweight", l.name+".qzeros", l.name+".scales"
	w, err := words(src, l.qweight)
	if err != nil {
		return err
	}
	// Rows of words hold whole blocks of codes: 3 words of 32 codes for 3 bits.
	block := int64(1)
	if 32%l.Bits != 0 {
		block = int64(l.Bits)
	}
	rows, n := w.Shape[0], w.Shape[1]
	if rows%block != 0 || rows*32/int64(l.Bits) > quant.MaxDim {
		return quant.Errorf(quant.ErrFormat, l.qweight, "shape", fmt.Sprintf("a multiple of %s and at most 2^30 features (%s)", module.Count(int(block), "row"), l.said()), "%v", w.Shape)
	}
	l.n, l.k = int(n), int(rows*32/int64(l.Bits))
	if int64(l.n)*int64(l.Bits)%32 != 0 {
		return quant.Errorf(quant.ErrFormat, l.qweight, "columns", fmt.Sprintf("whole words of %d-bit zero points (%s)", l.Bits, l.said()), "%d", l.n)
	}
	if l.Planar && 32%l.Bits != 0 && l.n%32 != 0 {
		return quant.Errorf(quant.ErrFormat, l.qweight, "columns", "a multiple of 32, whole blocks of zero points in planes", "%d", l.n)
	}
	l.groups = l.groupsOf(l.k)
	if err := l.checkRows(src, w); err != nil {
		return err
	}
	z, err := words(src, l.qzeros)
	if err != nil {
		return err
	}
	if err := l.fits(z, l.groups, l.n*l.Bits/32); err != nil {
		return err
	}
	s, ok := src.Lookup(l.scale)
	if !ok {
		return module.Missing(l.scale)
	}
	if l.scales, err = module.FloatTensor(s); l.scales == dtype.Invalid {
		return err
	}
	if err := l.fits(s, l.groups, l.n); err != nil {
		return err
	}
	if g, ok := src.Lookup(l.name + ".g_idx"); ok {
		l.gIndex = g.Name
		if g.Type != safetensors.I32 {
			return quant.Errorf(quant.ErrFormat, g.Name, "type", "I32", "%s", g.Type)
		}
		err := l.fits(g, l.k)
		if k := l.indexed(src); k > 0 && err != nil && !l.fillsGroups(l.k) {
			about := err.(*quant.FieldError)
			about.Want += fmt.Sprintf(", or %v in qweight", []int{k * l.Bits / 32, l.n})
		}
		return err
	}
	return nil
}

// groupsOf returns the number of groups of k features.
func (l *layer) groupsOf(k int) int {
	if l.GroupSize < 1 {
		return 1
	}
	return (k-1)/l.GroupSize + 1
}

// fillsGroups reports whether k features are whole groups of a size that is said.
func (l *layer) fillsGroups(k int) bool { return l.GroupSize > 0 && k%l.GroupSize == 0 }

// indexed returns the K of the group index where it could be that of qweight and is
// another, with as many groups as zero points and scales have; 0 where it is not.
func (l *layer) indexed(src safetensors.Source) int {
	g, ok := src.Lookup(l.name + ".g_idx")
	if !ok || g.Type != safetensors.I32 || len(g.Shape) != 1 || g.Shape[0] < 1 || g.Shape[0] > quant.MaxDim || g.Shape[0] == int64(l.k) || g.Shape[0]*int64(l.Bits)%32 != 0 {
		return 0
	}
	k := int(g.Shape[0])
	z, _ := src.Lookup(l.qzeros)
	s, _ := src.Lookup(l.scale)
	groups := l.groupsOf(k)
	if module.CheckShape(z, groups, l.n*l.Bits/32) != nil || module.CheckShape(s, groups, l.n) != nil {
		return 0
	}
	return k
}

// checkRows reports qweight where the other tensors agree on another K than its rows
// have. Where both have the same number of groups, theirs is right that fills them.
func (l *layer) checkRows(src safetensors.Source, w safetensors.Tensor) error {
	k := l.indexed(src)
	if k == 0 || l.groupsOf(k) == l.groups && !l.fillsGroups(k) {
		return nil
	}
	return quant.Errorf(quant.ErrFormat, l.qweight, "shape",
		fmt.Sprintf("%v for K=%d of g_idx, which scales and qzeros fit (%s)", []int{k * l.Bits / 32, l.n}, k, l.said()), "%v", w.Shape)
}

// fits checks a shape and says what it follows from.
func (l *layer) fits(t safetensors.Tensor, shape ...int) error {
	if module.CheckShape(t, shape...) == nil {
		return nil
	}
	return quant.Errorf(quant.ErrFormat, t.Name, "shape",
		fmt.Sprintf("%v (K=%d, N=%d from qweight; %s)", shape, l.k, l.n, l.said()), "%v", t.Shape)
}

// said is what shapes follow from beside other shapes, and where it is said.
func (l *layer) said() string {
	bits, group := module.ShortName(l.BitsFrom), module.ShortName(l.GroupSizeFrom)
	if bits == group {
		return fmt.Sprintf("bits %d and group_size %d of %s", l.Bits, l.GroupSize, bits)
	}
	return fmt.Sprintf("bits %d of %s, group_size %d of %s", l.Bits, bits, l.GroupSize, group)
}

// words looks up a matrix of 32-bit words that is not empty.
func words(src safetensors.Source, tensor string) (safetensors.Tensor, error) {
	t, ok := src.Lookup(tensor)
	switch {
	case !ok:
		return t, module.Missing(tensor)
	case t.Type != safetensors.I32:
		return t, quant.Errorf(quant.ErrFormat, tensor, "type", "I32", "%s", t.Type)
	case len(t.Shape) != 2 || min(t.Shape[0], t.Shape[1]) < 1 || max(t.Shape[0], t.Shape[1]) > quant.MaxDim:
		return t, quant.Errorf(quant.ErrFormat, tensor, "shape", "a matrix of 1 to 2^30 rows and columns", "%v", t.Shape)
	}
	return t, nil
}

// variant is what tells files of the same bits apart.
func (l *layer) variant() string {
	if l.Planar {
		return "planar"
	}
	return fmt.Sprintf("v%d", l.Version)
}

func (l *layer) describe(src safetensors.Source) module.Module {
	m := module.Module{
		Name: l.name, Format: name, Detail: l.variant(),
		N: l.n, K: l.k, Bits: l.Bits, GroupSize: l.GroupSize, Symmetric: l.Symmetric,
		ActOrder: l.gIndex != "" && l.groups > 1 && (l.ActOrder == nil || *l.ActOrder),
		Scales:   l.scales, Quantized: true,
	}
	for _, t := range []string{l.qweight, l.qzeros, l.scale, l.name + ".g_idx", l.name + ".bias"} {
		if t, ok := src.Lookup(t); ok {
			m.Bytes += t.Bytes
			m.Bias = m.Bias || t.Name == l.name+".bias"
		}
	}
	return m
}
