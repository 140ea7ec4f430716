package main

// autoRound asks for what AutoRound's reader does not read, and damages its
// configuration. Its tensors are those of GPTQ and AWQ, damaged there.
func (d damage) autoRound() {
	small := smallGPTQ().without(down + ".g_idx")
	add := func(name, quantization string, want ...string) {
		d.model("auto-round-"+name, small, quantization, want...)
	}
	keys := func(keys string) string {
		return `"quantization_config": {"quant_method": "auto-round", "packing_format": "auto_round:auto_gptq", "sym": false, ` + keys + `}`
	}
	general := func(more string) string { return keys(`"bits": 4, "group_size": 16, ` + more) }
	for name, packing := range map[string]string{
		"fp8": "auto_round:fp8_static", "llm-compressor": "auto_round:llm_compressor", "mlx": "mlx", "fake": "auto_round:fake", "unknown": "auto_round:hyper",
	} {
		add("packing-"+name, autoRoundConfig(4, 16, false, packing, ""), "config.json: quantization_config: packing_format", packing, "1 layer, "+down, "auto_round:auto_awq")
	}
	add("backend-itrex", `"quantization_config": {"quant_method": "intel/auto-round", "backend": "itrex", "bits": 4, "group_size": 16, "sym": false}`, "backend", "itrex", "1 layer, "+down)
	add("act-bits-8", general(`"act_bits": 8, "act_data_type": "int", "act_dynamic": true`), "act_bits is 8", `act_data_type "int"`, "want 16", "llm_compressor", "1 layer, "+down)
	add("act-bits-extra", general(`"extra_config": {"`+down+`": {"act_bits": 8}}`), "act_bits is 8", "1 layer, "+down)
	add("data-type-mx", general(`"data_type": "mx_fp4"`), `data_type is "mx_fp4"`, "want int", "1 layer, "+down)
	add("data-type-gguf", general(`"data_type": "int_asym_dq", "super_bits": 6`), "int_asym_dq", "1 layer, "+down)
	add("rotation", general(`"rotation_config": {"hadamard_type": "hadamard", "block_size": 32}`), "rotation_config", "rotated", "1 layer, "+down)
	add("bits-5", keys(`"bits": 5, "group_size": 16`), "bits is 5", "2, 3, 4 or 8", "1 layer, "+down)
	add("bits-missing", keys(`"group_size": 16`), "bits", "absent")
	add("bits-text", keys(`"bits": "four", "group_size": 16`), "bits", "four")
	add("group-size-0", keys(`"bits": 4, "group_size": 0`), "group_size", "0", "-1")
	add("group-size-wrong", keys(`"bits": 4, "group_size": 32`), down+".qzeros", "[2 2]", "[1 2]", "group_size 32 of config.json: quantization_config)")
	add("extra-not-object", general(`"extra_config": ["lm_head"]`), "extra_config", "an object")
	add("extra-entry-text", general(`"extra_config": {"lm_head": "fp16"}`), "extra_config", "lm_head", "one JSON object")
	add("extra-bad-pattern", general(`"extra_config": {".*(down": {"bits": 8}}`), ".*(down")
	add("extra-lookahead", general(`"extra_config": {"^(?!.*down).*$": {"bits": 16}}`), "^(?!.*down).*$", "negative lookahead")
	add("extra-bits-8", general(`"extra_config": {".*down_proj$": {"bits": 8}}`), down+".qzeros", "[2 2]", "bits 8 of config.json: quantization_config: extra_config: \".*down_proj$\", group_size 16 of config.json: quantization_config)")
	add("awq-asym-as-gptq", autoRoundConfig(4, 16, false, "auto_round:auto_awq", ""), down+".qzeros", "auto_round:auto_awq", "GPTQ")
	d.model("auto-round-awq-bits-2", smallAWQ(), autoRoundConfig(2, 16, false, "auto_round:auto_awq", ""), "bits is 2", "AWQ", "1 layer, "+down)
}
