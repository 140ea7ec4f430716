package main

import (
	"fmt"
	"strings"
)

// moeCheckpoints are mixtures whose experts share tensors. Their layers are
// expected under the names of single experts.
func moeCheckpoints(out map[string]folder) {
	out["ctensors-moe-stacked"] = ctStacked()
	out["modelslim-moe-stacked"] = slimStacked()
}

const experts = 4

// stacked draws one projection of all experts and adds their tensors as
// stacks: write makes those of one expert, name is a stack's after its
// projection and suffix.
func stacked(ts, want *tensors, in, projection string, s spec, xType string, recipes []string, write func(*layer, *tensors), name func(projection, suffix string) string) {
	stacks := map[string]*tensor{}
	var order []string
	for e := range experts {
		s.name = fmt.Sprintf("%s.%d.%s", in, e, projection)
		l := drawLayer(s)
		l.expect(want, xType, e == 1, recipes...)
		var one tensors
		write(l, &one)
		for _, t := range one {
			suffix := strings.TrimPrefix(t.name, s.name+".")
			if stacks[suffix] == nil {
				order = append(order, suffix)
				stacks[suffix] = &tensor{name: in + "." + name(projection, suffix), dtype: t.dtype, shape: append([]int{experts}, t.shape...)}
			}
			stacks[suffix].data = append(stacks[suffix].data, t.data...)
		}
	}
	for _, suffix := range order {
		ts.add(*stacks[suffix])
	}
}

func dotted(projection, suffix string) string { return projection + "." + suffix }

// mixture is a config.json of a mixture with 4 query heads and 2 of keys.
func mixture(modelType, t string, hidden, inner int, quantization string) string {
	text := modelConfig(t, hidden, inner, 16, quantization)
	text = strings.Replace(text, `"model_type": "llama"`, fmt.Sprintf(`"model_type": %q`, modelType), 1)
	return strings.Replace(text, `"num_hidden_layers"`, fmt.Sprintf("\"num_attention_heads\": 4,\n  \"num_experts\": %d,\n  \"num_key_value_heads\": 2,\n  \"num_hidden_layers\"", experts), 1)
}

// addRouter adds a router, which stays plain, and q/k/v in their own tensors.
func addRouter(ts, want *tensors, seed, t string, hidden int) {
	router := drawPlain(seed+"router", t, experts*hidden, 0.05)
	ts.add(floats(block+"mlp.gate.weight", t, router, experts, hidden))
	expectPlain(want, block+"mlp.gate", t, router, experts, hidden)
	for _, p := range []struct {
		name string
		n    int
	}{{"q_proj", hidden}, {"k_proj", hidden / 2}, {"v_proj", hidden / 2}} {
		w := drawPlain(seed+p.name, t, p.n*hidden, 0.05)
		ts.add(floats(block+"self_attn."+p.name+".weight", t, w, p.n, hidden))
		expectPlain(want, block+"self_attn."+p.name, t, w, p.n, hidden)
	}
}

// ctStacked is pack-quantized experts, gate and up in one projection with zero
// points, and int8 ones per channel in the next layer.
func ctStacked() folder {
	var ts, want tensors
	in := block + "mlp.experts"
	packed := func(l *layer, ts *tensors) { l.ctPacked(ts, false, false, "BF16") }
	both := []string{"exact", "int8-group"}
	stacked(&ts, &want, in, "gate_up_proj", spec{n: 48, k: 64, bits: 4, size: 32, asym: true, scaleType: "BF16", modelType: "BF16"}, "BF16", both, packed, dotted)
	stacked(&ts, &want, in, "down_proj", spec{n: 64, k: 32, bits: 4, size: 32, asym: true, scaleType: "BF16", modelType: "BF16"}, "BF16", both, packed, dotted)
	stacked(&ts, &want, "model.layers.1.mlp.experts", "w13", spec{n: 48, k: 64, bits: 8, size: -1, bias: true, scaleType: "F32", modelType: "BF16"}, "BF16", []string{"exact", "int8-token"},
		func(l *layer, ts *tensors) { l.ctInt(ts, "BF16") },
		func(projection, suffix string) string { return projection + "_" + suffix })
	addRouter(&ts, &want, "ct-moe", "BF16", 64)
	addCommon(&ts, &want, "ct-moe", "BF16", 64, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", mixture("qwen3_moe", "BF16", 64, 24, ctConfig("quantization_config", "mixed-precision",
		scheme("group_0", `["re:.*layers\\.0\\..*proj$"]`, args(4, false, "group", "32", "false", "null"), "null")+",\n      "+
			scheme("group_1", `["re:.*w13$"]`, args(8, true, "channel", "null", "false", "null"), tokenInput()))))
	return f
}

// slimStacked is int8 experts of modelslim, gate and up as w13.
func slimStacked() folder {
	const kind = "W8A8_DYNAMIC"
	var ts, want tensors
	in := block + "block_sparse_moe.experts"
	write := func(l *layer, ts *tensors) { l.slim(ts, kinds{}, kind) }
	under := func(projection, suffix string) string { return projection + "_" + suffix }
	recipes := []string{"exact", "int8-token-ascend"}
	stacked(&ts, &want, in, "w13", spec{n: 48, k: 64, bits: 8, size: -1, scaleType: "F32", modelType: "F16"}, "F16", recipes, write, under)
	stacked(&ts, &want, in, "w2", spec{n: 64, k: 24, bits: 8, size: -1, scaleType: "F32", modelType: "F16"}, "F16", recipes, write, under)
	k := kinds{}
	for _, t := range ts {
		k[t.name] = kind
	}
	addRouter(&ts, &want, "slim-moe", "F16", 64)
	addCommon(&ts, &want, "slim-moe", "F16", 64, 16)
	f := folder{"expected.safetensors": want.file()}
	f.indexAs("quant_model_weights", "quant_model_weights.safetensors.index.json", ts)
	f.text("quant_model_description.json", k.description(kind, 0, ts...))
	f.text("config.json", mixture("mixtral", "F16", 64, 24, ""))
	return f
}

// stacks damages tensors that hold several experts.
func (d damage) stacks() {
	make3 := func() tensors {
		var ts, want tensors
		stacked(&ts, &want, block+"mlp.experts", "down_proj", spec{n: 16, k: 32, bits: 8, size: -1, scaleType: "F32", modelType: "F16"}, "F16", nil,
			func(l *layer, ts *tensors) { l.ctInt(ts, "F16") }, dotted)
		return ts
	}
	config := one("int-quantized", args(8, true, "channel", "null", "false", "null"), "null")
	const name = block + "mlp.experts.down_proj.weight"
	add := func(what string, ts tensors, want ...string) { d.model("experts-"+what, ts, config, want...) }
	replace := func(t tensor) tensors { return append(make3().without(t.name), t) }
	add("count", replace(floats(name+"_scale", "F32", make([]float64, 3*16), 3, 16, 1)), name+"_scale", "[3 16 1]", "4 experts first")
	add("input-first", replace(floats(name+"_scale", "F32", make([]float64, 4*32), 4, 1, 32)), block+"mlp.experts.down_proj", "4 experts in one tensor", "input first", "[4 1 32]")
	add("stored-twice", append(make3(), ints(block+"mlp.experts.2.down_proj.weight", "I8", make([]int, 16*32), 16, 32)), block+"mlp.experts.2.down_proj.weight", "stored once", name)
	add("floats", tensors{floats(block+"mlp.experts.down_proj", "F16", make([]float64, 4*16*32), 4, 16, 32)}, block+"mlp.experts.down_proj", "4 experts in one tensor", "F16 [4 16 32]")
	ts := make3()
	copy(ts.at(name + "_scale").data[4*(2*16+5):], "\x00\x00\xc0\x7f") // expert 2, row 5
	add("scale-nan", ts, block+"mlp.experts.2.down_proj.weight_scale", "row 5", "NaN")
}
