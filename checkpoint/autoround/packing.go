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

// layouts are the names of what a module is laid out as.
var layouts = map[string]packing{
	"gptq": {version: 1}, "auto_gptq": {version: 1}, "gptqmodel": {version: 2}, "awq": {awq: true}, "auto_awq": {awq: true},
}

// kernels are what a name may have at its end: what was to run the model.
var kernels = map[string]bool{
	"exllama": true, "exllamav1": true, "exllamav2": true, "triton": true, "tritonv2": true, "torch": true, "cuda": true,
	"marlin": true, "qbits": true, "ipex": true, "hpu": true, "gemm": true, "ark": true,
}

// parsePacking finds out what the name of a format means, or returns false.
func parsePacking(name string) (packing, bool) {
	name = strings.ToLower(name)
	if name == "" || name == "auto" {
		return layouts["gptq"], true
	}
	for _, other := range []string{"autoround", "auto-round"} {
		name = strings.ReplaceAll(name, other, "auto_round")
	}
	parts := strings.Split(name, ":")
	own := parts[0] == "auto_round"
	if own {
		parts = parts[1:]
	}
	p, named := packing{version: 2}, false
	if len(parts) > 0 {
		if l, ok := layouts[parts[0]]; ok {
			p, named, parts = l, true, parts[1:]
		}
	}
	for _, part := range parts {
		kernel, adds := strings.CutSuffix(part, "_zp") // it adds one to stored zero points
		if !kernels[kernel] {
			return p, false
		}
		if adds && !named {
			p.version = 1
		}
	}
	return p, own || named
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
