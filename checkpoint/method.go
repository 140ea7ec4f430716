package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/autoround"
	"github.com/bitlane/bitlane/checkpoint/awq"
	"github.com/bitlane/bitlane/checkpoint/ctensors"
	"github.com/bitlane/bitlane/checkpoint/gptq"
	"github.com/bitlane/bitlane/checkpoint/modelslim"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// planned are the formats that are known and not read yet; those that are not
// planned are named by their configuration just the same.
var planned = []string{
	"fp8", "fbgemm_fp8", "bitsandbytes",
	"hqq", "torchao", "quark", "mxfp4", "modelopt", "gguf",
}

// readFormats are those that are read, for people.
const readFormats = "gptq, awq, auto-round, compressed-tensors, modelslim or none"

// openFormat opens the quantized modules of src with the package that reads
// them, or refuses the format by name.
func openFormat(dir string, s *settings, src safetensors.Source, o Options) (module.Format, error) {
	q := s.quant
	switch q.method {
	case "gptq":
		return gptq.Open(q.text, src, append([]gptq.Option{gptq.ConfigName(q.source)}, o.GPTQ...)...)
	case "awq":
		return awq.Open(q.text, src, awq.ConfigName(q.source))
	case "auto-round":
		return autoround.Open(q.text, src, autoround.ConfigName(q.source), autoround.GPTQ(o.GPTQ...))
	case "compressed-tensors":
		return ctensors.Open(q.text, src, ctensors.ConfigName(q.source))
	case "modelslim":
		if s.slim == nil {
			return nil, quant.Errorf(quant.ErrFormat, dir, "", "the description of a modelslim model, as "+q.source+" says", "no file %s", modelSlimGlob)
		}
		return modelslim.Open(s.slim.text, src, modelslim.ConfigName(s.slim.source), modelslim.ModelType(s.dtype))
	}
	status := "not planned"
	if slices.Contains(planned, q.method) {
		status = "not read yet"
	}
	count := layersOf(quantizedModules(src))
	if experts := stackedExperts(src); experts > 0 {
		count += ", " + module.Count(experts, "expert") + " in tensors of several"
	}
	if what := needs[q.method]; what != "" {
		count += "; it needs " + what
	}
	return nil, quant.Errorf(quant.ErrUnsupported, dir, "quantization", readFormats,
		"%.40s%s: %s (%s)", q.method, scheme(q), status, count)
}

// needs says what reading a format would take.
var needs = map[string]string{
	"fp8":          "weights of 8-bit floats with a scale for each tensor, row or block",
	"fbgemm_fp8":   "weights of 8-bit floats with a scale for each row",
	"bitsandbytes": "a codebook of 16 values (nf4, fp4) with scales that are quantized themselves, or int8 with outlier columns",
	"hqq":          "zero points that are no integers",
	"mxfp4":        "weights of 4-bit floats with a power of two for each 32 of them",
	"modelopt":     "weights of 4- or 8-bit floats with scales in two levels",
	"quark":        "its orders of packing",
	"torchao":      "its serialized tensor classes",
	"gguf":         "its container and its blocks",
}

// stackedExperts counts the experts that share a tensor with others, once for
// each tensor of weights.
func stackedExperts(src safetensors.Source) int {
	n := 0
	for _, name := range src.Names() {
		t, _ := src.Lookup(name)
		if len(t.Shape) < 3 || !strings.Contains(name, "experts.") {
			continue
		}
		_, _, suffix, ok := splitStacked(name)
		if strings.HasSuffix(name, "_blocks") || ok && (suffix == "weight" || suffix == "weight_packed") {
			n += int(min(t.Shape[0], maxExperts))
		}
	}
	return n
}

// schemeKeys say which variant of a format it is.
var schemeKeys = []string{
	"bits", "w_bit", "num_bits", "group_size", "q_group_size", "version", "packing_format", "format", "fmt",
	"activation_scheme", "weight_block_size", "load_in_4bit", "load_in_8bit", "bnb_4bit_quant_type", "quant_type", "model_quant_type", "quantization",
}

// scheme returns what a configuration says of its variant, in parentheses.
func scheme(q *quantConfig) string {
	var parts []string
	for _, key := range schemeKeys {
		if v, ok := q.object.Raw(key); ok {
			parts = append(parts, fmt.Sprintf("%s %.80s", key, strings.Join(strings.Fields(string(v)), " ")))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// formatsOf says of which formats a tensor is, by the end of its name, for people.
func formatsOf(tensor string) string {
	for end, of := range map[string]string{
		".qweight": "gptq, awq or auto-round", ".weight_packed": "compressed-tensors", ".weight_scale": "compressed-tensors or modelslim",
		".weight_scale_inv": "fp8", ".weight.absmax": "bitsandbytes", ".SCB": "bitsandbytes", ".W_q": "hqq", "_proj_blocks": "mxfp4",
	} {
		if strings.HasSuffix(tensor, end) {
			return of
		}
	}
	return "another"
}

// markers are the ends of tensor names that only quantized modules have.
var markers = []string{
	".qweight", ".weight_packed", ".weight_scale", ".weight_scale_inv", ".weight_quantized", ".trellis",
	".weight.absmax", ".SCB", ".W_q", "_proj_blocks", ".codebooks", ".Qidxs",
}

// owned is a module and a tensor that only a quantized one has.
type owned struct{ module, tensor string }

// quantizedModules returns the modules of src that have a tensor that only quantized ones
// have, each with the first such tensor, in natural order.
func quantizedModules(src safetensors.Source) (found []owned) {
	seen := map[string]bool{}
	for _, n := range src.Names() {
		for _, marker := range markers {
			if prefix, ok := strings.CutSuffix(n, marker); ok && !seen[prefix] {
				seen[prefix] = true
				found = append(found, owned{prefix, n})
			}
		}
	}
	slices.SortFunc(found, func(a, b owned) int { return module.Compare(a.module, b.module) })
	return found
}

// layersOf counts modules, for messages.
func layersOf(found []owned) string {
	if len(found) == 0 {
		return module.Layers(0, "")
	}
	return module.Layers(len(found), found[0].module)
}

// ofAnotherFormat returns the quantized modules that the format of the model neither reads nor
// refuses; without those that have a weight, which tells by itself whether it is read.
func (m *Model) ofAnotherFormat() []owned {
	known := map[string]bool{}
	for i := range m.modules {
		known[m.modules[i].Name] = true
	}
	for i := range m.refused {
		known[m.refused[i].Name] = true
	}
	return slices.DeleteFunc(quantizedModules(m.src), func(o owned) bool {
		return known[o.module] || known[strings.TrimSuffix(o.module, ".weight")] || has(m.src, o.module+".weight")
	})
}
