package checkpoint

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func llama(t testing.TB) *dir {
	d := newDir(t).file("config.json", `{"model_type":"llama","torch_dtype":"bfloat16"}`)
	for _, m := range []string{"self_attn.q_proj", "mlp.gate_proj", "mlp.down_proj"} {
		d.floats("model.layers.0."+m+".weight", dtype.BF16, 64, 128)
	}
	d.floats("model.layers.0.mlp.gate.weight", dtype.BF16, 8, 128)
	d.floats("model.layers.0.mlp.shared_expert_gate.weight", dtype.BF16, 1, 128)
	d.floats("model.layers.0.self_attn.q_proj.bias", dtype.F32, 64)
	d.floats("model.layers.0.input_layernorm.weight", dtype.BF16, 128)
	d.floats("model.layers.0.norm.weight", dtype.BF16, 2, 128)
	d.floats("model.embed_tokens.weight", dtype.BF16, 32, 128)
	d.floats("lm_head.weight", dtype.BF16, 32, 128)
	d.floats("vision.patch.weight", dtype.BF16, 4, 3, 2, 2)
	d.floats("vision.patch.bias", dtype.BF16, 4)
	d.floats("model.rotary.inv_freq", dtype.F32, 64)
	return d
}

func TestDenseModel(t *testing.T) {
	d := llama(t)
	m := d.open(Options{})
	require.Equal(t, "dense", m.Format())
	require.Empty(t, m.Warnings())
	quantized := map[string]bool{}
	for _, mod := range m.Modules() {
		quantized[mod.Name] = mod.Quantized
		require.Equal(t, "dense", mod.Format)
	}
	require.Equal(t, map[string]bool{
		"lm_head": false, "model.layers.0.mlp.gate": false, "model.layers.0.mlp.shared_expert_gate": false,
		"model.layers.0.mlp.down_proj": true, "model.layers.0.mlp.gate_proj": true, "model.layers.0.self_attn.q_proj": true,
	}, quantized)
	require.Equal(t, map[string]string{
		"model.embed_tokens":             "an embedding or norm by its name (*embed_tokens*)",
		"model.layers.0.norm":            "an embedding or norm by its name (*norm)",
		"model.layers.0.input_layernorm": "not a linear layer's weight: BF16 [128]",
		"vision.patch":                   "not a linear layer's weight: BF16 [4 3 2 2]",
		"model.rotary.inv_freq":          "not a linear layer's weight: F32 [64]",
	}, reasons(m.Skipped()))

	var l, want quant.Linear
	_, err := m.Load(t.Context(), &l, "model.layers.0.self_attn.q_proj")
	require.NoError(t, err)
	require.NoError(t, quant.RTN{Bits: 4, Group: 128}.Quantize(&want.Weight, "w", dtype.BF16, 64, 128, d.tensors[0].Bytes))
	require.Equal(t, want.Weight.Form(), l.Weight.Form())
	for n := range 64 {
		require.Equal(t, want.Weight.Row(n), l.Weight.Row(n))
		require.Equal(t, want.Weight.ScaleRow(n), l.Weight.ScaleRow(n))
	}
	require.True(t, l.HasBias())
	require.Equal(t, dtype.BF16, l.DType)
	last := m.Modules()[len(m.Modules())-1]
	require.Equal(t, "rtn of bfloat16", last.Detail)
	require.Equal(t, [3]int{4, 128, 64*128*2 + 64*4}, [3]int{last.Bits, last.GroupSize, int(last.Bytes)})
	require.True(t, last.Symmetric && last.Bias)
	require.Equal(t, dtype.BF16, last.Scales)
	require.Equal(t, dtype.Invalid, last.Plain)
}

func TestDenseOptions(t *testing.T) {
	m := llama(t).open(Options{Dense: DenseOptions{
		RTN:      quant.RTN{Bits: 3, Group: 48, Accurate: true},
		Quantize: []string{"lm_head", "*.layers.0.mlp.*"},
		Keep:     []string{"model.embed_tokens", "*.q_proj"},
		Skip:     []string{"*"},
	}})
	got := map[string]string{}
	for _, mod := range m.Modules() {
		got[mod.Name] = mod.Detail
		var l quant.Linear
		_, err := m.Load(t.Context(), &l, mod.Name)
		require.NoError(t, err)
		require.Equal(t, mod.Bits, l.Weight.Bits())
		require.Equal(t, mod.Scales, l.Weight.ScaleType())
	}
	require.Equal(t, map[string]string{
		"lm_head": "accurate rtn of bfloat16", "model.layers.0.mlp.gate": "accurate rtn of bfloat16",
		"model.layers.0.mlp.shared_expert_gate": "accurate rtn of bfloat16", "model.layers.0.mlp.gate_proj": "accurate rtn of bfloat16",
		"model.layers.0.mlp.down_proj": "accurate rtn of bfloat16", "model.layers.0.self_attn.q_proj": "bfloat16", "model.embed_tokens": "bfloat16",
	}, got)
	require.Equal(t, `matches "*" of the options`, reasons(m.Skipped())["model.layers.0.norm"])
	require.Equal(t, []string{"*.layers.9.*"}, m.Unmatched([]string{"*.layers.9.*", "model.layers.0.norm", "*.q_proj"}), "what is skipped is there, as are modules")

	for want, o := range map[string]DenseOptions{
		"RTN bits is 9":        {RTN: quant.RTN{Bits: 9, Group: 128}},
		"group size is 0":      {RTN: quant.RTN{Bits: 4}},
		`"[a", want a ] for`:   {Keep: []string{"[a"}},
		`"x\\", want a charac`: {Skip: []string{`x\`}},
	} {
		_, err := Open(t.Context(), filepath.Join(t.TempDir(), "x"), Options{Dense: o})
		require.ErrorContains(t, err, want)
	}
}

// A row that groups do not divide cannot be quantized as upstream does: it
// stays plain, with a warning, and the others are quantized.
func TestDenseGroupsThatDoNotFit(t *testing.T) {
	d := newDir(t)
	d.floats("a.weight", dtype.F16, 8, 100)
	d.floats("b.weight", dtype.F16, 8, 256)
	m := d.open(Options{})
	require.False(t, m.Modules()[0].Quantized)
	require.True(t, m.Modules()[1].Quantized)
	require.Equal(t, []string{"a: K=100 is not a multiple of the group size 128: kept plain"}, m.Warnings())
	m = d.open(Options{Dense: DenseOptions{RTN: quant.RTN{Bits: 8, Group: -1}}})
	require.True(t, m.Modules()[0].Quantized)
	require.Empty(t, m.Warnings())
}

// The names and shapes of a sentence encoder (all-MiniLM-L6-v2): every linear
// layer comes out, no embedding and no norm.
func TestBERT(t *testing.T) {
	d := newDir(t).file("config.json", `{"model_type":"bert","torch_dtype":"float32"}`)
	linear := func(name string, n, k int64) {
		d.floats(name+".weight", dtype.F32, n, k)
		d.floats(name+".bias", dtype.F32, n)
	}
	norm := func(name string) {
		d.floats(name+".weight", dtype.F32, 128)
		d.floats(name+".bias", dtype.F32, 128)
	}
	d.raw("embeddings.position_ids", "I64", make([]byte, 8*16), 1, 16)
	for _, e := range []string{"word", "position", "token_type"} {
		d.floats("embeddings."+e+"_embeddings.weight", dtype.F32, 16, 128)
	}
	norm("embeddings.LayerNorm")
	want := []string{}
	for i := range 2 {
		p := fmt.Sprintf("encoder.layer.%d.", i)
		for _, l := range []string{"attention.output.dense", "attention.self.key", "attention.self.query", "attention.self.value", "intermediate.dense", "output.dense"} {
			want = append(want, p+l)
			switch l {
			case "intermediate.dense":
				linear(p+l, 512, 128)
			case "output.dense":
				linear(p+l, 128, 512)
			default:
				linear(p+l, 128, 128)
			}
		}
		norm(p + "attention.output.LayerNorm")
		norm(p + "output.LayerNorm")
	}
	linear("pooler.dense", 128, 128)
	want = append(want, "pooler.dense")
	m := d.open(Options{})
	require.Equal(t, want, names(m.Modules()))
	require.Len(t, m.Skipped(), 1+3+1+4)
	for _, mod := range m.Modules() {
		require.True(t, mod.Quantized && mod.Bias)
		var l quant.Linear
		_, err := m.Load(t.Context(), &l, mod.Name)
		require.NoError(t, err)
		require.NoError(t, l.Check())
	}
}

// GPT-2 stores the weights of its Conv1D modules input first.
func TestConv1D(t *testing.T) {
	build := func(config string) (*dir, []float32) {
		d := newDir(t)
		if config != "" {
			d.file("config.json", config)
		}
		w := d.floats("h.0.attn.c_attn.weight", dtype.F32, 128, 384)
		d.floats("h.0.attn.c_attn.bias", dtype.F32, 384)
		d.floats("h.0.attn.c_proj.weight", dtype.F32, 128, 128)
		d.floats("h.0.attn.c_proj.bias", dtype.F32, 128)
		d.floats("wte.weight", dtype.F32, 50, 128)
		d.floats("h.0.ln_1.weight", dtype.F32, 128)
		return d, w
	}
	d, w := build(`{"model_type":"gpt2"}`)
	m := d.open(Options{Dense: DenseOptions{Keep: []string{"*"}}})
	require.Empty(t, m.Refused())
	var l quant.Linear
	_, err := m.Load(t.Context(), &l, "h.0.attn.c_attn")
	require.NoError(t, err)
	require.Equal(t, [2]int{384, 128}, [2]int{l.Weight.N(), l.Weight.K()})
	require.Equal(t, [2]int{384, 128}, [2]int{m.Modules()[0].N, m.Modules()[0].K})
	for n := range 384 {
		for k := range 128 {
			require.Equal(t, w[k*384+n], l.Weight.Value(n, k))
		}
	}
	m = d.open(Options{Dense: DenseOptions{RTN: quant.RTN{Bits: 8, Group: 128}}})
	require.Equal(t, []string{"h.0.attn.c_attn", "h.0.attn.c_proj"}, names(m.Modules()))
	_, err = m.Load(t.Context(), &l, "h.0.attn.c_attn")
	require.NoError(t, err)
	require.InDelta(t, w[5*384+7], l.Weight.Value(7, 5), 0.05)

	d, _ = build("")
	m = d.open(Options{})
	require.Empty(t, m.Modules())
	require.Len(t, m.Refused(), 2, "the square one could be either")
	require.Contains(t, m.Refused()[1].Why, "c_proj may be stored input first")

	d, _ = build(`{"model_type":"gpt_bigcode"}`)
	m = d.open(Options{})
	require.Equal(t, []string{"h.0.attn.c_proj"}, names(m.Modules()))
	require.Equal(t, map[string]string{"h.0.attn.c_attn": "bias [384] does not fit a weight of 128 output and 384 input features"}, reasons(m.Refused()))
}

// Embeddings go by many names, and not one of them is a linear layer.
func TestEmbeddings(t *testing.T) {
	d := newDir(t)
	all := []string{"gpt_neox.embed_in", "embed_tokens", "model.embed_tokens_per_layer", "backbone_model.embed_audio_tokens", "semantic.input_embeds_layer",
		"encoder.pos_emb", "x.position_emb", "transformer.wte", "transformer.word_embeddings", "model.tok_embeddings", "transformer.embedding.word_embeddings"}
	for _, name := range all {
		d.floats(name+".weight", dtype.F32, 8, 128)
	}
	m := d.open(Options{})
	require.Empty(t, names(m.Modules()))
	require.Len(t, m.Skipped(), len(all))
}

func TestOddWeights(t *testing.T) {
	d := newDir(t)
	d.raw("a.weight", "F8_E4M3", make([]byte, 12), 3, 4)
	d.raw("b.weight", "F32", nil, 0, 4)
	d.raw("c.weight", "F64", make([]byte, 8*12), 3, 4)
	m := d.open(Options{})
	require.Empty(t, m.Modules())
	require.Len(t, m.Refused(), 3)
	require.Contains(t, reasons(m.Refused())["b"], "shape [0 4]")
	require.Equal(t, []string{"x", "bb"}, m.Unmatched([]string{"x", "b", "*", "bb"}), "what is refused is there")

	none := newDir(t)
	none.floats("x", dtype.F32, 3)
	m = none.open(Options{})
	require.Equal(t, []string{"no linear layer found"}, m.Warnings())
	require.Equal(t, "not a linear layer's weight: F32 [3]", reasons(m.Skipped())["x"])
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "", false}, {"*", "", true}, {"*", "a.b.c", true},
		{"*.mlp.*", "model.layers.0.mlp.up_proj", true}, {"*.mlp", "a.mlp.x", false}, {"mlp*", "a.mlp", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"*b*c", "abxbc", true}, {"*ab", "aab", true}, {"a*b*", "acd", false},
		{"l[0-3].x", "l2.x", true}, {"l[0-3].x", "l4.x", false}, {"l[^0-3].x", "l4.x", true}, {"[ab]", "b", true},
		{"[]]", "]", true}, {"[^]]", "]", false}, {"[a-]", "-", true}, {`\*`, "*", true}, {`\*`, "x", false},
		{"**a", "bca", true}, {"*[xy]", "ay", true}, {"*[xy]", "az", false},
	} {
		require.NoError(t, checkGlobs([]string{c.glob}))
		require.Equal(t, c.want, matchGlob(c.glob, c.name), "%q on %q", c.glob, c.name)
	}
	for _, bad := range []string{"[", "[]", "[^", "[^]", "a[b", `\`, `ab\`, "[a-z", "[z-ab]", "[^a-c9-0]", strings.Repeat("*", maxGlob+1)} {
		require.ErrorIs(t, checkGlobs([]string{bad}), quant.ErrFormat, bad)
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("*.mlp.[a-z]*", "model.layers.0.mlp.up_proj")
	f.Add(`[^]]\*?`, "x*y")
	f.Fuzz(func(t *testing.T, glob, name string) {
		if checkGlobs([]string{glob}) != nil {
			return
		}
		require.True(t, !matchGlob(glob, name) || matchGlob(glob+"*", name+"tail"))
		if utf8.ValidString(glob) && !strings.ContainsFunc(glob, func(r rune) bool { return r > unicode.MaxASCII }) {
			regexp.MustCompile(Glob(glob).Pattern())
		}
	})
}

// LoadPlain gives the floats of a layer that Load quantizes.
func TestLoadPlain(t *testing.T) {
	d := newDir(t)
	want := d.floats("a.weight", dtype.BF16, 8, 128)
	m := d.open(Options{})
	require.True(t, m.Modules()[0].Quantized)
	var l quant.Linear
	require.NoError(t, m.LoadPlain(t.Context(), &l, "a"))
	for i, v := range want {
		require.Equal(t, v, l.Weight.Value(i/128, i%128))
	}
	require.ErrorIs(t, m.LoadPlain(t.Context(), &l, "b"), quant.ErrUnsupported)
	_, err := m.Load(t.Context(), &l, "a")
	require.NoError(t, err)
	require.Equal(t, 4, l.Weight.Bits())
}

// A glob and its pattern match the same names.
func TestGlobPattern(t *testing.T) {
	names := []string{"", "a", "ab", "a.b", "a.b.c", "b", "a-b", "a]b", "a^b", `a\b`, "a*b", "a$", "a|b", "a[b", "x+", "(x)", "{x}"}
	for _, g := range []string{"*", "a*", "*b", "a?b", "a[.]b", "a[^.]b", "a[]]b", "a[a-z^]b", `a[\]b`, `a\*b`, "a[^a-z.]b", "a.b", "a$", "x+", "(x)", "{x}", "a|b", `a\[b`, "a[*-^]b", "a[&&]b"} {
		require.NoError(t, Glob(g).Check())
		re := regexp.MustCompile(`\A(?:` + Glob(g).Pattern() + `)`)
		for _, n := range names {
			require.Equal(t, Glob(g).Match(n), re.MatchString(n), "%s as %s on %s", g, Glob(g).Pattern(), n)
		}
	}
	require.Error(t, Glob("[").Check())
}
