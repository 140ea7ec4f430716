package main

import "fmt"

func awqCheckpoints(out map[string]folder) {
	out["awq-gemm-g128"] = awqGEMM()
	out["awq-gemm-g32-bias"] = awqBias()
	out["awq-gemm-channel"] = awqChannel()
	out["awq-gemv"] = awqGEMV()
	out["awq-gemv-fast"] = awqFast()
	out["awq-llm-awq"] = llmAWQ()
}

// awqConfig is AutoAWQ's quantization_config.
func awqConfig(size int, zeroPoint bool, version, more string) string {
	return fmt.Sprintf(`"quantization_config": {
    "bits": 4,
    "group_size": %d,
    "modules_to_not_convert": null,
    "quant_method": "awq",
    "version": %q,
    "zero_point": %v%s
  }`, size, version, zeroPoint, more)
}

// awqGEMM is what most AWQ files are: gemm, groups of 128, zero points, float16.
func awqGEMM() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 128, k: 256},
		{name: block + "self_attn.o_proj", n: 256, k: 128},
		{name: block + "mlp.down_proj", n: 256, k: 640},
	} {
		s.bits, s.size, s.asym, s.scaleType, s.modelType = 4, 128, true, "F16", "F16"
		l := drawLayer(s)
		l.awqGEMM(&ts, true, "F16")
		recipes := everyInt8
		if s.k > 512 {
			recipes = []string{"exact", "int8-group"}
		}
		l.expect(&want, "F16", s.k == 128, recipes...)
	}
	addCommon(&ts, &want, "awq-gemm", "F16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 256, 640, 16, awqConfig(128, true, "gemm", "")))
	return f
}

// awqBias is groups of 32 with biases and bfloat16 scales, and says so in the
// older file with the older names; one module stays plain.
func awqBias() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 72, k: 160},
		{name: block + "mlp.down_proj", n: 40, k: 192},
	} {
		s.bits, s.size, s.asym, s.bias, s.scaleType, s.modelType = 4, 32, true, true, "BF16", "BF16"
		l := drawLayer(s)
		l.awqGEMM(&ts, true, "BF16")
		l.expect(&want, "BF16", false, "exact", "int8-group", "int8-token-asym")
	}
	const plain = block + "self_attn.k_proj"
	w := drawPlain("awq-bias"+plain, "BF16", 16*160, 0.05)
	ts.add(floats(plain+".weight", "BF16", w, 16, 160))
	expectPlain(&want, plain, "BF16", w, 16, 160)
	addCommon(&ts, &want, "awq-bias", "BF16", 160, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("BF16", 160, 192, 16, ""))
	f.text("quant_config.json", `
{
  "zero_point": true,
  "q_group_size": 32,
  "w_bit": 4,
  "version": "GEMM",
  "modules_to_not_convert": ["k_proj", "lm_head"]
}
`)
	return f
}

// awqChannel has one group and no zero points: one layer stores the middle of
// the range for them, as most tools do, the other stores none. The other's K
// fills no whole word of features.
func awqChannel() folder {
	var ts, want tensors
	for i, s := range []spec{
		{name: block + "self_attn.q_proj", n: 48, k: 128},
		{name: block + "mlp.down_proj", n: 64, k: 203, bias: true},
	} {
		s.bits, s.size, s.scaleType, s.modelType = 4, -1, "F32", "F16"
		l := drawLayer(s)
		l.awqGEMM(&ts, i == 0, "F16")
		l.expect(&want, "F16", i == 0, "exact", "int8-token")
	}
	addCommon(&ts, &want, "awq-channel", "F16", 128, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 128, 203, 16, awqConfig(-1, false, "gemm", "")))
	return f
}

// awqGEMV is the layout gemv in groups of 64, where zero points fill pairs of
// words.
func awqGEMV() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 56, k: 256, bias: true},
		{name: block + "mlp.down_proj", n: 75, k: 576},
	} {
		s.bits, s.size, s.asym, s.scaleType, s.modelType = 4, 64, true, "F16", "F16"
		l := drawLayer(s)
		l.awqGEMV(&ts, 2, "F16")
		l.expect(&want, "F16", !s.bias, "exact", "int8-group")
	}
	addCommon(&ts, &want, "awq-gemv", "F16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 256, 576, 16, awqConfig(64, true, "GEMV", "")))
	return f
}

// awqFast is the layout gemv_fast of AutoAWQ.
func awqFast() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 64, k: 256},
		{name: block + "mlp.down_proj", n: 40, k: 384, bias: true},
	} {
		s.bits, s.size, s.asym, s.scaleType, s.modelType = 4, 128, true, "F16", "F16"
		l := drawLayer(s)
		l.awqFast(&ts, 1, "qzeros", "F16")
		l.expect(&want, "F16", s.bias, "exact", "int8-group")
	}
	addCommon(&ts, &want, "awq-fast", "F16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("F16", 256, 384, 16, awqConfig(128, true, "gemv_fast", "")))
	return f
}

// llmAWQ is the same layout as llm-awq has it: in bfloat16, in groups of 32,
// under another name of the zero points and with a backend that says so.
func llmAWQ() folder {
	var ts, want tensors
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 32, k: 192},
		{name: block + "mlp.down_proj", n: 24, k: 320},
	} {
		s.bits, s.size, s.asym, s.scaleType, s.modelType = 4, 32, true, "BF16", "BF16"
		l := drawLayer(s)
		l.awqFast(&ts, 4, "scaled_zeros", "BF16")
		l.expect(&want, "BF16", false, "exact")
	}
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("BF16", 192, 320, 16, awqConfig(32, true, "gemm", `,
    "backend": "llm-awq"`)))
	return f
}
