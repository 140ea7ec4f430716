package modelslim

import (
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// float is the type of tensors that are not quantized.
const float = "FLOAT"

// scheme is how the modules of one type are stored and run.
type scheme struct {
	bits      int
	recipe    quant.RecipeKind
	groups    bool // may have a scale for each group of features
	transform bool // FlatQuant's
}

// schemes are the types that are read.
var schemes = map[string]scheme{
	"W8A16":                  {bits: 8, recipe: quant.Exact, groups: true},
	"W8A8_DYNAMIC":           {bits: 8, recipe: quant.Int8TokenAscend},
	"W4A4_DYNAMIC":           {bits: 4, recipe: quant.Int4TokenAscend, groups: true},
	"W4A4_FLATQUANT_DYNAMIC": {bits: 4, recipe: quant.Int4FlatQuant, transform: true},
}

// readTypes lists them for messages.
const readTypes = "W4A4_FLATQUANT_DYNAMIC, W4A4_DYNAMIC, W8A8_DYNAMIC or W8A16"

// needed says what reading a type would take, for the types that are known.
var needed = map[string]string{
	"W8A8":            "a recipe with one fixed scale and offset for all activations",
	"W8A8S":           "a recipe with one fixed scale and offset for all activations",
	"W8A8SC":          "unpacking of compressed weights, and a recipe with a fixed activation scale",
	"W8A8_MIX":        "a choice between a fixed activation scale and one per token at every call",
	"W8A8_TIMESTEP":   "a fixed activation scale for each time step",
	"W8A8FP8_DYNAMIC": "weights and activations of 8-bit floats",
	"W4A8_DYNAMIC":    "unpacking of two codes a byte along N, and the second scales of its groups",
	"W4A16":           "unpacking of int4 words",
	"NF4":             "a codebook of 16 values",
	"W16A16S":         "sparse float weights",
	"W16A16SC":        "unpacking of compressed float weights",
	"FLATQUANT":       "a transform before a fixed activation scale",
}

// need returns what reading a type would take. The families are told by what
// their names are made of.
func need(name string) string {
	if what, ok := needed[name]; ok {
		return what
	}
	has := func(part string) bool { return strings.Contains(name, part) }
	switch {
	case has("MXFP"):
		return "weights of 4- or 8-bit floats with a power of two for each 32 of them"
	case has("FP8"), has("FP4"), has("HIF"):
		return "weights of 4- or 8-bit floats"
	case has("SVD"):
		return "a low-rank float product beside the quantized one"
	case has("FLATQUANT"):
		return "a transform before activations of 8 bits, which no recipe has"
	}
	return "a description of the type: it is not known"
}

// changes are tensors of a module that change what it computes, with what they
// do. A module that has one which its type does not explain is refused.
var changes = []struct{ suffix, what string }{
	{".left_trans", "a transform of its input"},
	{".right_trans", "a transform of its input"},
	{".clip_ratio", "a clip of its activations"},
	{".heads_rotation", "a rotation of its input"},
	{".kronecker_rotation_m", "a rotation of its input"},
	{".kronecker_rotation_n", "a rotation of its input"},
	{".svd_lowrank_l1", "a low-rank product"},
	{".svd_lowrank_l2", "a low-rank product"},
	{".input_scale", "a fixed activation scale"},
	{".deq_scale", "a fixed activation scale"},
	{".quant_bias", "an integer bias"},
	{".scale_bias", "a bias of scales"},
	{".weight_scale_second", "second scales"},
	{".weight_dual_scale", "second scales"},
}
