package main

import "fmt"

// smallSlim is one modelslim layer of a type: N=16, K=32, 4 or 8 bits.
func smallSlim(kind string) (tensors, kinds) {
	var ts tensors
	k := kinds{}
	s := spec{name: down, n: 16, k: 32, bits: 8, size: -1, scaleType: "F32", modelType: "F16"}
	if kind[1] == '4' {
		s.bits = 4
	}
	l := drawLayer(s)
	if kind == "W4A4_FLATQUANT_DYNAMIC" {
		l.transform = drawTransform("small", "F16", 4, 8, 0.9)
	}
	l.slim(&ts, k, kind)
	return ts, k
}

// slim makes a case of tensors and the text of their description.
func (d damage) slim(name string, ts tensors, description string, want ...string) {
	f := folder{"model.safetensors": ts.file()}
	f.text("config.json", plainConfig)
	f.text("quant_model_description.json", description)
	d.add("modelslim-"+name, f, want...)
}

// slimTensors damages the tensors of modelslim layers.
func (d damage) slimTensors() {
	const flat = "W4A4_FLATQUANT_DYNAMIC"
	with := func(name string, change func(ts tensors) tensors, want ...string) {
		ts, k := smallSlim(flat)
		ts = change(ts)
		d.slim(name, ts, k.description(flat, 0, ts...), want...)
	}
	in := func(tensor string, at int, bytes string) func(tensors) tensors {
		return func(ts tensors) tensors {
			copy(ts.at(down + tensor).data[at:], bytes)
			return ts
		}
	}
	replace := func(t tensor) func(tensors) tensors {
		return func(ts tensors) tensors {
			t.name = down + t.name
			return append(ts.without(t.name), t)
		}
	}
	with("code-above", in(".weight", 2*32+3, "\x08"), down+".weight", "code of row 2, column 3 is 8", "-8 to 7")
	with("code-below", in(".weight", 15*32+31, "\xf7"), down+".weight", "code of row 15, column 31 is -9", "-8 to 7")
	with("scale-nan", in(".weight_scale", 4*5, "\x00\x00\xc0\x7f"), down+".weight_scale", "row 5", "NaN", "finite")
	with("scale-inf", in(".weight_scale", 4*5, "\x00\x00\x80\x7f"), down+".weight_scale", "row 5", "+Inf", "finite")
	with("offset", in(".weight_offset", 4*7, "\x00\x00\x80\x3f"), down+".weight_offset", "offset of row 7, group 0 is 1", "want 0")
	with("left-trans-nan", in(".left_trans", 2*6, "\x00\x7e"), down+".left_trans", "element [1 2] is NaN", "finite")
	with("right-trans-inf", in(".right_trans", 2*63, "\x00\xfc"), down+".right_trans", "element [7 7] is -Inf", "finite")
	with("clip-0", in(".clip_ratio", 0, "\x00\x00\x00\x00"), down+".clip_ratio", "clip ratio is 0", "2^-24 to 1")
	with("clip-above-1", in(".clip_ratio", 0, "\x00\x00\xc0\x3f"), down+".clip_ratio", "clip ratio is 1.5", "2^-24 to 1")
	with("weight-type", replace(floats(".weight", "F16", make([]float64, 16*32), 16, 32)), down+".weight", "type is F16, want I8")
	with("weight-1d", replace(ints(".weight", "I8", make([]int, 16*32), 16*32)), down+".weight", "[512]", "a matrix")
	with("scale-shape", replace(floats(".weight_scale", "F32", make([]float64, 15), 15, 1)), down+".weight_scale", "[15 1]", "[16 1]")
	with("scale-type", replace(ints(".weight_scale", "I32", make([]int, 16), 16, 1)), down+".weight_scale", "I32", "F32")
	with("offset-shape", replace(floats(".weight_offset", "F32", make([]float64, 16), 1, 16)), down+".weight_offset", "[1 16]", "[16 1]")
	with("left-trans-shape", replace(floats(".left_trans", "F16", make([]float64, 12), 3, 4)), down+".left_trans", "[3 4]", "a square matrix")
	with("trans-product", replace(floats(".left_trans", "F16", make([]float64, 25), 5, 5)), down+".right_trans", "[8 8]", "32 features", "[5 5]")
	with("trans-types", replace(floats(".right_trans", "BF16", make([]float64, 64), 8, 8)), down+".right_trans", "BF16", "F16", down+".left_trans")
	with("clip-shape", replace(floats(".clip_ratio", "F32", []float64{1, 1}, 2)), down+".clip_ratio", "[2]", "[1]")
	with("bias-shape", func(ts tensors) tensors { return append(ts, floats(down+".bias", "F32", make([]float64, 17), 17)) }, down+".bias", "[17]", "[16]")
	for _, suffix := range []string{"weight_scale", "left_trans", "right_trans", "clip_ratio"} {
		with("missing-"+suffix, func(ts tensors) tensors { return ts.without(down + "." + suffix) }, down+"."+suffix, "absent")
	}
}

// slimDescriptions asks for types that are not read, and damages descriptions.
func (d damage) slimDescriptions() {
	for kind, want := range map[string]string{
		"W8A8": "one fixed scale", "W8A8S": "one fixed scale", "W8A8_MIX": "a choice", "W4A8_DYNAMIC": "two codes a byte", "W4A16": "int4 words",
		"WFP8AFP8_DYNAMIC": "8-bit floats", "W4A4_MXFP4": "a power of two", "W8A8_FLATQUANT_DYNAMIC": "a transform", "W7A7": "not known",
	} {
		ts, k := smallSlim(kind)
		d.slim("type-"+kind, ts, k.description(kind, 0, ts...), kind, want, "1 layer, "+down)
	}
	ts, k := smallSlim("W8A16")
	good := k.description("W8A16", 0, ts...)
	line := fmt.Sprintf("  %q: \"W8A16\",\n", down+".weight_scale")
	other := func(text string) string { return "{\n" + text + good[2:] }
	d.slim("not-json", ts, good[:len(good)-4], "quant_model_description.json", "ends too early")
	d.slim("no-tensors", ts, `{"model_quant_type": "W8A16", "version": "1.0.0"}`, "quant_model_description.json", "no tensor in it")
	d.slim("tensor-twice", ts, other(line), down+".weight_scale", "twice")
	d.slim("type-number", ts, other(`  "x.weight": 8,`), "x.weight is 8", "the name of a type")
	d.slim("tensor-missing", ts, other(`  "x.weight": "W8A16",`), "x.weight", "absent", "want it in the files")
	d.slim("group-size-text", ts, `{"group_size": "128", "x.weight": "FLOAT"}`, "group_size", `"128"`, "an integer")
	d.slim("group-size-negative", ts, `{"group_size": -1, "x.weight": "FLOAT"}`, "group_size is -1")

	grouped, gk := ts, kinds{}
	for name, kind := range k {
		gk[name] = kind
	}
	grouped = append(grouped.without(down+".weight_scale").without(down+".weight_offset"), floats(down+".weight_scale", "F32", make([]float64, 32), 16, 2))
	d.slim("group-size-disagrees", grouped, gk.description("W8A16", 8, grouped...), down+".weight_scale", "[16 2]", "[16 4]", "group_size 8")
	d.slim("group-size-absent", grouped, gk.description("W8A16", 0, grouped...), down+".weight_scale", "[16 2]", "[16 1]", "no group_size in quant_model_description.json")
	gk[down+".weight_scale"] = "W4A4_DYNAMIC"
	d.slim("types-disagree", grouped, gk.description("W8A16", 16, grouped...), down+".weight_scale is W4A4_DYNAMIC", "want W8A16")

	f := folder{"model.safetensors": ts.file()}
	f.text("quant_model_description.json", good)
	f.text("quant_model_description_w8a16.json", good)
	d.add("modelslim-two-descriptions", f, "quant_model_description_w8a16.json", "a second one beside", "quant_model_description.json, want one")
	f = folder{"model.safetensors": ts.file()}
	f.text("quant_model_description.json", good)
	f.text("config.json", modelConfig("F16", 16, 32, 16, gptqConfig()))
	d.add("modelslim-config-says-gptq", f, "quant_model_description.json", "modelslim", "want gptq", "config.json")
	f = folder{"model.safetensors": ts.file()}
	f.text("config.json", modelConfig("F16", 16, 32, 16, `"quantization_config": {"quant_method": "ascend"}`))
	d.add("modelslim-no-description", f, "no file quant_model_description*.json", "config.json")
}
