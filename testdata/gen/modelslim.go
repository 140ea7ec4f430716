package main

import (
	"fmt"
	"strings"
)

func modelslimCheckpoints(out map[string]folder) {
	out["modelslim-w4a4-flatquant"] = slimFlatQuant()
	out["modelslim-w4a4-dynamic"] = slimW4A4()
	out["modelslim-w8a8-dynamic"] = slimW8A8()
	out["modelslim-w8a16"] = slimW8A16()
}

// kinds are the types of tensors as a description has them; those that are not
// in it are FLOAT.
type kinds map[string]string

// slim adds the tensors of l as modelslim stores them: signed codes, one int8
// each, and offsets that are zero.
func (l *layer) slim(ts *tensors, k kinds, kind string) {
	half := 1 << (l.bits - 1)
	signed := make([]int, len(l.codes))
	for i, c := range l.codes {
		signed[i] = int(c) - half
	}
	added := tensors{
		ints(l.name+".weight", "I8", signed, l.n, l.k),
		floats(l.name+".weight_scale", l.scaleType, l.scales, l.n, l.groups),
		floats(l.name+".weight_offset", l.scaleType, make([]float64, len(l.scales)), l.n, l.groups),
	}
	if t := l.transform; t != nil {
		added.add(floats(l.name+".left_trans", t.stored, t.left, t.l, t.l),
			floats(l.name+".right_trans", t.stored, t.right, t.r, t.r),
			floats(l.name+".clip_ratio", "F32", []float64{t.clip}, 1))
	}
	for _, t := range added {
		k[t.name] = kind
	}
	if ts.add(added...); l.bias != nil { // the writer's biases are float32, and FLOAT
		ts.add(floats(l.name+".bias", "F32", l.bias, l.n))
	}
}

// description is the text of a description of ts.
func (k kinds) description(kind string, groupSize int, ts ...tensor) string {
	lines := []string{`  "model_quant_type": "` + kind + `"`, `  "version": "1.0.0"`, fmt.Sprintf(`  "group_size": %d`, groupSize)}
	for _, t := range ts {
		kind := k[t.name]
		if kind == "" {
			kind = "FLOAT"
		}
		lines = append(lines, fmt.Sprintf("  %q: %q", t.name, kind))
	}
	return "{\n" + strings.Join(append(lines, `  "metadata": {}`, `  "optional": {}`), ",\n") + "\n}\n"
}

// slimFlatQuant is W4A4 with transforms of 8 × 8 and 8 × 12 features, one of
// them stored in float32, and a layer of another type. Shards, index and
// description are called after the type.
func slimFlatQuant() folder {
	const kind, file = "W4A4_FLATQUANT_DYNAMIC", "quant_model_weight_w4a4_flatquant_dynamic"
	var first, second, want tensors
	k := kinds{}
	qkv, gateUp := drawTransform("qkv", "BF16", 8, 8, 0.9), drawTransform("gate_up", "BF16", 8, 8, 0.75)
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 64, k: 64, bias: true},
		{name: block + "self_attn.k_proj", n: 32, k: 64, bias: true},
		{name: block + "self_attn.v_proj", n: 32, k: 64, bias: true},
		{name: block + "self_attn.o_proj", n: 64, k: 64},
		{name: block + "mlp.gate_proj", n: 96, k: 64},
		{name: block + "mlp.up_proj", n: 96, k: 64},
		{name: block + "mlp.down_proj", n: 64, k: 96},
	} {
		s.bits, s.size, s.scaleType, s.modelType = 4, -1, "F32", "BF16"
		l := drawLayer(s)
		switch {
		case s.bias: // those that read one input share its transform
			l.transform = qkv
		case s.n == 96:
			l.transform = gateUp
		case s.k == 96:
			l.transform = drawTransform(s.name, "F32", 8, 12, 1)
		default:
			l.transform = drawTransform(s.name, "F16", 8, 8, 0.5)
		}
		if s.n == 96 {
			l.slim(&second, k, kind)
		} else {
			l.slim(&first, k, kind)
		}
		l.expect(&want, "BF16", s.k == 96, "int4-flatquant")
	}
	other := drawLayer(spec{name: "model.layers.1.mlp.down_proj", n: 96, k: 64, bits: 8, size: -1, scaleType: "F32", modelType: "BF16"})
	other.slim(&second, k, "W8A8_DYNAMIC")
	other.expect(&want, "BF16", false, "exact", "int8-token-ascend")
	addCommon(&second, &want, "slim-flat", "BF16", 64, 16)
	f := folder{"expected.safetensors": want.file()}
	f.indexAs(file, file+".safetensors.index.json", first, second)
	f.text("quant_model_description_w4a4_flatquant_dynamic.json", k.description(kind, 0, append(first, second...)...))
	f.text("config.json", modelConfig("BF16", 64, 96, 16, ""))
	return f
}

// slimW4A4 is W4A4 without a transform, one layer with two groups.
func slimW4A4() folder {
	const kind = "W4A4_DYNAMIC"
	var ts, want tensors
	k := kinds{}
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 40, k: 128, size: -1, bias: true},
		{name: block + "mlp.down_proj", n: 24, k: 192, size: 96},
	} {
		s.bits, s.scaleType, s.modelType = 4, "F32", "BF16"
		l := drawLayer(s)
		l.slim(&ts, k, kind)
		l.expect(&want, "BF16", s.bias, "exact", "int4-token-ascend")
	}
	return slimFolder(ts, want, k, kind, 96, "BF16", 128, 192)
}

// slimW8A8 is int8 with scales of float32 and of the model's type, without
// groups although the description has a group size, and with layers that stay
// floats.
func slimW8A8() folder {
	const kind = "W8A8_DYNAMIC"
	var ts, want tensors
	k := kinds{}
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 64, k: 128, scaleType: "F32", bias: true},
		{name: block + "self_attn.k_proj", n: 32, k: 128, scaleType: "F32", bias: true},
		{name: block + "self_attn.v_proj", n: 32, k: 128, scaleType: "F32", bias: true},
		{name: block + "mlp.experts.0.up_proj", n: 75, k: 128, scaleType: "F16"},
		{name: block + "mlp.experts.1.up_proj", n: 75, k: 128, scaleType: "F16"},
	} {
		s.bits, s.size, s.modelType = 8, -1, "F16"
		l := drawLayer(s)
		l.slim(&ts, k, kind)
		l.expect(&want, "F16", s.bias, "exact", "int8-token-ascend")
	}
	o := drawPlain("slim o_proj", "F16", 128*64, 0.05)
	ts.add(floats(block+"self_attn.o_proj.weight", "F16", o, 128, 64))
	expectPlain(&want, block+"self_attn.o_proj", "F16", o, 128, 64)
	return slimFolder(ts, want, k, kind, 256, "F16", 128, 75)
}

// slimW8A16 has a layer with one scale per row and one in groups.
func slimW8A16() folder {
	const kind = "W8A16"
	var ts, want tensors
	k := kinds{}
	for _, s := range []spec{
		{name: block + "self_attn.q_proj", n: 48, k: 128, size: -1, bias: true},
		{name: block + "mlp.down_proj", n: 33, k: 160, size: 32},
	} {
		s.bits, s.scaleType, s.modelType = 8, "F32", "F32"
		l := drawLayer(s)
		l.slim(&ts, k, kind)
		l.expect(&want, "F32", s.bias, "exact", "int8-group")
	}
	return slimFolder(ts, want, k, kind, 32, "F32", 128, 160)
}

// slimFolder is a checkpoint of one shard, without a word of it in config.json.
func slimFolder(ts, want tensors, k kinds, kind string, groupSize int, modelType string, hidden, inner int) folder {
	addCommon(&ts, &want, "slim"+kind, modelType, hidden, 16)
	f := folder{"expected.safetensors": want.file()}
	f.indexAs("quant_model_weights", "quant_model_weights.safetensors.index.json", ts)
	f.text("quant_model_description.json", k.description(kind, groupSize, ts...))
	f.text("config.json", modelConfig(modelType, hidden, inner, 16, ""))
	return f
}
