package checkpoint

import (
	"maps"
	"slices"
)

// Fusion is a rule of one architecture: modules beside each other that read
// the same input, so that they can be one layer whose rows are theirs, one
// after another. Queries, keys and values of an attention whose name says that it reads
// two inputs (cross, encoder_attn, perceiver, resampler) are left alone.
type Fusion struct {
	Name  string   // last part of the one layer's name: "qkv_proj"
	Parts []string // last parts of the modules' names, in the order of their rows: "q_proj", "k_proj", "v_proj"
	Heads bool     // the parts are queries, keys and values: their rows come in heads
}

var (
	qkv      = Fusion{Name: "qkv_proj", Parts: []string{"q_proj", "k_proj", "v_proj"}, Heads: true}
	gateUp   = Fusion{Name: "gate_up_proj", Parts: []string{"gate_proj", "up_proj"}}
	w13      = Fusion{Name: "w13", Parts: []string{"w1", "w3"}} // of experts: gate and up
	latent   = Fusion{Name: "fused_qkv_a_proj", Parts: []string{"q_a_proj", "kv_a_proj_with_mqa"}}
	deltaNet = []Fusion{
		{Name: "in_proj_qkvz", Parts: []string{"in_proj_qkv", "in_proj_z"}},
		{Name: "in_proj_ba", Parts: []string{"in_proj_b", "in_proj_a"}},
	}
)

// fusions are the rules by model_type. Two modules of the same names may read
// different inputs (the keys of a cross-attention), so nothing is concluded from
// names alone: an architecture that is not here has no rules. Those that store
// queries, keys and values of each head together (GPT-NeoX, BLOOM, Falcon,
// InternLM 2) or gate and up row by row (gpt-oss) are left out on purpose: no
// ranges of rows are their parts.
var fusions = func() map[string][]Fusion {
	table := map[string][]Fusion{
		"baichuan": {{Name: "W_pack", Parts: qkv.Parts, Heads: true}, gateUp},
		"chatglm":  {{Name: "query_key_value", Parts: qkv.Parts, Heads: true}, {Name: "dense_h_to_4h", Parts: gateUp.Parts}},
		"gpt2":     {{Name: "c_attn", Parts: qkv.Parts, Heads: true}},
		"qwen":     {{Name: "c_attn", Parts: qkv.Parts, Heads: true}, {Name: "gate_up_proj", Parts: []string{"w2", "w1"}}},
	}
	add := func(rules []Fusion, types ...string) {
		for _, t := range types {
			table[t] = rules
		}
	}
	add([]Fusion{qkv}, "gpt_oss", "opt", "phi", "starcoder2", "nemotron", "granitemoe", "persimmon")
	add([]Fusion{qkv, gateUp},
		"llama", "mistral", "mistral3", "ministral3", "qwen2", "qwen3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma", "gemma2", "gemma3_text", "gemma4_text",
		"granite", "olmo", "olmo2", "olmo3", "cohere", "cohere2", "exaone4", "glm", "glm4", "stablelm", "smollm3", "seed_oss", "minicpm",
		"minicpm3", "internlm", "internlm3", "ernie4_5", "hunyuan_v1_dense", "arcee", "apertus", "xverse", "orion", "phi3", "phi4mm", "llama4_text")
	add([]Fusion{qkv, gateUp, w13},
		"qwen2_moe", "qwen3_moe", "qwen3_vl_moe", "mixtral", "phimoe", "olmoe", "glm4_moe", "glm4v_moe", "ernie4_5_moe", "hunyuan_v1_moe",
		"minimax_m2", "dots1", "step3p5", "bailing_moe")
	add([]Fusion{gateUp, w13, latent},
		"deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm4_moe_lite", "glm_moe_dsa", "longcat_flash", "pangu_ultra_moe")
	add(append([]Fusion{qkv, gateUp, w13}, deltaNet...), "qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text")
	return table
}()

// FusedTypes returns the values of model_type that there are rules for, sorted.
func FusedTypes() []string { return slices.Sorted(maps.Keys(fusions)) }

// fusions returns the rules of the model: those of the options before those of
// the table, the model's own type before that of its text part.
func (m *Model) fusionRules(own map[string][]Fusion) []Fusion {
	for _, t := range m.settings.modelTypes {
		if rules, ok := own[t]; ok {
			return rules
		}
	}
	for _, t := range m.settings.modelTypes {
		if rules, ok := fusions[t]; ok {
			return rules
		}
	}
	return nil
}
