package checkpoint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// attention is a config.json with 4 query heads of 16 and 2 key heads.
func attention(modelType, more string) string {
	return `{"model_type":"` + modelType + `","hidden_size":64,"num_attention_heads":4,"num_key_value_heads":2,"torch_dtype":"float16"` + more + `}`
}

func withGPTQ(modelType string) string {
	return attention(modelType, `,"quantization_config":`+gptqConfig)
}

// q/k/v and gate/up of a GPTQ model become one layer each, whose rows are
// those of the parts.
func TestFusedOfParts(t *testing.T) {
	d := newDir(t).file("config.json", withGPTQ("llama"))
	for _, layer := range []string{"model.layers.0.", "model.layers.10.", "model.layers.2."} {
		for _, p := range []struct {
			name string
			n    int64
		}{{"self_attn.q_proj", 64}, {"self_attn.k_proj", 32}, {"self_attn.v_proj", 32}, {"self_attn.o_proj", 64}, {"mlp.gate_proj", 96}, {"mlp.up_proj", 96}} {
			d.gptq(layer+p.name, p.n, 64, 32)
		}
	}
	d.floats("model.layers.2.self_attn.k_proj.bias", dtype.F16, 32)
	d.floats("lm_head.weight", dtype.F16, 32, 64)
	m := d.open(Options{})
	require.Empty(t, m.Warnings())
	var names []string
	for _, f := range m.Fused() {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{
		"model.layers.0.mlp.gate_up_proj", "model.layers.0.self_attn.qkv_proj",
		"model.layers.2.mlp.gate_up_proj", "model.layers.2.self_attn.qkv_proj",
		"model.layers.10.mlp.gate_up_proj", "model.layers.10.self_attn.qkv_proj",
	}, names)
	qkv := m.Fused()[3]
	require.Equal(t, Fused{Name: "model.layers.2.self_attn.qkv_proj", heads: true, Parts: []Part{
		{"model.layers.2.self_attn.q_proj", quant.Range{Start: 0, End: 64}, 16},
		{"model.layers.2.self_attn.k_proj", quant.Range{Start: 64, End: 96}, 16},
		{"model.layers.2.self_attn.v_proj", quant.Range{Start: 96, End: 128}, 16},
	}}, qkv)

	var whole, part quant.Linear
	findings, err := m.Load(t.Context(), &whole, qkv.Name)
	require.NoError(t, err)
	require.Empty(t, findings)
	require.NoError(t, whole.Check())
	require.Equal(t, qkv.Name, whole.Name)
	require.Equal(t, dtype.F16, whole.DType)
	require.Equal(t, 128, whole.Weight.N())
	for _, p := range qkv.Parts {
		_, err := m.Load(t.Context(), &part, p.Name)
		require.NoError(t, err)
		back, err := whole.Select(quant.AxisN, p.Rows)
		require.NoError(t, err)
		for n := range part.Weight.N() {
			require.Equal(t, part.Weight.Row(n), back.Weight.Row(n))
			require.Equal(t, part.Weight.ScaleRow(n), back.Weight.ScaleRow(n))
		}
		if part.HasBias() {
			require.Equal(t, part.Bias, back.Bias)
		} else {
			require.Equal(t, make([]float32, part.Weight.N()), back.Bias, "a part without a bias adds 0")
		}
	}
	o, err := m.Origin(qkv.Name)
	require.NoError(t, err)
	tensors := 0
	for _, p := range qkv.Parts {
		one, err := m.Origin(p.Name)
		require.NoError(t, err)
		require.Contains(t, o.Settings, one.Settings)
		tensors += len(one.Tensors)
	}
	require.Len(t, o.Tensors, tensors)
	_, err = m.Load(t.Context(), &whole, "model.layers.7.self_attn.qkv_proj")
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "module is unknown, want one that Modules or Fused lists (unsupported)")
}

// What the shards of one layer must agree in, and what the error says.
func TestFusedDisagreements(t *testing.T) {
	const q, k = "m.self_attn.q_proj", "m.self_attn.k_proj"
	override := func(text string) string {
		return attention("llama", `,"quantization_config":`+strings.TrimSuffix(gptqConfig, "}")+`,"dynamic":{"+:.*k_proj":`+text+`}}`)
	}
	for _, c := range []struct {
		config, problem, err string
		class                error
		build                func(d *dir)
	}{
		{override(`{"bits":8}`), "bits of " + k + " is 8, want 4 as in " + q, "m.self_attn.qkv_proj: bits of " + k + " is 8, want 4 as in " + q, quant.ErrShape, func(d *dir) {
			d.raw(k+".qweight", "I32", make([]byte, 64*32), 16, 32)
			d.raw(k+".qzeros", "I32", []byte(strings.Repeat("\x7f", 64)), 2, 8)
			d.floats(k+".scales", dtype.F16, 2, 32)
		}},
		{override(`{"group_size":64}`), "group size of " + k + " is 64, want 32 as in " + q, "group of feature 32 of " + k + " is 0, want 1 as in " + q, quant.ErrShape, func(d *dir) { d.gptq(k, 32, 64, 64) }},
		{withGPTQ("llama"), "K of " + k + " is 96, want 64 as in " + q, "K of " + k + " is 96, want 64 as in " + q, quant.ErrShape, func(d *dir) { d.gptq(k, 32, 96, 32) }},
		{withGPTQ("llama"), "type of the elements of " + k + " is float16, want 4-bit codes as in " + q, "elements of " + k + " is float16, want 4-bit codes as in " + q, quant.ErrDType, func(d *dir) { d.floats(k+".weight", dtype.F16, 32, 64) }},
		{withGPTQ("llama"), "no module " + k + " beside " + q, "m.self_attn.qkv_proj: no module " + k + " beside " + q + ", want all parts of it", quant.ErrFormat, func(d *dir) {}},
		{withGPTQ("llama"), k + " is refused: a weight of type I8", "refused: a weight of type I8", quant.ErrUnsupported, func(d *dir) { d.raw(k+".weight", "I8", make([]byte, 32*64), 32, 64) }},
	} {
		d := newDir(t).file("config.json", c.config)
		d.gptq(q, 64, 64, 32)
		d.gptq("m.self_attn.v_proj", 32, 64, 32)
		c.build(d)
		m := d.open(Options{})
		require.Len(t, m.Fused(), 1, c.problem)
		require.Contains(t, m.Fused()[0].Problem, c.problem)
		if c.class == quant.ErrFormat {
			require.Empty(t, m.Warnings(), "a missing part is no contradiction")
		} else {
			require.Len(t, m.Warnings(), 1)
			require.Contains(t, m.Warnings()[0], "cannot be one layer: 1, the first m.self_attn.qkv_proj: "+c.problem)
		}
		var l quant.Linear
		_, err := m.Load(t.Context(), &l, "m.self_attn.qkv_proj")
		require.ErrorIs(t, err, c.class)
		require.ErrorContains(t, err, c.err)
		_, err = m.Load(t.Context(), &l, q)
		require.NoError(t, err, "the parts load one by one")
	}
}

// The types of a modelslim model's shards must agree: one of them that differs is
// a warning, and an error that names both.
func TestFusedModelslimTypes(t *testing.T) {
	d := newDir(t).file("config.json", attention("qwen3", ""))
	d.slim("m.mlp.gate_proj", 4, 8)
	d.slim("m.mlp.up_proj", 4, 8)
	d.file("quant_model_description.json", `{"m.mlp.gate_proj.weight":"W8A16","m.mlp.up_proj.weight":"W8A8_DYNAMIC"}`)
	m := d.open(Options{})
	require.Equal(t, []string{"modules that read one input and cannot be one layer: 1, the first m.mlp.gate_up_proj: recipe of m.mlp.up_proj is int8-token-ascend, want exact as in m.mlp.gate_proj"}, m.Warnings())
	var l quant.Linear
	_, err := m.Load(t.Context(), &l, "m.mlp.gate_up_proj")
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "recipe of m.mlp.up_proj is int8-token-ascend, want exact as in m.mlp.gate_proj")
}

// Weights that are stored as one, as in Phi-3: as they are, with the rows of
// their parts.
func TestFusedStored(t *testing.T) {
	d := newDir(t).file("config.json", withGPTQ("phi3"))
	d.gptq("m.self_attn.qkv_proj", 128, 64, 32)
	d.gptq("m.mlp.gate_up_proj", 192, 64, 32)
	d.gptq("n.self_attn.qkv_proj", 160, 64, 32) // other heads than config.json says
	m := d.open(Options{})
	require.Equal(t, []Fused{
		{Name: "m.mlp.gate_up_proj", Stored: true, Parts: []Part{{"m.mlp.gate_proj", quant.Range{Start: 0, End: 96}, 1}, {"m.mlp.up_proj", quant.Range{Start: 96, End: 192}, 1}}},
		{Name: "m.self_attn.qkv_proj", Stored: true, heads: true, Parts: []Part{
			{"m.self_attn.q_proj", quant.Range{Start: 0, End: 64}, 16}, {"m.self_attn.k_proj", quant.Range{Start: 64, End: 96}, 16}, {"m.self_attn.v_proj", quant.Range{Start: 96, End: 128}, 16}}},
		{Name: "n.self_attn.qkv_proj", Stored: true, heads: true, Parts: []Part{{"n.self_attn.q_proj", quant.Range{}, 16}, {"n.self_attn.k_proj", quant.Range{}, 16}, {"n.self_attn.v_proj", quant.Range{}, 16}}},
	}, m.Fused())
	var l quant.Linear
	_, err := m.Load(t.Context(), &l, "m.self_attn.qkv_proj")
	require.NoError(t, err)
	require.Equal(t, 128, l.Weight.N())

	for _, c := range []struct {
		rank, size int
		want       string
	}{
		{0, 1, "[0..63 64..95 96..127]"},
		{0, 2, "[0..31 64..79 96..111]"},
		{1, 2, "[32..63 80..95 112..127]"},
		{1, 4, "[16..31 64..79 96..111]"}, // two ranks share a key head
		{2, 4, "[32..47 80..95 112..127]"},
		{0, 3, "[0..31 64..79 96..111]"}, // 4 heads on 3 ranks: 2, 1, 1
		{2, 3, "[48..63 80..95 112..127]"},
	} {
		got, err := m.Fused()[1].Rank(c.rank, c.size)
		require.NoError(t, err)
		require.Equal(t, c.want, fmt.Sprint(got))
		part, err := l.Select(quant.AxisN, got...)
		require.NoError(t, err)
		require.NoError(t, part.Check())
	}
	got, err := m.Fused()[0].Rank(1, 5)
	require.NoError(t, err)
	require.Equal(t, "[20..38 116..134]", fmt.Sprint(got), "gate and up are cut alike")

	for _, c := range []struct {
		f          Fused
		rank, size int
		want       string
	}{
		{m.Fused()[1], 2, 2, "rank is 2 of 2"},
		{m.Fused()[1], 0, 0, "rank is 0 of 0"},
		{m.Fused()[1], 0, 5, "number of ranks is 5, want at most the 4 parts of m.self_attn.q_proj"},
		{m.Fused()[2], 0, 2, "rows of n.self_attn.q_proj is 0, in heads of 16, want whole heads"},
	} {
		_, err := c.f.Rank(c.rank, c.size)
		require.ErrorContains(t, err, c.want)
	}
}

// Nothing is joined by its names alone, and a caller can add an architecture.
func TestFusedRules(t *testing.T) {
	d := newDir(t).file("config.json", withGPTQ("someone_elses"))
	for _, p := range []string{"wq", "wk", "wv", "q_proj", "k_proj", "v_proj"} {
		d.gptq("m."+p, 32, 64, 32)
	}
	m := d.open(Options{})
	require.Empty(t, m.Fused())
	var l quant.Linear
	_, err := m.Load(t.Context(), &l, "m.qkv_proj")
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, `no rules for fused layers of model_type "someone_elses" are known, see Options.Fusions`)

	m = d.open(Options{Fusions: map[string][]Fusion{"someone_elses": {{Name: "wqkv", Parts: []string{"wq", "wk", "wv"}}}}})
	require.Len(t, m.Fused(), 1)
	_, err = m.Load(t.Context(), &l, "m.wqkv")
	require.NoError(t, err)
	require.Equal(t, 96, l.Weight.N())

	nested := newDir(t).file("config.json", `{"model_type":"llava","text_config":`+attention("llama", "")+`,"quantization_config":`+gptqConfig+`}`)
	for p, n := range map[string]int64{"q_proj": 64, "k_proj": 32, "v_proj": 32} {
		nested.gptq("language_model."+p, n, 64, 32)
	}
	require.Equal(t, 16, nested.open(Options{}).Fused()[0].Parts[0].Unit, "the text part's type and heads count")
	require.Contains(t, FusedTypes(), "mixtral")
	require.NotContains(t, FusedTypes(), "mllama", "its cross-attention reads two inputs")
}

// The heads of config.json are those of its text part: they are not cut by in other
// parts, and a head that has a gate stays with it.
func TestFusedHeads(t *testing.T) {
	build := func(config string, q, k int64) *Fused {
		d := newDir(t).file("config.json", config)
		d.gptq("m.self_attn.q_proj", q, 64, 32)
		d.gptq("m.self_attn.k_proj", k, 64, 32)
		d.gptq("m.self_attn.v_proj", k, 64, 32)
		m := d.open(Options{})
		require.Len(t, m.Fused(), 1)
		require.Empty(t, m.Fused()[0].Problem)
		return &m.Fused()[0]
	}
	f := build(withGPTQ("llama"), 160, 160) // a tower of 8 heads of 20
	_, err := f.Rank(0, 3)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "rows of m.self_attn.q_proj is 160, in heads of 0, want whole heads, as num_attention_heads")

	f = build(withGPTQ("qwen3_next"), 128, 32) // 4 heads of 16 and their gates
	require.Equal(t, []int{32, 16, 16}, []int{f.Parts[0].Unit, f.Parts[1].Unit, f.Parts[2].Unit})
	got, err := f.Rank(1, 3)
	require.NoError(t, err)
	require.Equal(t, "[64..95 144..159 176..191]", fmt.Sprint(got), "the third head and the second key")
	_, err = f.Rank(0, 8)
	require.ErrorContains(t, err, "want at most the 4 parts of m.self_attn.q_proj")

	f = build(attention("gemma4_text", `,"head_dim":16,"global_head_dim":32,"quantization_config":`+gptqConfig), 128, 64)
	got, err = f.Rank(3, 4)
	require.NoError(t, err)
	require.Equal(t, "[96..127 160..191 224..255]", fmt.Sprint(got), "a global layer has heads of 32")
}

// Keys and values that do not read what the queries read are not one layer with them,
// whatever the rules of the text part say.
func TestFusedTwoInputs(t *testing.T) {
	d := newDir(t).file("config.json", `{"model_type":"idefics2","text_config":`+attention("mistral", "")+`,"quantization_config":`+gptqConfig+`}`)
	for _, parent := range []string{"model.connector.perceiver_resampler.layers.0.self_attn.", "model.text_model.layers.0.self_attn.", "model.decoder.layers.0.encoder_attn.", "model.layers.3.cross_attn."} {
		d.gptq(parent+"q_proj", 64, 64, 32)
		d.gptq(parent+"k_proj", 32, 64, 32)
		d.gptq(parent+"v_proj", 32, 64, 32)
	}
	m := d.open(Options{})
	require.Len(t, m.Fused(), 1)
	require.Equal(t, "model.text_model.layers.0.self_attn.qkv_proj", m.Fused()[0].Name)
}

// One part alone is no group: an up_proj without a gate, a q_proj beside
// compressed keys.
func TestFusedAlone(t *testing.T) {
	d := newDir(t).file("config.json", withGPTQ("deepseek_v2"))
	d.gptq("m.self_attn.q_proj", 64, 64, 32)
	d.gptq("m.self_attn.kv_a_proj_with_mqa", 64, 64, 32)
	d.gptq("m.mlp.up_proj", 64, 64, 32)
	d.gptq("n.self_attn.q_a_proj", 64, 64, 32)
	d.gptq("n.self_attn.kv_a_proj_with_mqa", 32, 64, 32)
	for _, e := range []string{"0", "3", "11"} {
		d.gptq("m.block_sparse_moe.experts."+e+".w1", 32, 64, 32)
		d.gptq("m.block_sparse_moe.experts."+e+".w3", 32, 64, 32)
	}
	var names []string
	for _, f := range d.open(Options{}).Fused() {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"m.block_sparse_moe.experts.0.w13", "m.block_sparse_moe.experts.3.w13", "m.block_sparse_moe.experts.11.w13", "n.self_attn.fused_qkv_a_proj"}, names)
}

// TestAPartThatOthersHave: a layer without its keys is odd where other layers have some.
func TestAPartThatOthersHave(t *testing.T) {
	for layers, want := range map[int]int{1: 0, 2: 1} {
		d := newDir(t).file("config.json", withGPTQ("llama"))
		for i := range layers {
			for _, p := range []string{"q_proj", "k_proj", "v_proj"} {
				if i > 0 || p != "k_proj" {
					d.gptq(fmt.Sprintf("m.%d.self_attn.%s", i, p), 32, 64, 32)
				}
			}
		}
		m := d.open(Options{})
		require.Len(t, m.Warnings(), want)
		if want > 0 {
			require.Contains(t, m.Warnings()[0], "no module m.0.self_attn.k_proj beside m.0.self_attn.q_proj")
		}
	}
}
