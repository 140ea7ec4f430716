package autoround

import (
	"strings"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
)

// packing is how modules are laid out.
type packing struct {
	awq     bool
	version int // of GPTQ's zero points; 0 where the name says nothing of it
}

// kernels are what a name of a format may have at its end: what was to run the
// model. With "_zp" it is one that adds one to stored zero points.
var kernels = map[string]bool{
	"exllama": true, "exllamav1": true, "exllamav2": true, "triton": true, "tritonv2": true, "torch": true, "cuda": true,
	"marlin": true, "qbits": true, "ipex": true, "hpu": true, "gemm": true, "ark": true,
}

// parsePacking finds out what the name of a format means, or returns false.
func parsePacking(name string) (packing, bool) {
	name = strings.ToLower(name)
	for _, other := range []string{"autoround", "auto-round"} {
		name = strings.ReplaceAll(name, other, "auto_round")
	}
	p, found := packing{}, false
	parts := strings.Split(name, ":")
	for i, part := range parts {
		said := packing{}
		switch {
		case i == 0 && (part == "" || part == "auto"), part == "gptq", part == "auto_gptq":
			said.version = 1
		case i == 0 && part == "auto_round" && len(parts) == 1, part == "gptqmodel":
			said.version = 2
		case part == "awq", part == "auto_awq":
			said.awq = true
		case i == 0 && part == "auto_round":
			continue
		case i > 0 && kernels[part]:
			if found || i < len(parts)-1 {
				continue
			}
			said.version = 2
		case i > 0 && kernels[strings.TrimSuffix(part, "_zp")]:
			said.version = 1
		default:
			return p, false
		}
		if found && p != said {
			return p, false
		}
		p, found = said, true
	}
	return p, found
}

// stored returns how the tensors of a module are laid out, which the scales,
// with one for each output, tell: GPTQ's words of a row are as many as there
// are outputs, and AWQ's an eighth. Where they tell nothing it is as said.
func stored(src safetensors.Source, name string, said packing) packing {
	q, ok := src.Lookup(name + ".qweight")
	s, both := src.Lookup(name + ".scales")
	if !ok || !both || len(q.Shape) != 2 || len(s.Shape) != 2 {
		return said
	}
	switch {
	case !said.awq && s.Shape[1]/8 == q.Shape[1] && s.Shape[1]%8 == 0:
		return packing{awq: true}
	case said.awq && s.Shape[1] == q.Shape[1]:
		return packing{}
	}
	return said
}
