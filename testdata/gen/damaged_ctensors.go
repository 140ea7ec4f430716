package main

import "fmt"

// smallPacked is one pack-quantized layer: N=16, K=32, 4 bits, groups of 16,
// explicit zeros.
func smallPacked() tensors {
	var ts tensors
	l := drawLayer(spec{name: down, n: 16, k: 32, bits: 4, size: 16, asym: true, scaleType: "BF16", modelType: "F16"})
	l.ctPacked(&ts, false, true, "F16")
	return ts
}

// smallInt is one int-quantized layer: N=16, K=32, 4 bits in int8, per channel.
func smallInt() tensors {
	var ts tensors
	l := drawLayer(spec{name: down, n: 16, k: 32, bits: 4, size: -1, scaleType: "BF16", modelType: "F16"})
	l.ctInt(&ts, "F16")
	return ts
}

// one is a configuration with one config group.
func one(format, weights, input string) string {
	return ctConfig("quantization_config", format, scheme("group_0", `["Linear"]`, weights, input))
}

var (
	packedArgs = args(4, false, "group", "16", "false", `"group"`)
	intArgs    = args(4, true, "channel", "null", "false", "null")
)

// ctTensors damages the tensors of compressed-tensors layers.
func (d damage) ctTensors() {
	packed := func(name string, ts tensors, want ...string) {
		d.model("ctensors-"+name, ts, one("pack-quantized", packedArgs, "null"), want...)
	}
	with := func(change func(ts tensors)) tensors {
		ts := smallPacked()
		change(ts)
		return ts
	}
	replaced := func(t tensor) tensors { return append(smallPacked().without(t.name), t) }

	packed("shape-disagrees", with(func(ts tensors) { ts.at(down + ".weight_shape").data[8] = 64 }), down, "[16 64], as weight_shape says", "4")
	packed("shape-negative", with(func(ts tensors) {
		copy(ts.at(down + ".weight_shape").data[8:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	}), down+".weight_shape", "-1")
	packed("shape-length", replaced(ints(down+".weight_shape", "I64", []int{16}, 1)), down+".weight_shape", "[1]", "[2]")
	packed("shape-missing", smallPacked().without(down+".weight_shape"), down+".weight_shape")
	packed("packed-width", replaced(ints(down+".weight_packed", "I32", make([]int, 16*5), 16, 5)), down+".weight_packed", "[16 5]", "4")
	packed("packed-rows", replaced(ints(down+".weight_packed", "I32", make([]int, 15*4), 15, 4)), down+".weight_packed", "[15 4]", "16")
	packed("packed-type", replaced(ints(down+".weight_packed", "I8", make([]int, 16*4), 16, 4)), down+".weight_packed", "I8", "I32")
	packed("scale-shape", replaced(floats(down+".weight_scale", "BF16", make([]float64, 16*3), 16, 3)), down+".weight_scale", "[16 3]", "[16 2]")
	packed("scale-missing", smallPacked().without(down+".weight_scale"), down+".weight_scale")
	packed("scale-nan", with(func(ts tensors) { copy(ts.at(down + ".weight_scale").data[2*5:], "\xc0\x7f") }), down+".weight_scale", "NaN", "finite")
	packed("scale-inf", with(func(ts tensors) { copy(ts.at(down + ".weight_scale").data[2*5:], "\x80\xff") }), down+".weight_scale", "-Inf", "finite")
	packed("scale-type", replaced(ints(down+".weight_scale", "I32", make([]int, 32), 16, 2)), down+".weight_scale", "I32")
	packed("zero-missing", smallPacked().without(down+".weight_zero_point"), down+".weight_zero_point")
	packed("zero-shape", replaced(ints(down+".weight_zero_point", "I32", make([]int, 2*3), 2, 3)), down+".weight_zero_point", "[2 3]", "[2 2]")
	packed("zero-type", replaced(floats(down+".weight_zero_point", "F32", make([]float64, 4), 2, 2)), down+".weight_zero_point", "F32", "I32")
	packed("g_idx-too-large", with(func(ts tensors) { ts.at(down + ".weight_g_idx").data[4*9] = 2 }), down+".weight_g_idx", "element 9 is 2", "0 to 1")
	packed("g_idx-negative", with(func(ts tensors) { copy(ts.at(down + ".weight_g_idx").data[4*9:], "\xfe\xff\xff\xff") }), down+".weight_g_idx", "element 9 is -2", "0 to 1")
	packed("g_idx-length", replaced(ints(down+".weight_g_idx", "I32", make([]int, 33), 33)), down+".weight_g_idx", "[33]", "[32]")

	whole := func(name string, ts tensors, want ...string) {
		d.model("ctensors-int-"+name, ts, one("int-quantized", intArgs, tokenInput()), want...)
	}
	for name, v := range map[string]byte{"above": 8, "below": 0xf7} {
		ts := smallInt()
		ts.at(down + ".weight").data[2*32+3] = v
		whole("code-"+name, ts, down+".weight", fmt.Sprintf("element [2 3] is %d", int8(v)), "-8 to 7")
	}
	whole("weight-type", append(smallInt().without(down+".weight"), ints(down+".weight", "I16", make([]int, 16*32), 16, 32)), "I16", "1 layer")
	whole("scale-shape", append(smallInt().without(down+".weight_scale"), floats(down+".weight_scale", "BF16", make([]float64, 15), 15, 1)), down+".weight_scale", "[15 1]", "[16 1]")
	whole("scale-missing", smallInt().without(down+".weight_scale"), "there is no "+down+".weight_scale")
}

// ctConfigs asks for schemes that are not read, and damages configurations.
func (d damage) ctConfigs() {
	packed := func(name, quantization string, want ...string) {
		d.model("ctensors-"+name, smallPacked(), quantization, want...)
	}
	whole := func(name, quantization string, want ...string) {
		d.model("ctensors-"+name, smallInt(), quantization, want...)
	}
	const float8 = `{"num_bits": 8, "type": "float", "symmetric": true, "strategy": "channel", "dynamic": false}`
	const float4 = `{"num_bits": 4, "type": "float", "symmetric": true, "strategy": "tensor_group", "group_size": 16, "dynamic": false}`
	whole("fp8", one("float-quantized", float8, `{"num_bits": 8, "type": "float", "symmetric": true, "strategy": "token", "dynamic": true}`), "float-quantized", "1 layer")
	packed("fp4", one("nvfp4-pack-quantized", float4, "null"), "nvfp4-pack-quantized", "1 layer")
	packed("marlin-24", one("marlin-24", packedArgs, "null"), "marlin-24", "1 layer")
	packed("sparse", one("sparse-bitmask", packedArgs, "null"), "sparse-bitmask")
	whole("static-activations", one("int-quantized", intArgs, args(8, true, "tensor", "null", "false", "null")), "static", "1 layer")
	whole("activations-4-bit", one("int-quantized", intArgs, args(4, true, "token", "null", "true", "null")), "4-bit activations", "1 layer")
	whole("activations-asym", one("int-quantized", intArgs, args(8, false, "token", "null", "true", "null")), "asymmetric dynamic activations", "1 layer")
	packed("block", one("pack-quantized", args(4, true, "block", "null", "false", "null"), "null"), "block")
	packed("bits-9", one("pack-quantized", args(9, false, "group", "16", "false", `"group"`), "null"), "config.json: quantization_config: format", "9-bit weights", "1 layer, "+down)
	packed("group-size-missing", one("pack-quantized", args(4, false, "group", "null", "false", "null"), "null"), "group_size")
	packed("group-size-0", one("pack-quantized", args(4, false, "group", "0", "false", "null"), "null"), "group_size", "0")
	packed("group-size-of-channel", one("pack-quantized", args(4, false, "channel", "16", "false", "null"), "null"), "group_size is 16", "strategy channel")
	packed("actorder-unknown", one("pack-quantized", args(4, false, "group", "16", "false", `"descending"`), "null"), "actorder", `"descending"`)
	packed("target-unicode-class", ctConfig("quantization_config", "pack-quantized", scheme("group_0", `["re:\\pL+"]`, packedArgs, "null")), `\p`, "Python")
	packed("target-lookahead", ctConfig("quantization_config", "pack-quantized", scheme("group_0", `["re:.*(?!lm_head).*"]`, packedArgs, "null")), ".*(?!lm_head).*", "negative lookahead")
	packed("target-bad-pattern", ctConfig("quantization_config", "pack-quantized", scheme("group_0", `["re:.*(down"]`, packedArgs, "null")), ".*(down")
	packed("no-scheme", ctConfig("quantization_config", "pack-quantized", scheme("group_0", `["re:.*up_proj"]`, packedArgs, "null")), "no target", "1 layer, "+down)
}
