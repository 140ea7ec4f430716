package main

import "fmt"

func autoRoundCheckpoints(out map[string]folder) {
	out["auto-round-gptq"] = autoRoundGPTQ()
	out["auto-round-v2-asym"] = autoRoundV2()
	out["auto-round-awq"] = autoRoundAWQ()
	out["auto-round-mislabelled"] = autoRoundMislabelled()
}

// autoRoundConfig is auto-round's quantization_config; extra is the value of
// extra_config or empty.
func autoRoundConfig(bits, size int, sym bool, packing, extra string) string {
	if extra != "" {
		extra = fmt.Sprintf(`
    "extra_config": %s,`, extra)
	}
	return fmt.Sprintf(`"quantization_config": {
    "autoround_version": "0.9.7",
    "bits": %d,
    "block_name_to_quantize": "model.layers",
    "data_type": "int",%s
    "group_size": %d,
    "iters": 200,
    "packing_format": %q,
    "quant_method": "auto-round",
    "sym": %v
  }`, bits, extra, size, packing, sym)
}

// autoRoundGPTQ is auto-round's default: GPTQ with zero points stored minus
// one, symmetric. One module has settings by name, one by a pattern, and one is
// not quantized.
func autoRoundGPTQ() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 96, k: 256, bits: 4, size: 128, bias: true},
		{name: block + "self_attn.o_proj", n: 64, k: 96, bits: 8, size: 32},
		{name: block + "mlp.down_proj", n: 64, k: 384, bits: 2, size: 64},
	} {
		s.scaleType, s.modelType = "F16", "BF16"
		l := drawLayer(s)
		l.gptq(&ts, -1, false, "BF16")
		recipes := []string{"exact", "int8-group"}
		if s.bits == 4 {
			recipes = everyInt8
		}
		l.expect(&want, "BF16", s.bits == 8, recipes...)
	}
	const plain = block + "self_attn.k_proj"
	w := drawPlain("auto-round"+plain, "BF16", 32*256, 0.05)
	ts.add(floats(plain+".weight", "BF16", w, 32, 256))
	expectPlain(&want, plain, "BF16", w, 32, 256)
	addCommon(&ts, &want, "auto-round", "BF16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("BF16", 256, 384, 16, autoRoundConfig(4, 128, true, "auto_round:auto_gptq", `{
      ".*mlp\\.down_proj.*": {
        "bits": 2,
        "group_size": 64
      },
      "model.layers.0.self_attn.k_proj": {
        "bits": 16,
        "data_type": "float"
      },
      "model.layers.0.self_attn.o_proj": {
        "act_bits": null,
        "bits": 8,
        "group_size": 32
      }
    }`)))
	return f
}

// autoRoundV2 is GPTQ with zero points as they are, not symmetric, 3 bits, and
// 4 for a module that a pattern names from its middle on.
func autoRoundV2() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 64, k: 160, bits: 3},
		{name: block + "mlp.down_proj", n: 32, k: 192, bits: 4},
	} {
		s.size, s.asym, s.scaleType, s.modelType = 32, true, "F16", "F16"
		l := drawLayer(s)
		l.gptq(&ts, 0, false, "F16")
		l.expect(&want, "F16", false, "exact", "int8-group")
	}
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 160, 192, 16, autoRoundConfig(3, 32, false, "auto_round", `{
      "mlp\\.(gate|up|down)_proj$": {
        "bits": 4
      }
    }`)))
	return f
}

// autoRoundAWQ is AWQ's layout gemm; one module has other groups and is
// symmetric.
func autoRoundAWQ() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 64, k: 256, size: 128, asym: true, bias: true},
		{name: block + "mlp.down_proj", n: 48, k: 320, size: 32},
	} {
		s.bits, s.scaleType, s.modelType = 4, "F16", "F16"
		l := drawLayer(s)
		l.awqGEMM(&ts, true, "F16")
		l.expect(&want, "F16", s.bias, "exact", "int8-group")
	}
	const plain = block + "self_attn.k_proj"
	w := drawPlain("auto-round-awq"+plain, "F16", 32*256, 0.05)
	ts.add(floats(plain+".weight", "F16", w, 32, 256))
	expectPlain(&want, plain, "F16", w, 32, 256)
	addCommon(&ts, &want, "auto-round-awq", "F16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 256, 320, 16, autoRoundConfig(4, 128, false, "auto_round:auto_awq", `{
      "model.layers.0.mlp.down_proj": {
        "group_size": 32,
        "sym": true
      },
      "model.layers.0.self_attn.k_proj": {
        "bits": 16
      }
    }`)))
	return f
}

// autoRoundMislabelled stores zero points as they are under a name that says
// minus one, and has the keys of old versions.
func autoRoundMislabelled() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 64, k: 128},
		{name: block + "mlp.down_proj", n: 32, k: 256, bias: true},
	} {
		s.bits, s.size, s.scaleType, s.modelType = 4, 64, "F16", "F16"
		l := drawLayer(s)
		l.gptq(&ts, 0, false, "F16")
		l.expect(&want, "F16", false, "exact")
	}
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 128, 256, 16, `"quantization_config": {
    "autoround_version": "0.4.2",
    "backend": "auto_round:gptq:exllamav2",
    "bits": 4,
    "data_type": "int",
    "group_size": 64,
    "quant_method": "intel/auto-round",
    "sym": true,
    "to_quant_block_names": null
  }`))
	return f
}
