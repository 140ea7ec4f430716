package cpu

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// tiers are the steps of arm64, best first.
var tiers = []tier{
	{"i8mm", []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP, cpuid.I8MM}},
	{"dotprod", []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP}},
	{"neon", []cpuid.FeatureID{cpuid.ASIMD}},
}

// units are the instruction sets of arm64, best first.
var units = []*unit{
	{
		name:  "i8mm",
		needs: []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP, cpuid.I8MM},
		eight: offer{true, bytePanel},
		functions: functions{
			codes8: integerKernels{direct: []step{
				{4, asm.DotW8I8MMx4}, {3, asm.DotW8I8MMx3}, {2, asm.DotW8I8MMx2}, {1, asm.DotW8I8MMx1},
			}},
		},
	},
	{
		name:  "dotprod",
		needs: []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP},
		four:  offer{true, bytePanel},
		eight: offer{true, bytePanel},
		functions: functions{
			codes4: integerKernels{direct: []step{
				{4, asm.DotW4DotProdx4}, {3, asm.DotW4DotProdx3}, {2, asm.DotW4DotProdx2}, {1, asm.DotW4DotProdx1},
			}},
			codes8: integerKernels{direct: []step{
				{4, asm.DotW8DotProdx4}, {3, asm.DotW8DotProdx3}, {2, asm.DotW8DotProdx2}, {1, asm.DotW8DotProdx1},
			}},
		},
	},
	{
		name:  "neon",
		needs: []cpuid.FeatureID{cpuid.ASIMD},
		four:  offer{true, bytePanel},
		eight: offer{true, bytePanel},
		functions: functions{
			codes4: integerKernels{direct: []step{
				{4, asm.DotW4NEONx4}, {3, asm.DotW4NEONx3}, {2, asm.DotW4NEONx2}, {1, asm.DotW4NEONx1},
			}},
			codes8: integerKernels{direct: []step{
				{4, asm.DotW8NEONx4}, {3, asm.DotW8NEONx3}, {2, asm.DotW8NEONx2}, {1, asm.DotW8NEONx1},
			}},
		},
	},
}
