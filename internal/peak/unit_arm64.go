package peak

import "github.com/klauspost/cpuid/v2"

var candidates = []candidate{
	{
		unit:  Unit{Name: "i8mm", Instruction: "smmla 4s", Type: "int8", Ops: 64},
		needs: []cpuid.FeatureID{cpuid.I8MM}, run: Int8I8MM, each: 24,
	},
	{
		unit:  Unit{Name: "dotprod", Instruction: "sdot 4s", Type: "int8", Ops: 32},
		needs: []cpuid.FeatureID{cpuid.ASIMDDP}, run: Int8DotProd, each: 24,
	},
	{
		unit:  Unit{Name: "neon", Instruction: "fmla 4s", Type: "float32", Ops: 8},
		needs: []cpuid.FeatureID{cpuid.ASIMD}, run: FloatNEON, each: 24,
	},
}
