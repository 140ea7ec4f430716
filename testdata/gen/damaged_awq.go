package main

// smallAWQ is one layer in AWQ's layout gemm: N=16, K=32, groups of 16.
func smallAWQ() tensors {
	var ts tensors
	drawLayer(smallAWQSpec(32)).awqGEMM(&ts, true, "F16")
	return ts
}

func smallAWQSpec(k int) spec {
	return spec{name: down, n: 16, k: k, bits: 4, size: 16, asym: true, bias: true, scaleType: "F16", modelType: "F16"}
}

// awqTensors damages the tensors of AWQ layers.
func (d damage) awqTensors() {
	add := func(name string, ts tensors, want ...string) {
		d.model("awq-"+name, ts, awqConfig(16, true, "gemm", ""), want...)
	}
	with := func(change func(ts tensors)) tensors {
		ts := smallAWQ()
		change(ts)
		return ts
	}
	replaced := func(t tensor) tensors { return append(smallAWQ().without(t.name), t) }

	add("qweight-type", replaced(ints(down+".qweight", "I8", make([]int, 64), 32, 2)), down+".qweight", "I8", "I32")
	add("qweight-1d", replaced(ints(down+".qweight", "I32", make([]int, 64), 64)), down+".qweight", "[64]", "matrix")
	add("qweight-rows", replaced(ints(down+".qweight", "I32", make([]int, 33*2), 33, 2)), down+".scales", "[2 16]", "[3 16]", "K=33, N=16")
	add("qweight-columns", replaced(ints(down+".qweight", "I32", make([]int, 32*3), 32, 3)), down+".scales", "[2 16]", "[2 24]", "K=32, N=24")
	add("qweight-missing", smallAWQ().without(down+".qweight"), down+".qweight", "absent")
	add("qzeros-missing", smallAWQ().without(down+".qzeros"), down+".qzeros", "absent")
	add("qzeros-shape", replaced(ints(down+".qzeros", "I32", make([]int, 6), 3, 2)), down+".qzeros", "[3 2]", "[2 2]")
	add("qzeros-type", replaced(floats(down+".qzeros", "F16", make([]float64, 4), 2, 2)), down+".qzeros", "F16", "I32")
	add("scales-missing", smallAWQ().without(down+".scales"), down+".scales", "absent")
	add("scales-shape", replaced(floats(down+".scales", "F16", make([]float64, 48), 3, 16)), down+".scales", "[3 16]", "[2 16]", "group_size 16 of config.json: quantization_config)")
	add("scales-type", replaced(ints(down+".scales", "I32", make([]int, 32), 2, 16)), down+".scales", "I32", "F16")
	add("scales-nan", with(func(ts tensors) { copy(ts.at(down + ".scales").data[2*17:], "\x00\x7e") }), down+".scales", "element [1, 1] is NaN", "finite")
	add("scales-inf", with(func(ts tensors) { copy(ts.at(down + ".scales").data[2*17:], "\x00\xfc") }), down+".scales", "element [1, 1] is -Inf", "finite")
	add("bias-shape", replaced(floats(down+".bias", "F16", make([]float64, 17), 17)), down+".bias", "[17]", "[16]")
	add("bias-nan", with(func(ts tensors) { copy(ts.at(down + ".bias").data[2*3:], "\x01\x7e") }), down+".bias", "NaN", "finite")
	add("bias-type", replaced(ints(down+".bias", "I32", make([]int, 16), 16)), down+".bias", "I32", "F16")
	add("packed-as-gptq", smallGPTQ().without(down+".g_idx"), down+".scales", "[2 16]", "the shapes are those of gptq")

	var gemv tensors
	drawLayer(smallAWQSpec(32)).awqGEMV(&gemv, 4, "F16")
	column := func(name string, ts tensors, want ...string) {
		d.model("awq-gemv-"+name, ts, awqConfig(16, true, "gemv", ""), want...)
	}
	column("scales-width", append(gemv.without(down+".scales"), floats(down+".scales", "F16", make([]float64, 16*64), 16, 64)), down+".scales", "[16 64]", "[16 8]")
	column("qzeros-width", append(gemv.without(down+".qzeros"), ints(down+".qzeros", "I32", make([]int, 16), 16, 1)), down+".qzeros", "[16 1]", "[16 4]")
	copy(gemv.at(down + ".scales").data[2*(32*3+1):], "\x00\x7e")
	column("scales-nan", gemv, down+".scales", "element [3, 1] is NaN")

	fast := func(name string, change func(ts tensors) tensors, want ...string) {
		var ts tensors
		drawLayer(smallAWQSpec(64)).awqFast(&ts, 4, "qzeros", "F16")
		d.model("awq-fast-"+name, change(ts), awqConfig(16, true, "gemv_fast", ""), want...)
	}
	fast("columns", func(ts tensors) tensors {
		return append(ts.without(down+".qweight"), ints(down+".qweight", "I16", make([]int, 4*80), 4, 80))
	}, down+".qweight", "columns is 80", "64")
	fast("qzeros-type", func(ts tensors) tensors {
		return append(ts.without(down+".qzeros"), ints(down+".qzeros", "I32", make([]int, 32*16), 32, 16))
	}, down+".qzeros", "I32", "F16")
	fast("qzeros-missing", func(ts tensors) tensors { return ts.without(down + ".qzeros") }, down+".qzeros", "absent")
	fast("qzeros-nan", func(ts tensors) tensors {
		copy(ts.at(down + ".qzeros").data[2*17:], "\x00\x7e")
		return ts
	}, down+".qzeros", "element [1, 1] is NaN", "finite")
	fast("qzeros-no-product", func(ts tensors) tensors {
		copy(ts.at(down + ".qzeros").data[2*17:], "\x00\x3c") // 1: a zero point below 0
		return ts
	}, down+".qzeros", "element [1, 1] is 1", "-z times the scale", "0 to 15")
}

// awqConfigs asks for variants of AWQ that are not read, and damages
// configurations.
func (d damage) awqConfigs() {
	add := func(name, quantization string, want ...string) {
		d.model("awq-"+name, smallAWQ(), quantization, want...)
	}
	plain := func(keys string) string { return `"quantization_config": {"quant_method": "awq", ` + keys + `}` }
	add("bits-8", plain(`"bits": 8, "group_size": 16, "version": "gemm", "zero_point": true`), "config.json: quantization_config: bits is 8", "1 layer, "+down)
	add("bits-missing", plain(`"group_size": 16`), "bits", "absent")
	add("bits-disagree", plain(`"bits": 4, "w_bit": 3, "group_size": 16`), "w_bit is 3", "4 as bits says")
	add("group-size-missing", plain(`"bits": 4`), "group_size", "absent")
	add("group-size-0", awqConfig(0, true, "gemm", ""), "group_size", "0", "-1")
	add("group-size-text", plain(`"w_bit": 4, "q_group_size": "all"`), "q_group_size", "all")
	add("version-marlin", awqConfig(16, true, "marlin", ""), "version is marlin", "1 layer, "+down)
	add("version-disagrees", awqConfig(16, true, "gemm", `, "format": "gemv"`), "format", "gemv", "gemm")
	add("pack-int16", awqConfig(16, true, "gemm", `, "pack_dtype": "int16"`), "pack_dtype", "int16", "1 layer, "+down)
	add("zero-point-text", plain(`"bits": 4, "group_size": 16, "zero_point": "yes"`), "zero_point", "yes")
	add("modules-text", plain(`"bits": 4, "group_size": 16, "modules_to_not_convert": "lm_head"`), "modules_to_not_convert", "list of strings")

	own := folder{"model.safetensors": smallAWQ().file()}
	own.text("config.json", modelConfig("F16", 16, 32, 16, ""))
	own.text("quant_config.json", `{"zero_point": true, "q_group_size": 16, "w_bit": 3, "version": "GEMM"}`+"\n")
	d.add("awq-bits-3-own-file", own, "quant_config.json: bits is 3", "1 layer, "+down)
}
