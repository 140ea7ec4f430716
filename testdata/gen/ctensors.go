package main

import "fmt"

func ctensorsCheckpoints(out map[string]folder) {
	out["ctensors-w4a16-asym"] = ctW4A16()
	out["ctensors-w3a16"] = ctW3A16()
	out["ctensors-w5a16-old"] = ctW5A16()
	out["ctensors-w4a8"] = ctW4A8()
	out["ctensors-w8a8"] = ctW8A8()
}

// args is the JSON of one quantization argument block.
func args(bits int, symmetric bool, strategy, size, dynamic, actorder string) string {
	return fmt.Sprintf(`{
          "actorder": %s,
          "block_structure": null,
          "dynamic": %s,
          "group_size": %s,
          "num_bits": %d,
          "observer": "minmax",
          "observer_kwargs": {},
          "strategy": %q,
          "symmetric": %v,
          "type": "int"
        }`, actorder, dynamic, size, bits, strategy, symmetric)
}

// scheme is the JSON of one config group; targets is a JSON list.
func scheme(name, targets, weights, input string) string {
	return fmt.Sprintf(`%q: {
        "input_activations": %s,
        "output_activations": null,
        "targets": %s,
        "weights": %s
      }`, name, input, targets, weights)
}

// ctConfig is the quantization object under key.
func ctConfig(key, format, groups string) string {
	return fmt.Sprintf(`%q: {
    "config_groups": {
      %s
    },
    "format": %q,
    "global_compression_ratio": null,
    "ignore": [
      "lm_head"
    ],
    "kv_cache_scheme": null,
    "quant_method": "compressed-tensors",
    "quantization_status": "compressed"
  }`, key, groups, format)
}

// tokenInput is dynamic int8 activations, one scale per token.
func tokenInput() string { return args(8, true, "token", "null", "true", "null") }

// ctW4A16 has explicit zeros, bfloat16 scales and two shards; N of its last
// layer does not fill whole words of packed zeros.
func ctW4A16() folder {
	var first, second, want tensors
	for i, s := range []spec{
		{name: block + "self_attn.q_proj", n: 96, k: 256, bias: true},
		{name: block + "self_attn.o_proj", n: 256, k: 128},
		{name: block + "mlp.up_proj", n: 128, k: 256},
		{name: block + "mlp.down_proj", n: 75, k: 384},
	} {
		s.bits, s.size, s.asym, s.scaleType, s.modelType = 4, 128, true, "BF16", "BF16"
		l := drawLayer(s)
		if i < 2 {
			l.ctPacked(&first, false, false, "BF16")
		} else {
			l.ctPacked(&second, false, false, "BF16")
		}
		recipes := []string{"exact", "int8-group"}
		if i == 3 {
			recipes = everyInt8
		}
		l.expect(&want, "BF16", i == 1, recipes...)
	}
	addCommon(&second, &want, "ct-w4a16", "BF16", 256, 16)
	f := folder{"expected.safetensors": want.file()}
	f.index(first, second)
	f.text("config.json", modelConfig("BF16", 256, 384, 16, ctConfig("quantization_config", "pack-quantized",
		scheme("group_0", `["Linear"]`, args(4, false, "group", "128", "false", "null"), "null"))))
	return f
}

// ctW3A16 is 3 bits: one layer in groups, one per channel with a K that fills
// no whole word, one in act-order. Exact names, patterns and the class choose.
func ctW3A16() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 48, k: 192, size: 64},
		{name: block + "self_attn.o_proj", n: 48, k: 100, size: -1, bias: true},
		{name: block + "mlp.down_proj", n: 40, k: 256, size: 32, shuffled: true},
	} {
		s.bits, s.scaleType, s.modelType = 3, "F16", "F16"
		l := drawLayer(s)
		l.ctPacked(&ts, false, s.shuffled, "F16")
		l.expect(&want, "F16", s.bias, "exact", "int8-group")
	}
	addCommon(&ts, &want, "ct-w3a16", "F16", 192, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 192, 256, 16, ctConfig("quantization_config", "pack-quantized",
		scheme("group_0", `["Linear"]`, args(3, true, "group", "64", "false", "null"), "null")+",\n      "+
			scheme("group_1", `["re:.*mlp\\.(gate|up|down)_proj$"]`, args(3, true, "group", "32", "false", `"group"`), "null")+",\n      "+
			scheme("group_2", `["model.layers.0.self_attn.o_proj"]`, args(3, true, "channel", "null", "false", "null"), "null"))))
	return f
}

// ctW5A16 is 5 bits in the older packing of 6 codes per word, under the older
// key of the configuration, with float32 scales.
func ctW5A16() folder {
	var ts, want tensors
	l := drawLayer(spec{name: block + "mlp.down_proj", n: 24, k: 160, bits: 5, size: 32, scaleType: "F32", modelType: "F32", bias: true})
	l.ctPacked(&ts, true, false, "F32")
	l.expect(&want, "F32", false, everyInt8...)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F32", 24, 160, 16, ctConfig("compression_config", "pack-quantized",
		scheme("group_0", `["Linear"]`, args(5, true, "group", "32", "false", "null"), "null"))))
	return f
}

// ctW4A8 is 4-bit weights in int8, in groups, with dynamic int8 activations.
func ctW4A8() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 96, k: 256, bias: true},
		{name: block + "mlp.down_proj", n: 64, k: 384},
	} {
		s.bits, s.size, s.scaleType, s.modelType = 4, 128, "BF16", "BF16"
		l := drawLayer(s)
		l.ctInt(&ts, "BF16")
		l.expect(&want, "BF16", !s.bias, "exact", "int8-token", "int8-token-xpu", "int8-token-asym")
	}
	addCommon(&ts, &want, "ct-w4a8", "BF16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("BF16", 256, 384, 16, ctConfig("quantization_config", "int-quantized",
		scheme("group_0", `["Linear"]`, args(4, true, "group", "128", "false", "null"), tokenInput()))))
	return f
}

// ctW8A8 is int8 weights per channel with dynamic int8 activations; one layer
// has explicit zeros.
func ctW8A8() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 96, k: 256, bias: true},
		{name: block + "mlp.down_proj", n: 64, k: 384, asym: true},
	} {
		s.bits, s.size, s.scaleType, s.modelType = 8, -1, "F32", "F16"
		l := drawLayer(s)
		l.ctInt(&ts, "F16")
		l.expect(&want, "F16", s.bias, "exact", "int8-token", "int8-token-ascend")
	}
	addCommon(&ts, &want, "ct-w8a8", "F16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 256, 384, 16, ctConfig("quantization_config", "int-quantized",
		scheme("group_0", `["re:.*self_attn\\..*"]`, args(8, true, "channel", "null", "false", "null"), tokenInput())+",\n      "+
			scheme("group_1", `["re:.*mlp\\..*"]`, args(8, false, "channel", "null", "false", "null"), tokenInput()))))
	return f
}
