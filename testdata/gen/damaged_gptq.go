package main

import (
	"fmt"
	"strings"
)

// smallGPTQ is one GPTQ layer: N=16, K=32, 4 bits, groups of 16.
func smallGPTQ() tensors {
	var ts tensors
	l := drawLayer(spec{name: down, n: 16, k: 32, bits: 4, size: 16, asym: true, bias: true, scaleType: "F16", modelType: "F16"})
	l.gptq(&ts, -1, true, "F16")
	return ts
}

// gptqConfig is the quantization_config of smallGPTQ with some keys replaced
// or added.
func gptqConfig(replace ...string) string {
	keys := []string{"quant_method", "bits", "group_size", "desc_act", "sym", "checkpoint_format"}
	values := map[string]string{"quant_method": `"gptq"`, "bits": "4", "group_size": "16", "desc_act": "true", "sym": "false", "checkpoint_format": `"gptq"`}
	for i := 0; i < len(replace); i += 2 {
		if _, known := values[replace[i]]; !known {
			keys = append(keys, replace[i])
		}
		values[replace[i]] = replace[i+1]
	}
	var lines []string
	for _, k := range keys {
		if values[k] != "" {
			lines = append(lines, fmt.Sprintf("%q: %s", k, values[k]))
		}
	}
	return `"quantization_config": {` + strings.Join(lines, ", ") + `}`
}

func (d damage) model(name string, ts tensors, quantization string, want ...string) {
	f := folder{"model.safetensors": ts.file()}
	f.text("config.json", modelConfig("F16", 16, 32, 16, quantization))
	d.add(name, f, want...)
}

// gptqTensors damages the tensors of a GPTQ layer.
func (d damage) gptqTensors() {
	add := func(name string, ts tensors, want ...string) { d.model("gptq-"+name, ts, gptqConfig(), want...) }
	with := func(change func(ts tensors)) tensors {
		ts := smallGPTQ()
		change(ts)
		return ts
	}
	replaced := func(t tensor) tensors { return append(smallGPTQ().without(t.name), t) }

	add("g_idx-too-large", with(func(ts tensors) { ts.at(down + ".g_idx").data[4*5] = 2 }), down+".g_idx", "2", "0..1")
	add("g_idx-negative", with(func(ts tensors) { copy(ts.at(down + ".g_idx").data[4*5:], "\xff\xff\xff\xff") }), down+".g_idx", "-1", "0..1")
	add("g_idx-length", replaced(ints(down+".g_idx", "I32", make([]int, 31), 31)), down+".g_idx", "[31]", "[32]")
	add("g_idx-type", replaced(floats(down+".g_idx", "F16", make([]float64, 32), 32)), down+".g_idx", "F16", "I32")
	add("scales-shape", replaced(floats(down+".scales", "F16", make([]float64, 48), 3, 16)), down+".scales", "[3 16]", "[2 16]")
	add("scales-type", replaced(ints(down+".scales", "I32", make([]int, 32), 2, 16)), down+".scales", "I32", "F16")
	add("scales-nan", with(func(ts tensors) { copy(ts.at(down + ".scales").data[2*17:], "\x00\x7e") }), down+".scales", "NaN", "finite")
	add("scales-inf", with(func(ts tensors) { copy(ts.at(down + ".scales").data[2*17:], "\x00\x7c") }), down+".scales", "Inf", "finite")
	add("scales-missing", smallGPTQ().without(down+".scales"), down+".scales", "absent")
	add("qzeros-shape", replaced(ints(down+".qzeros", "I32", make([]int, 2), 1, 2)), down+".qzeros", "[1 2]", "[2 2]")
	add("qzeros-missing", smallGPTQ().without(down+".qzeros"), down+".qzeros", "absent")
	add("qzeros-type", replaced(ints(down+".qzeros", "I16", make([]int, 4), 2, 2)), down+".qzeros", "I16", "I32")
	add("qweight-rows", replaced(ints(down+".qweight", "I32", make([]int, 3*16), 3, 16)), down+".qweight", "[3 16]", "[4 16]", "K=32")
	add("qweight-columns", replaced(ints(down+".qweight", "I32", make([]int, 4*15), 4, 15)), down+".qweight", "15")
	add("qweight-1d", replaced(ints(down+".qweight", "I32", make([]int, 64), 64)), down+".qweight", "[64]", "matrix")
	add("qweight-type", replaced(ints(down+".qweight", "I8", make([]int, 64), 4, 16)), down+".qweight", "I8", "I32")
	add("bias-shape", replaced(floats(down+".bias", "F16", make([]float64, 17), 17)), down+".bias", "[17]", "[16]")
	add("bias-nan", with(func(ts tensors) { copy(ts.at(down + ".bias").data[2*3:], "\x01\x7e") }), down+".bias", "NaN", "finite")
	add("bias-type", replaced(ints(down+".bias", "I32", make([]int, 16), 16)), down+".bias", "I32", "F16")
}

// configs breaks the rules about configuration files, whatever the format.
func (d damage) configs() {
	add := func(name, quantization string, want ...string) { d.model(name, smallGPTQ(), quantization, want...) }
	add("config-fp8", `"quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic"}`, "fp8")
	add("config-bitsandbytes", `"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}`, "bitsandbytes")
	add("config-unknown-method", `"quantization_config": {"quant_method": "hyperquant", "bits": 4}`, "hyperquant")
	add("config-not-object", `"quantization_config": "gptq"`, "quantization_config")
	add("config-not-utf8", "\"quantization_config\": {\"quant_method\": \"gptq\xff\"}", "config.json", "not UTF-8")
	add("config-absent", "", down+".qweight", "quantize_config.json")

	add("gptq-bits-missing", gptqConfig("bits", ""), "config.json: quantization_config: bits", "absent")
	add("gptq-bits-5", gptqConfig("bits", "5"), "config.json: quantization_config: bits is 5", "1 layer, "+down)
	add("gptq-bits-text", gptqConfig("bits", `"four"`), "bits", "four")
	add("gptq-group-size-0", gptqConfig("group_size", "0"), "group_size", "0", "-1")
	add("gptq-format-marlin", gptqConfig("checkpoint_format", `"marlin"`), "marlin", "1 layer, "+down)
	add("gptq-format-exl3", gptqConfig("checkpoint_format", `"exl3"`), "exl3", "gptq, gptq_v2 or gptq_p", "1 layer, "+down)
	add("gptq-pack-int16", gptqConfig("pack_dtype", `"int16"`), "pack_dtype", "int16")
	add("gptq-dynamic-lookahead", gptqConfig("dynamic", `{"-:.*(?!down_proj)$": {}}`), ".*(?!down_proj)$", "negative lookahead")
	add("gptq-dynamic-bad-pattern", gptqConfig("dynamic", `{"+:.*(down": {"bits": 8}}`), ".*(down")
	add("gptq-dynamic-bits-9", gptqConfig("dynamic", `{".*down_proj$": {"bits": 9}}`), "9", "dynamic", ".*down_proj$", "1 layer, "+down)

	own := folder{"model.safetensors": smallGPTQ().file()}
	own.text("config.json", modelConfig("F16", 16, 32, 16, ""))
	own.text("quantize_config.json", `{"bits": 5, "group_size": 16, "desc_act": true, "sym": false}`+"\n")
	d.add("gptq-bits-5-own-file", own, "quantize_config.json: bits is 5", "1 layer, "+down)

	wantText := map[string]string{"not-json": "text that ends too early", "duplicate-key": "twice"}
	for name, content := range map[string]string{"not-json": "{\n", "duplicate-key": `{"model_type": "llama", "model_type": "qwen2"}` + "\n"} {
		f := plainFolder(smallDense().file())
		f.text("config.json", content)
		d.add("config-"+name, f, "config.json: ", wantText[name])
	}
}
