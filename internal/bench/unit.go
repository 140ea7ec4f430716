package bench

import (
	"strings"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/internal/peak"
	"github.com/bitlane/bitlane/quant"
)

// byRows is a kernel that multiplies few rows with other instructions than many: Unit
// names those of so many, as its own name ends with some.
type byRows interface {
	Unit(s backend.Spec, rows int) string
}

// unitOf returns the unit whose peak is the limit of a stack's kernel for so many rows,
// nil where no loop measures it here.
func (m *machine) unitOf(st *Stack, rows int, tier string) *peak.Unit {
	kernel := st.Kernel.Name()
	if k, ok := st.Kernel.(byRows); ok {
		kernel = kernel[:strings.LastIndexByte(kernel, '_')+1] + k.Unit(st.Spec, rows)
	}
	name := unitOf(kernel, st.Spec.Recipe, st.Form.Bits, tier, m.units)
	for i := range m.units {
		if u := &m.units[i]; u.Name == name && len(u.Missing) == 0 {
			return u
		}
	}
	return nil
}

// unitOf returns the unit whose peak is the limit of a kernel at large M, by
// the unit in the kernel's name, and "" where no loop measures it. A kernel in
// plain Go is held to the best that the processor has for its activations.
func unitOf(kernel string, recipe quant.Recipe, bits int, tier string, units []peak.Unit) string {
	words := strings.Split(kernel, "_")
	if len(words) < 4 {
		return ""
	}
	instructions := words[3]
	if recipe.Kind == quant.Exact {
		switch instructions {
		case "amx":
			return "amxbf16"
		case "bf16":
			return "bf16"
		case "avx2", "avxvnni", "fma":
			if instructions == "fma" && strings.HasPrefix(tier, "avx512") {
				return "fma512"
			}
			return "fma"
		case "avx512", "vnni":
			return "fma512"
		case "neon", "dotprod", "i8mm":
			return "neon"
		}
		return bestOf(units, "float32")
	}
	switch instructions {
	case "amx", "vnni", "vnni256", "avxvnni", "dotprod", "i8mm":
		return instructions
	case "bf16": // a tier that has the int8 unit as well
		return "vnni"
	case "avx2":
		if bits > 4 { // sums of two products of such codes overflow 16 bits
			return "maddubs-wd"
		}
		return "maddubs"
	case "avx512", "neon":
		return ""
	}
	return bestOf(units, "int8")
}

// bestOf returns the first unit of a type that the processor has.
func bestOf(units []peak.Unit, of string) string {
	for _, u := range units {
		if u.Type == of && len(u.Missing) == 0 {
			return u.Name
		}
	}
	return ""
}
