package modelslim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// What is not read is refused module by module, and counted; the others load.
func TestRefusedTypes(t *testing.T) {
	src := newTensors()
	src.layer("model.layers.0.self_attn.q_proj", "W8A8_DYNAMIC", 4, 8, 1)
	for _, e := range []string{"0", "2", "10"} {
		src.layer("model.layers.0.mlp.experts."+e+".up_proj", "W4A8_DYNAMIC", 2, 8, 1)
	}
	src.layer("model.layers.0.mlp.down_proj", "W8A8", 4, 8, 1)
	src.layer("model.layers.0.mlp.up_proj", "W9A9_DYNAMIC", 4, 8, 1)
	f := src.open(t, "")
	require.Len(t, f.Modules(), 1)
	load(t, f, "model.layers.0.self_attn.q_proj")
	why := map[string]string{}
	for _, r := range f.Refused() {
		why[r.Name] = r.Why
	}
	require.Equal(t, map[string]string{
		"model.layers.0.mlp.experts.0.up_proj":  "W4A8_DYNAMIC is not read: it needs unpacking of two codes a byte along N, and the second scales of its groups",
		"model.layers.0.mlp.experts.2.up_proj":  "W4A8_DYNAMIC is not read: it needs unpacking of two codes a byte along N, and the second scales of its groups",
		"model.layers.0.mlp.experts.10.up_proj": "W4A8_DYNAMIC is not read: it needs unpacking of two codes a byte along N, and the second scales of its groups",
		"model.layers.0.mlp.down_proj":          "W8A8 is not read: it needs a recipe with one fixed scale and offset for all activations",
		"model.layers.0.mlp.up_proj":            "W9A9_DYNAMIC is not read: it needs a description of the type: it is not known",
	}, why)
	warnings := f.(module.Warner).Warnings()
	require.Len(t, warnings, 3)
	require.Contains(t, warnings[0], "W4A8_DYNAMIC (it needs unpacking")
	require.Contains(t, warnings[0], "): 3 layers, the first is model.layers.0.mlp.experts.0.up_proj")

	delete(src.data, "model.layers.0.self_attn.q_proj.weight")
	for _, s := range []string{"weight", "weight_scale", "weight_offset"} {
		delete(src.types, "model.layers.0.self_attn.q_proj."+s)
	}
	_, err := Open(src.description(""), src)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	for _, want := range []string{"W4A8_DYNAMIC", "3 layers, the first is model.layers.0.mlp.experts.0.up_proj", "W8A8 (it needs a recipe with one fixed", "1 layer, model.layers.0.mlp.down_proj"} {
		require.ErrorContains(t, err, want)
	}
}

func TestNeeds(t *testing.T) {
	for name, want := range map[string]string{
		"W4A4_MXFP4": "power of two", "W4A4_MXFP4_FLATQUANT": "power of two", "W8A8_MXFP8": "power of two", "W4A8_MXFP": "power of two",
		"WFP8AFP8_DYNAMIC": "8-bit floats", "W8A8FP8_DYNAMIC": "8-bit floats", "W8A8_SVD_DYNAMIC": "low-rank",
		"W8A8_FLATQUANT_DYNAMIC": "a transform", "NF4": "codebook", "": "not known",
	} {
		require.Contains(t, need(name), want, name)
	}
}

// Tensors that change what a module computes, and that its type does not
// explain, are refused with it.
func TestChangedModules(t *testing.T) {
	for suffix, want := range map[string]string{
		".clip_ratio": "a clip of its activations", ".left_trans": "a transform", ".heads_rotation": "a rotation of its input",
		".svd_lowrank_l1": "low-rank", ".input_scale": "a fixed activation scale", ".weight_packed": "int4 words",
	} {
		src := newTensors()
		src.layer("m.q", "W8A8_DYNAMIC", 4, 8, 1)
		src.layer("m.k", "W8A8_DYNAMIC", 4, 8, 1)
		src.floats("m.q"+suffix, "", dtype.F32, []float32{1}, 1)
		f := src.open(t, "")
		require.Len(t, f.Modules(), 1, suffix)
		require.Contains(t, f.Refused()[0].Why, want)
	}
	src := newTensors()
	src.layer("m.o_proj", "W8A16", 4, 8, 1)
	src.layer("m.q_proj.linear", "W8A16", 4, 8, 1)
	src.floats("m.q_proj.div.mul_scale", "FLOAT", dtype.F32, []float32{1}, 1)
	src.layer("m.k_proj", "W8A16", 4, 8, 1)
	f := src.open(t, `"metadata":{"quarot":{"max_tp_size":4,"heads_rotation":{"layers":["m.o_proj."]}}}`)
	require.Len(t, f.Modules(), 1)
	require.Equal(t, "m.k_proj", f.Modules()[0].Name)
	require.Contains(t, f.Refused()[0].Why, "rotation of its input, of which the description speaks")
	require.Contains(t, f.Refused()[1].Why, "multiplied by m.q_proj.div.mul_scale")
}

// The first descriptions with rotations name layers by their numbers: heads are rotated
// before an o_proj, everything before a down_proj.
func TestRotationsOfNumberedLayers(t *testing.T) {
	src := newTensors()
	names := []string{"self_attn.o_proj", "self_attn.q_proj", "mlp.down_proj", "mlp.experts.1.down_proj", "mlp.up_proj"}
	for _, l := range []string{"model.layers.1.", "model.layers.11.", "model.layers.2."} {
		for _, n := range names {
			src.layer(l+n, "W4A4_DYNAMIC", 4, 8, 1)
		}
	}
	src.layer("lm_head", "W8A16", 4, 8, 1)
	f := src.open(t, `"metadata":{"quarot":{"max_tp_size":4,"heads_rotation":{"layers":["1","2"]},"kronecker_rotation":{"layers":["11"]}}}`)
	var refused []string
	for _, r := range f.Refused() {
		require.Contains(t, r.Why, "a rotation of its input, of which the description speaks")
		refused = append(refused, r.Name)
	}
	require.Equal(t, []string{"model.layers.1.self_attn.o_proj", "model.layers.2.self_attn.o_proj", "model.layers.11.mlp.down_proj", "model.layers.11.mlp.experts.1.down_proj"}, refused)
	require.Len(t, f.Modules(), 16-4)
}

// What is no linear layer is left to others: norms that old writers give the
// model's type, caches, quantized attentions, keys without a dot.
func TestNotLayers(t *testing.T) {
	src := newTensors()
	src.layer("m.q", "W8A8_DYNAMIC", 4, 8, 1)
	src.floats("m.norm.weight", "W8A8_DYNAMIC", dtype.BF16, []float32{1, 1}, 2)
	src.floats("m.k.kv_cache_scale", "C8", dtype.F32, []float32{1}, 1)
	src.floats("m.fa_q.scale", "FAQuant", dtype.F32, []float32{1}, 1)
	src.floats("m.embed.weight", "FLOAT", dtype.BF16, []float32{1, 1}, 1, 2)
	src.types["m.attn.quant_type"] = "INT8_DYNAMIC"
	src.types["m.gone.weight"] = "FLOAT"
	f := src.open(t, `"fa_quant_type":"FAKQuant","some_flag":true`)
	require.Len(t, f.Modules(), 1)
	require.Empty(t, f.Refused())
	require.Equal(t, []string{"quant_model_description.json: float tensors that are in no file: 1, the first is m.gone.weight"}, f.(module.Warner).Warnings())
}

func TestBadDescriptions(t *testing.T) {
	src := newTensors()
	src.layer("m.q", "W8A16", 4, 8, 2)
	for text, want := range map[string]string{
		`[]`:                "want one JSON object",
		`{"a":1}`:           "no tensor in it, want a type for each tensor",
		`{"m.q.weight":4}`:  "m.q.weight is 4, want the name of a type",
		`{"m.q.weight":""}`: "want the name of a type",
		`{"m.q.weight":"W8A16","m.q.weight":"FLOAT"}`:                       `key "m.q.weight" twice`,
		`{"m.q.weight":"W8A16","group_size":"4"}`:                           "group_size is \"4\", want an integer",
		`{"m.q.weight":"W8A16","group_size":-1}`:                            "group_size is -1, want at least 1, or 0",
		`{"m.q.weight":"W8A16","metadata":{"quarot":{"heads_rotation":1}}}`: "heads_rotation is 1, want an object",
		`{"m.q.weight":"W8A16","m.k.weight":"W8A16"}`:                       "m.k.weight: tensor is absent, the first of 1, want it in the files, as desc.json says (W8A16)",
		`{"m.q.weight":"W8A16","m.q.weight_scale":"W4A4_DYNAMIC"}`:          "desc.json: m.q.weight_scale is W4A4_DYNAMIC, want W8A16, as m.q.weight is",
		`{"m.q.weight":"W8A16","group_size":3}`:                             "m.q.weight_scale: shape is [4 2], want [4 1] or [4 3] for W8A16, a weight of [4 8] and group_size 3 of desc.json",
		`{"m.q.weight":"W8A16"}`:                                            "m.q.weight_scale: shape is [4 2], want [4 1] for W8A16, a weight of [4 8] and no group_size in desc.json",
	} {
		_, err := Open([]byte(text), src, ConfigName("desc.json"))
		require.ErrorIs(t, err, quant.ErrFormat, text)
		require.ErrorContains(t, err, want, text)
	}
	_, err := Open([]byte(`{"m.q.weight":"W8A16","group_size":4}`), src)
	require.NoError(t, err)
}

// One wrong tensor, one error that names it, what it is and what it should be.
func TestBadTensors(t *testing.T) {
	const kind = "W4A4_FLATQUANT_DYNAMIC"
	nan := float32(0)
	nan /= nan
	for _, c := range []struct {
		change func(src tensors)
		want   string
	}{
		{func(s tensors) { s.floats("m.weight", kind, dtype.F16, make([]float32, 64), 4, 16) }, "m.weight: type is F16, want I8"},
		{func(s tensors) { s.int8s("m.weight", kind, make([]int, 64), 2, 2, 16) }, "m.weight: shape is [2 2 16], want a matrix"},
		{func(s tensors) { s.int8s("m.weight", kind, nil, 0, 16) }, "m.weight: shape is [0 16], want a matrix"},
		{func(s tensors) { delete(s.data, "m.weight_scale"); delete(s.types, "m.weight_scale") }, "m.weight_scale: tensor is absent"},
		{func(s tensors) { s.int8s("m.weight_scale", kind, make([]int, 4), 4, 1) }, "m.weight_scale: type is I8"},
		{func(s tensors) { s.floats("m.weight_scale", kind, dtype.F32, make([]float32, 5), 5, 1) }, "m.weight_scale: shape is [5 1], want [4 1]"},
		{func(s tensors) { s.floats("m.weight_scale", kind, dtype.F32, []float32{1, 1, nan, 1}, 4, 1) }, "m.weight_scale: scale of row 2, group 0 is NaN"},
		{func(s tensors) { s.floats("m.weight_offset", kind, dtype.F32, make([]float32, 4), 4) }, "m.weight_offset: shape is [4], want [4 1]"},
		{func(s tensors) { s.int8s("m.weight_offset", kind, make([]int, 4), 4, 1) }, "m.weight_offset: type is I8"},
		{func(s tensors) { s.data["m.weight"].Bytes[37] = 8 }, "m.weight: code of row 2, column 5 is 8, want -8 to 7"},
		{func(s tensors) { s.data["m.weight"].Bytes[0] = 0xf7 }, "m.weight: code of row 0, column 0 is -9, want -8 to 7"},
		{func(s tensors) { delete(s.data, "m.left_trans"); delete(s.types, "m.left_trans") }, "m.left_trans: tensor is absent"},
		{func(s tensors) { delete(s.data, "m.clip_ratio"); delete(s.types, "m.clip_ratio") }, "m.clip_ratio: tensor is absent"},
		{func(s tensors) { s.floats("m.left_trans", kind, dtype.BF16, make([]float32, 8), 4, 2) }, "m.left_trans: shape is [4 2], want a square matrix"},
		{func(s tensors) { s.floats("m.left_trans", kind, dtype.BF16, make([]float32, 9), 3, 3) }, "m.right_trans: shape is [4 4], want factors of 16 features, beside m.left_trans of [3 3]"},
		{func(s tensors) { s.floats("m.right_trans", kind, dtype.F16, make([]float32, 16), 4, 4) }, "m.right_trans: type is F16, want BF16, as m.left_trans has"},
		{func(s tensors) { s.int8s("m.right_trans", kind, make([]int, 16), 4, 4) }, "m.right_trans: type is I8"},
		{func(s tensors) {
			p := make([]float32, 16)
			p[6] = nan
			s.floats("m.right_trans", kind, dtype.BF16, p, 4, 4)
		}, "m.right_trans: element [1 2] is NaN, want a finite bfloat16"},
		{func(s tensors) { s.floats("m.clip_ratio", kind, dtype.F32, []float32{1.25}, 1) }, "m.clip_ratio: clip ratio is 1.25, want 2^-24 to 1"},
		{func(s tensors) { s.floats("m.clip_ratio", kind, dtype.F32, []float32{nan}, 1) }, "m.clip_ratio: clip ratio is NaN"},
		{func(s tensors) { s.floats("m.clip_ratio", kind, dtype.F32, []float32{1, 1}, 2) }, "m.clip_ratio: shape is [2], want [1]"},
		{func(s tensors) { s.int8s("m.clip_ratio", kind, []int{1}, 1) }, "m.clip_ratio: type is I8"},
		{func(s tensors) { s.floats("m.bias", "FLOAT", dtype.F32, make([]float32, 3), 3) }, "m.bias: shape is [3], want [4]"},
	} {
		src := newTensors()
		src.layer("m", kind, 4, 16, 1)
		src.transform("m", kind, dtype.BF16, 4, 4, 0.875)
		c.change(src)
		f, err := Open(src.description(""), src)
		if err == nil {
			var l quant.Linear
			_, err = f.Load(t.Context(), &l, "m", nil)
		}
		require.ErrorIs(t, err, quant.ErrFormat, c.want)
		require.ErrorContains(t, err, c.want)
	}
	src := newTensors()
	src.layer("m", "W8A8_DYNAMIC", 4, 16, 1)
	src.floats("m.weight_offset", "W8A8_DYNAMIC", dtype.F32, []float32{0, 0, 0, -3}, 4, 1)
	var l quant.Linear
	_, err := src.open(t, "").Load(t.Context(), &l, "m", nil)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "m.weight_offset: offset of row 3, group 0 is -3, want 0: weights with an offset are not read")
}
