package module

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// Owners returns the modules of src with a tensor whose name is the module's
// and one of suffixes, in natural order.
func Owners(src safetensors.Source, suffixes ...string) []string {
	found := map[string]bool{}
	for _, n := range src.Names() {
		for _, suffix := range suffixes {
			if m, ok := strings.CutSuffix(n, suffix); ok && m != "" {
				found[m] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), Compare)
}

// Unknown is the error of a Format's Load for a name that is none of its Modules.
func Unknown(name string) error {
	return quant.Errorf(quant.ErrUnsupported, name, "module", "one of this checkpoint's quantized modules", "unknown")
}

// Missing is the error for a tensor that is not there although its module is.
func Missing(tensor string) error {
	return quant.Errorf(quant.ErrFormat, tensor, "tensor", "it beside the module's other tensors", "absent")
}

// Reasons makes one line of why modules are refused, each reason with the
// number of layers it holds for and the first of them.
func Reasons(refused []Refused) string {
	const most = 8
	n := map[string]int{}
	var first []Refused // of each reason
	for _, r := range refused {
		if n[r.Why]++; n[r.Why] == 1 {
			first = append(first, r)
		}
	}
	var lines []string
	for _, r := range first[:min(len(first), most)] {
		lines = append(lines, fmt.Sprintf("%s: %s", r.Why, Layers(n[r.Why], r.Name)))
	}
	if more := len(first) - most; more > 0 {
		lines = append(lines, Count(more, "more reason"))
	}
	return strings.Join(lines, "; ")
}
