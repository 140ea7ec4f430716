package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// Fused is several linear layers that read the same input, as one layer: its
// rows are theirs, one after another. Some models store it so.
type Fused struct {
	Name    string `json:"name"` // "model.layers.0.self_attn.qkv_proj"
	Parts   []Part `json:"parts"`
	Stored  bool   `json:"stored"`            // it is one module of the file
	Problem string `json:"problem,omitempty"` // why its parts cannot be one layer, as far as that shows without reading them

	heads bool
}

// Part is one of the layers that a Fused stands for.
type Part struct {
	Name string      `json:"name"` // its module; where the whole is stored, what it would be called
	Rows quant.Range `json:"rows"` // its rows in the whole; empty where config.json does not tell
	Unit int         `json:"unit"` // rows that belong together: those of a head, else 1; 0 where config.json does not tell
}

// Fused returns the layers that can take the place of several, by the rules of
// the model's architecture, in natural order of their names: Load reads them.
// The slice is not to be written to. An architecture without rules has none: see
// Options.Fusions.
func (m *Model) Fused() []Fused { return m.fused }

// fusion returns the layer called name whose parts are stored one by one, nil
// where there is none.
func (m *Model) fusion(name string) *Fused {
	i, ok := slices.BinarySearchFunc(m.fused, name, func(f Fused, name string) int { return module.Compare(f.Name, name) })
	if !ok || m.fused[i].Stored {
		return nil
	}
	return &m.fused[i]
}

// loadFused joins the parts of a layer by quant.Concat, whatever their formats:
// they must agree in all that Concat asks for, and the error names the two that
// do not and what differs.
func (m *Model) loadFused(ctx context.Context, dst *quant.Linear, f *Fused) ([]module.Finding, error) {
	if err := m.complete(f); err != nil {
		return nil, err
	}
	var findings []module.Finding
	parts := make([]*quant.Linear, len(f.Parts))
	for i, p := range f.Parts {
		parts[i] = new(quant.Linear)
		found, err := m.Load(ctx, parts[i], p.Name)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	whole, err := quant.Concat(f.Name, parts...)
	if err != nil {
		return nil, err
	}
	*dst = *whole
	return findings, nil
}

// complete reports a part that the model has not.
func (m *Model) complete(f *Fused) error {
	if missing := m.missing(f); missing != "" {
		return quant.Errorf(quant.ErrFormat, f.Name, "", "all parts of it", "no module %s beside %s", missing, f.present(m))
	}
	return nil
}

// unknown is the error for a name of no layer.
func (m *Model) unknown(name string) error {
	want := "one that Modules or Fused lists"
	if len(m.rules) == 0 {
		want += "; no rules for fused layers of model_type " + strings.Join(quoted(m.settings.modelTypes), ", ") + " are known, see Options.Fusions"
	}
	return quant.Errorf(quant.ErrUnsupported, name, "module", want, "unknown")
}

func quoted(words []string) []string {
	out := []string{}
	for _, w := range words {
		out = append(out, fmt.Sprintf("%.60q", w))
	}
	return out
}

// Rank returns the rows of the whole that one of size tensor-parallel ranks
// computes, a range for each part: what quant.Linear.Select takes. Heads stay
// whole; a rank that has some of the query heads of a key head has that key
// head, so that several ranks may have it. Nothing needs to be divisible. A rank or
// size that is out of range, or more ranks than query heads, is quant.ErrShape,
// rows that config.json does not tell are quant.ErrUnsupported.
func (f *Fused) Rank(rank, size int) ([]quant.Range, error) {
	if size < 1 || rank < 0 || rank >= size {
		return nil, quant.Errorf(quant.ErrShape, f.Name, "rank", "0 <= rank < size", "%d of %d", rank, size)
	}
	for _, p := range f.Parts {
		if p.Unit < 1 || p.Rows.Len() < p.Unit || p.Rows.Len()%p.Unit != 0 {
			return nil, quant.Errorf(quant.ErrUnsupported, f.Name, "rows of "+p.Name, "whole heads, as num_attention_heads, num_key_value_heads and head_dim of config.json tell",
				"%d, in heads of %d", p.Rows.Len(), p.Unit)
		}
	}
	units := func(p Part) int { return p.Rows.Len() / p.Unit }
	first := units(f.Parts[0])
	if size > first {
		return nil, quant.Errorf(quant.ErrShape, f.Name, "number of ranks", fmt.Sprintf("at most the %d parts of %s", first, f.Parts[0].Name), "%d", size)
	}
	share := quant.Share(first, rank, size)
	lo, hi := share.Start, share.End
	out := make([]quant.Range, len(f.Parts))
	for i, p := range f.Parts {
		from, to := lo, hi
		if n := units(p); n != first {
			if !f.heads || first%n != 0 {
				return nil, quant.Errorf(quant.ErrUnsupported, f.Name, "rows of "+p.Name, "as many as "+f.Parts[0].Name+" has, or a divisor of its heads", "%d for %d", n, first)
			}
			shared := first / n
			from, to = lo/shared, (hi-1)/shared+1
		}
		out[i] = quant.Range{Start: p.Rows.Start + from*p.Unit, End: p.Rows.Start + to*p.Unit}
	}
	return out, nil
}

// findFused applies the rules to the modules.
func (m *Model) findFused(own map[string][]Fusion) {
	m.rules = m.fusionRules(own)
	if len(m.rules) == 0 {
		return
	}
	seen := map[string]bool{}
	consider := func(name string) {
		at := strings.LastIndexByte(name, '.') + 1
		parent, last := name[:at], name[at:]
		for _, r := range m.rules {
			if r.Heads && slices.ContainsFunc(twoInputs, func(s string) bool { return strings.Contains(parent, s) }) {
				continue
			}
			if whole := parent + r.Name; (last == r.Name || slices.Contains(r.Parts, last)) && !seen[whole] {
				seen[whole] = true
				if f, ok := m.fuse(parent, r); ok {
					m.fused = append(m.fused, f)
				}
			}
		}
	}
	for i := range m.modules {
		consider(m.modules[i].Name)
	}
	slices.SortFunc(m.fused, func(a, b Fused) int { return module.Compare(a.Name, b.Name) })
	m.warnOfFused()
}

// warnOfFused says which layers cannot be one, but for those that lack a part in all of
// the model: some architectures have none.
func (m *Model) warnOfFused() {
	whole := map[string]bool{} // last parts of names
	last := func(f *Fused) string { return f.Name[strings.LastIndexByte(f.Name, '.')+1:] }
	for i := range m.fused {
		if f := &m.fused[i]; m.missing(f) == "" {
			whole[last(f)] = true
		}
	}
	odd, first := 0, -1
	for i := range m.fused {
		if f := &m.fused[i]; f.Problem != "" && whole[last(f)] {
			if odd++; odd == 1 {
				first = i
			}
		}
	}
	if odd > 0 {
		m.warnings = append(m.warnings, fmt.Sprintf("modules that read one input and cannot be one layer: %d, the first %s: %s", odd, m.fused[first].Name, m.fused[first].Problem))
	}
}

// twoInputs are in the names of attentions whose keys and values do not read what their
// queries read. Models whose text part has rules may have one elsewhere: Idefics 2 in its
// connector.perceiver_resampler.
var twoInputs = []string{"cross", "encoder_attn", "perceiver", "resampler"}

// fuse makes the layer of a rule under parent. There is none where fewer than
// two of the parts are there: an up_proj without a gate, a q_proj beside
// compressed keys.
func (m *Model) fuse(parent string, r Fusion) (Fused, bool) {
	f := Fused{Name: parent + r.Name, heads: r.Heads}
	for _, p := range r.Parts {
		f.Parts = append(f.Parts, Part{Name: parent + p, Unit: 1})
	}
	if whole, ok := m.module(f.Name); ok {
		f.Stored = true
		f.cut(whole.N, m.settings.head)
		return f, true
	}
	there, at := 0, 0
	var first *module.Module
	for i := range f.Parts {
		p := &f.Parts[i]
		mod, ok := m.module(p.Name)
		if !ok {
			if why := m.whyRefused(p.Name); why != "" {
				f.Problem = fmt.Sprintf("%s is refused: %s", p.Name, why)
				there++
			}
			continue
		}
		there++
		p.Rows = quant.Range{Start: at, End: at + mod.N}
		at += mod.N
		if first == nil {
			first = mod
		} else if f.Problem == "" {
			f.Problem = differ(first, mod)
		}
	}
	if r.Heads {
		f.findHeads(m.settings.head)
	}
	if missing := m.missing(&f); missing != "" {
		f.Problem = fmt.Sprintf("no module %s beside %s", missing, f.present(m))
	}
	return f, there >= 2
}

// cut tells the parts of a layer that is stored as one.
func (f *Fused) cut(n int, h heads) {
	rows := make([]int, len(f.Parts))
	for i := range rows {
		rows[i] = n / len(rows)
		if f.heads {
			rows[i] = h.keys * h.dim
			f.Parts[i].Unit = h.dim
		}
	}
	if f.heads {
		rows[0] = h.queries * h.dim
	}
	total := 0
	for _, r := range rows {
		total += r
	}
	if total != n {
		return
	}
	at := 0
	for i := range f.Parts {
		f.Parts[i].Rows = quant.Range{Start: at, End: at + rows[i]}
		at += rows[i]
	}
}

// findHeads finds the rows of a head of each part. Those of the queries must be what
// config.json says of its text part, times a whole number: Qwen 3 Next has a gate beside
// the queries of each head. Otherwise they are of another part, a vision tower, or of
// layers with other heads.
func (f *Fused) findHeads(h heads) {
	q := &f.Parts[0]
	whole := func(rows, unit int) bool { return unit > 0 && rows > 0 && rows%unit == 0 }
	for i := range f.Parts {
		f.Parts[i].Unit = 0
	}
	if !whole(q.Rows.Len(), h.queries) || !whole(q.Rows.Len()/h.queries, h.dim) {
		return
	}
	q.Unit = q.Rows.Len() / h.queries
	dim := h.dim
	if q.Unit == h.global {
		dim = h.global
	}
	for i := range f.Parts[1:] {
		if p := &f.Parts[i+1]; whole(p.Rows.Len(), dim) {
			p.Unit = dim
		}
	}
}

// differ says in what two modules differ that a layer has one of, or "".
func differ(a, b *module.Module) string {
	say := func(what string, has, want any) string {
		return fmt.Sprintf("%s of %s is %v, want %v as in %s", what, b.Name, has, want, a.Name)
	}
	switch {
	case a.K != b.K:
		return say("K", b.K, a.K)
	case a.Plain != b.Plain:
		return say("type of the elements", orCodes(b), orCodes(a))
	case a.Bits != b.Bits:
		return say("bits", b.Bits, a.Bits)
	case a.Recipe != b.Recipe:
		return say("recipe", b.Recipe, a.Recipe)
	case a.Scales != b.Scales:
		return say("scale type", b.Scales, a.Scales)
	case groupSize(a) != groupSize(b):
		return say("group size", b.GroupSize, a.GroupSize)
	}
	return ""
}

func orCodes(m *module.Module) string {
	if m.Plain.Valid() {
		return m.Plain.String()
	}
	return fmt.Sprintf("%d-bit codes", m.Bits)
}

func groupSize(m *module.Module) int {
	if m.GroupSize >= m.K {
		return -1
	}
	return m.GroupSize
}

func (m *Model) module(name string) (*module.Module, bool) {
	i, ok := slices.BinarySearchFunc(m.modules, name, func(m module.Module, name string) int { return module.Compare(m.Name, name) })
	if !ok {
		return nil, false
	}
	return &m.modules[i], true
}

func (m *Model) whyRefused(name string) string {
	i, ok := slices.BinarySearchFunc(m.refused, name, func(r module.Refused, name string) int { return module.Compare(r.Name, name) })
	if !ok {
		return ""
	}
	return m.refused[i].Why
}

// missing returns the first part that is neither read nor refused.
func (m *Model) missing(f *Fused) string {
	for _, p := range f.Parts {
		if _, ok := m.module(p.Name); !ok && !f.Stored && m.whyRefused(p.Name) == "" {
			return p.Name
		}
	}
	return ""
}

// present returns the first part that is there.
func (f *Fused) present(m *Model) string {
	for _, p := range f.Parts {
		if _, ok := m.module(p.Name); ok {
			return p.Name
		}
	}
	return "the others"
}
