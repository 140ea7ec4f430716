package checkpoint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// dense is the format of weights that are stored as floats.
const dense = "dense"

// DenseOptions says what becomes of the weights that are stored as floats,
// [N, K] matrices called X.weight for a module X.
//
// The first list with a glob that matches the module's name decides: Quantize,
// Keep, Skip. Where none does, DefaultKeep and DefaultSkip are asked in that
// order, and what neither matches is a linear layer: quantized in a dense
// model, kept plain in one that is already quantized (where Quantize means
// Keep).
//
// In a glob "*" is any run of characters, dots included, "?" one character,
// "[a-c]" one of a set, "[^a-c]" one outside it, and "\" takes the next one as
// it is. A glob matches the whole name.
type DenseOptions struct {
	RTN      quant.RTN // how to quantize; zero: 4 bits in groups of 128. Unless Accurate, a K that is no multiple of the group stays plain, as Warnings say
	Quantize []string  // globs of modules to quantize
	Keep     []string  // globs of modules to keep plain
	Skip     []string  // globs of modules to leave out
}

// DefaultKeep returns the globs of modules that stay plain: heads, which are
// sensitive, and the routers of mixtures of experts.
func DefaultKeep() []string {
	return []string{
		"lm_head", "*.lm_head", "*_head", "head", "*.head", "embed_out", "*.embed_out", "output", "score", "*.score",
		"classifier", "*.classifier", "*.predictions.decoder", "*.seq_relationship", "qa_outputs", "*.qa_outputs",
		"*.gate", "*.router", "*.router.*", "*.shared_expert_gate", "*.gate.wg",
	}
}

// DefaultSkip returns the globs of modules that are not linear layers although
// their weight may be a matrix: embeddings and norms.
func DefaultSkip() []string {
	return []string{
		"*embed_tokens*", "*embed_*_tokens", "*embed_in", "*embedding", "*embeddings", "*_embeds_layer", "*embed_positions", "*pos_emb", "*position_emb",
		"*_embed", "embed", "*.embed",
		"wte", "*.wte", "wpe", "*.wpe", "shared", "*.shared", "*relative_attention_bias", "*codebook",
		"*norm", "*Norm", "*norm[0-9]", "ln_?", "*.ln_?", "*.ln",
	}
}

// plain is a module whose weight is stored as floats.
type plain struct {
	tensor     safetensors.Tensor
	dtype      dtype.DType
	n, k       int
	transposed bool // stored [K, N]
	quantize   bool
}

// checked returns o with its defaults, or an error for what cannot be meant.
func (o Options) checked() (Options, error) {
	d := &o.Dense
	if d.RTN == (quant.RTN{}) {
		d.RTN = quant.RTN{Bits: 4, Group: 128}
	}
	one := d.RTN
	one.Group = -1
	if err := one.Quantize(new(quant.Weight), "Dense.RTN", dtype.F32, 1, 1, make([]byte, 4)); err != nil {
		return o, err
	}
	if d.RTN.Group != -1 && d.RTN.Group < 1 {
		return o, quant.Errorf(quant.ErrUnsupported, "Dense.RTN", "group size", "-1 or at least 1", "%d", d.RTN.Group)
	}
	return o, checkGlobs(slices.Concat(d.Quantize, d.Keep, d.Skip))
}

// choose says what becomes of a module, and by which glob.
func (o *DenseOptions) choose(name string) (quantize, skip bool, why string) {
	if g := matchAny(o.Quantize, name); g != "" {
		return true, false, g
	}
	if g := matchAny(o.Keep, name); g != "" {
		return false, false, g
	}
	if why := o.left(name); why != "" {
		return false, true, why
	}
	if g := matchAny(DefaultKeep(), name); g != "" {
		return false, false, g
	}
	if g := matchAny(DefaultSkip(), name); g != "" {
		return false, true, fmt.Sprintf("an embedding or norm by its name (%s)", g)
	}
	return true, false, ""
}

// left says by which glob of the options a module is left out, or "".
func (o *DenseOptions) left(name string) string {
	if g := matchAny(o.Skip, name); g != "" && matchAny(o.Quantize, name)+matchAny(o.Keep, name) == "" {
		return fmt.Sprintf("matches %q of the options", g)
	}
	return ""
}

// findPlain goes through the tensors that the format has not taken and makes
// plain modules of those that are linear layers.
func (m *Model) findPlain(o DenseOptions) {
	m.plain = map[string]plain{}
	quantized := map[string]bool{} // modules that the format knows
	for i := range m.modules {
		quantized[m.modules[i].Name] = true
	}
	for i := range m.refused {
		quantized[m.refused[i].Name] = true
	}
	taken := map[string]bool{} // modules with a weight that have been decided on
	names := m.src.Names()
	for _, name := range names {
		owner, isWeight := strings.CutSuffix(name, ".weight")
		if !isWeight || quantized[owner] {
			continue
		}
		t, _ := m.src.Lookup(name)
		p, why, refuse := m.plainOf(owner, t, &o)
		switch {
		case refuse:
			m.refused = append(m.refused, module.Refused{Name: owner, Why: why})
		case why != "":
			m.skipped = append(m.skipped, module.Refused{Name: owner, Why: why})
		default:
			m.plain[owner] = p
			m.modules = append(m.modules, m.describe(owner, p))
		}
		taken[owner] = true
	}
	for _, name := range names {
		owner, last := name, ""
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			owner, last = name[:i], name[i+1:]
		}
		if quantized[owner] || taken[owner] && (last == "weight" || last == "bias") {
			continue
		}
		t, _ := m.src.Lookup(name)
		why := floatExperts(t)
		if left := o.left(name); why != "" && left == "" {
			m.refused = append(m.refused, module.Refused{Name: name, Why: why})
		} else {
			m.skipped = append(m.skipped, module.Refused{Name: name, Why: cmp.Or(left, notLinear(t))})
		}
	}
}

func notLinear(t safetensors.Tensor) string {
	return fmt.Sprintf("not a linear layer's weight: %s %v", t.Type, t.Shape)
}

// plainOf decides on one weight. why says why it is no module; refuse tells a
// linear layer that is not read from something that is none.
func (m *Model) plainOf(name string, t safetensors.Tensor, o *DenseOptions) (p plain, why string, refuse bool) {
	if why := floatExperts(t); why != "" {
		left := o.left(name)
		return p, cmp.Or(left, why), left == ""
	}
	if len(t.Shape) != 2 {
		return p, notLinear(t), false
	}
	quantize, skip, why := o.choose(name)
	if skip {
		return p, why, false
	}
	d, ok := t.Type.DType()
	switch {
	case ok:
	case t.Type == safetensors.F64:
		return p, "a weight of type F64, which is not read: only F32, F16 and BF16 are", true
	default:
		return p, fmt.Sprintf("a weight of type %s, without quantization settings that cover it", t.Type), true
	}
	if lo, hi := min(t.Shape[0], t.Shape[1]), max(t.Shape[0], t.Shape[1]); lo < 1 || hi > quant.MaxDim {
		return p, fmt.Sprintf("shape %v, want 1 to 2^30 each", t.Shape), true
	}
	p = plain{tensor: t, dtype: d, n: int(t.Shape[0]), k: int(t.Shape[1])}
	if why, refuse = m.orient(name, &p); refuse {
		return p, why, true
	}
	if p.quantize = quantize && m.format == nil; p.quantize {
		if g := m.rtn.Group; !m.rtn.Accurate && g != -1 && p.k%g != 0 {
			p.quantize = false
			m.warnings = append(m.warnings, fmt.Sprintf("%s: K=%d is not a multiple of the group size %d: kept plain", name, p.k, g))
		}
	}
	return p, "", false
}

// conv1D are the modules of GPT-2 that are stored input first, [K, N], and
// conv1DModels the model types that store them so.
var (
	conv1D       = []string{"c_attn", "q_attn", "c_proj", "c_fc"}
	conv1DModels = []string{"gpt2", "openai-gpt", "imagegpt", "decision_transformer"}
)

// orient finds out whether a weight is stored input first, from the model's
// type, and checks that against the bias, which has N elements.
func (m *Model) orient(name string, p *plain) (why string, refuse bool) {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if slices.Contains(conv1D, last) {
		if m.settings.modelType == "" {
			return last + " may be stored input first, as in GPT-2; config.json would tell by its model_type", true
		}
		if slices.Contains(conv1DModels, m.settings.modelType) {
			p.transposed = true
			p.n, p.k = p.k, p.n
		}
	}
	if b, ok := m.src.Lookup(name + ".bias"); ok && (len(b.Shape) != 1 || b.Shape[0] != int64(p.n)) {
		return fmt.Sprintf("bias %v does not fit a weight of %d output and %d input features", b.Shape, p.n, p.k), true
	}
	return "", false
}

func (m *Model) describe(name string, p plain) module.Module {
	d := module.Module{
		Name: name, Format: dense, N: p.n, K: p.k, Symmetric: p.quantize && !m.rtn.Asymmetric, Quantized: p.quantize, Bytes: p.tensor.Bytes,
		Plain: p.dtype, Detail: p.dtype.String(),
	}
	if b, ok := m.src.Lookup(name + ".bias"); ok {
		d.Bias = true
		d.Bytes += b.Bytes
	}
	if p.quantize {
		d.Bits, d.GroupSize, d.Plain, d.Scales = m.rtn.Bits, m.rtn.Group, dtype.Invalid, p.dtype
		d.Detail = "rtn of " + p.dtype.String()
		if m.rtn.Accurate {
			d.Detail, d.Scales = "accurate "+d.Detail, cmp.Or(m.rtn.Scales, dtype.F32)
		}
	}
	return d
}
