package main

func gptqCheckpoints(out map[string]folder) {
	out["gptq-w4-g128"] = gptqW4()
	out["gptq-w2-v1-asym"] = gptqW2()
	out["gptq-w3-v2-asym"] = gptqW3()
	out["gptq-w8-actorder"] = gptqW8()
	out["gptq-planar"] = gptqPlanar()
	out["gptq-mislabelled-v1"] = gptqMislabelled("gptq", 0)
	out["gptq-mislabelled-v2"] = gptqMislabelled("gptq_v2", -1)
}

// everyInt8 are the recipes that any layer of integer codes can have.
var everyInt8 = []string{"exact", "int8-group", "int8-token", "int8-token-asym", "int8-token-ascend", "int8-token-xpu"}

// gptqW4 is what most GPTQ files are: 4 bits, groups of 128, symmetric,
// version 1, float16.
func gptqW4() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 128, k: 512, bias: true},
		{name: block + "self_attn.k_proj", n: 64, k: 512, bias: true},
		{name: block + "self_attn.o_proj", n: 512, k: 128},
		{name: block + "mlp.down_proj", n: 512, k: 1536},
	} {
		s.bits, s.size, s.scaleType, s.modelType = 4, 128, "F16", "F16"
		l := drawLayer(s)
		l.gptq(&ts, -1, true, "F16")
		recipes := everyInt8
		if s.k > 512 {
			recipes = []string{"exact", "int8-group"}
		}
		l.expect(&want, "F16", s.k == 128, recipes...)
	}
	addCommon(&ts, &want, "gptq-w4", "F16", 512, 32)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 512, 1536, 32, `"quantization_config": {
    "bits": 4,
    "checkpoint_format": "gptq",
    "desc_act": false,
    "group_size": 128,
    "lm_head": false,
    "meta": {
      "damp_percent": 0.01,
      "quantizer": [
        "gptqmodel:2.0.0"
      ],
      "static_groups": false,
      "true_sequential": true
    },
    "pack_dtype": "int32",
    "quant_method": "gptq",
    "sym": true
  }`))
	f.text("quantize_config.json", `
{
  "bits": 4,
  "group_size": 128,
  "desc_act": false,
  "sym": true,
  "lm_head": false,
  "quant_method": "gptq",
  "checkpoint_format": "gptq"
}
`)
	return f
}

// gptqW2 is 2 bits with explicit zeros in version 1, without g_idx, and its
// configuration in the oldest of the files.
func gptqW2() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "mlp.up_proj", n: 80, k: 192, size: 32},
		{name: block + "mlp.down_proj", n: 192, k: 80, size: 32, bias: true},
	} {
		s.bits, s.asym, s.scaleType, s.modelType = 2, true, "F16", "F16"
		l := drawLayer(s)
		l.gptq(&ts, -1, false, "F16")
		l.expect(&want, "F16", false, "exact", "int8-group")
	}
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 192, 80, 16, ""))
	f.text("quant_config.json", `
{"quant_method": "gptq", "bits": 2, "group_size": 32, "desc_act": false, "sym": false}
`)
	return f
}

// gptqW3 is 3 bits with explicit zeros in version 2, with per-module
// overrides: o_proj has 8 bits, k_proj stays plain.
func gptqW3() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 96, k: 256, bits: 3, size: 64, asym: true, bias: true},
		{name: block + "self_attn.o_proj", n: 64, k: 96, bits: 8, size: 32, asym: true},
		{name: block + "mlp.down_proj", n: 96, k: 288, bits: 3, size: 64, asym: true},
	} {
		s.scaleType, s.modelType = "BF16", "BF16"
		l := drawLayer(s)
		l.gptq(&ts, 0, true, "BF16")
		l.expect(&want, "BF16", s.bits == 8, "exact", "int8-token-asym", "int8-group")
	}
	const plain = block + "self_attn.k_proj"
	w := drawPlain("gptq-w3"+plain, "BF16", 32*256, 0.05)
	ts.add(floats(plain+".weight", "BF16", w, 32, 256))
	expectPlain(&want, plain, "BF16", w, 32, 256)
	addCommon(&ts, &want, "gptq-w3", "BF16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("BF16", 256, 288, 16, `"quantization_config": {
    "bits": 3,
    "checkpoint_format": "gptq_v2",
    "desc_act": false,
    "dynamic": {
      "+:.*\\.o_proj$": {
        "bits": 8,
        "group_size": 32
      },
      "-:.*\\.k_proj$": {}
    },
    "group_size": 64,
    "lm_head": false,
    "quant_method": "gptq",
    "sym": false
  }`))
	return f
}

// gptqW8 is 8 bits in act-order, with its configuration in
// quantize_config.json alone.
func gptqW8() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 96, k: 256},
		{name: block + "mlp.down_proj", n: 64, k: 320, bias: true},
	} {
		s.size, s.shuffled = 64, true
		s.bits, s.scaleType, s.modelType = 8, "F16", "F16"
		l := drawLayer(s)
		l.gptq(&ts, -1, true, "F16")
		l.expect(&want, "F16", s.bias, "exact", "int8-group")
	}
	addCommon(&ts, &want, "gptq-w8", "F16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 256, 320, 16, ""))
	f.text("quantize_config.json", `
{
  "bits": 8,
  "group_size": 64,
  "damp_percent": 0.1,
  "desc_act": true,
  "static_groups": false,
  "sym": true,
  "true_sequential": true,
  "model_name_or_path": null,
  "model_file_base_name": null
}
`)
	return f
}

// gptqPlanar is checkpoint_format gptq_p: 6 bits, with modules of the other widths.
func gptqPlanar() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 64, k: 96, bits: 3},
		{name: block + "self_attn.k_proj", n: 32, k: 96, bits: 5, bias: true},
		{name: block + "self_attn.o_proj", n: 96, k: 64, bits: 7},
		{name: block + "mlp.up_proj", n: 32, k: 64, bits: 4},
		{name: block + "mlp.down_proj", n: 64, k: 160, bits: 6},
	} {
		s.size, s.asym, s.scaleType, s.modelType = 32, true, "F16", "F16"
		l := drawLayer(s)
		l.gptqPacked(&ts, packPlanar, 0, true, "F16")
		l.expect(&want, "F16", s.bits == 7, "exact")
	}
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 96, 64, 16, `"quantization_config": {
    "bits": 6,
    "checkpoint_format": "gptq_p",
    "desc_act": false,
    "dynamic": {
      "+:.*\\.q_proj$": {"bits": 3},
      "+:.*\\.k_proj$": {"bits": 5},
      "+:.*\\.o_proj$": {"bits": 7},
      "+:^(?!.*self_attn).*\\.up_proj$": {"bits": 4}
    },
    "group_size": 32,
    "quant_method": "gptq",
    "sym": false
  }`))
	return f
}

// gptqMislabelled says one version of zero points and stores the other; being
// symmetric it can be read from the data.
func gptqMislabelled(label string, offset int) folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 64, k: 128},
		{name: block + "mlp.down_proj", n: 64, k: 256, bias: true},
	} {
		s.bits, s.size, s.scaleType, s.modelType = 4, 64, "F16", "F16"
		l := drawLayer(s)
		l.gptq(&ts, offset, true, "F16")
		l.expect(&want, "F16", false, "exact")
	}
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 128, 256, 16, `"quantization_config": {
    "bits": 4,
    "checkpoint_format": "`+label+`",
    "desc_act": false,
    "group_size": 64,
    "quant_method": "gptq",
    "sym": true
  }`))
	return f
}
