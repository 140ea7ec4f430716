package cpu

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
)

// tiers are the steps of arm64, best first.
var tiers = []tier{
	{"i8mm", []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP, cpuid.I8MM}},
	{"dotprod", []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP}},
	{"neon", []cpuid.FeatureID{cpuid.ASIMD}},
}

// packNEON is what every unit packs with.
//
//asmcheck:needs ASIMD
func packNEON() packFunctions {
	return packFunctions{nibbles: asm.PackNibblesNEON, dwords: asm.PackDwordsNEON}
}

// units are the instruction sets of arm64, best first.
var units = []*unit{
	{
		name:  "i8mm",
		needs: []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP, cpuid.I8MM},
		rows:  rows.NEON,
		four:  offer{true, bytePanel},
		eight: offer{true, bytePanel},
		functions: functions{
			codes4: integerKernels{direct: []step{
				{8, asm.DotW4I8MMx8},
				{4, asm.DotW4DotProdx4}, {3, asm.DotW4DotProdx3}, {2, asm.DotW4DotProdx2}, {1, asm.DotW4DotProdx1},
			}},
			codes8: integerKernels{direct: []step{
				{8, asm.DotW8I8MMx8},
				{4, asm.DotW8I8MMx4}, {3, asm.DotW8I8MMx3}, {2, asm.DotW8I8MMx2}, {1, asm.DotW8I8MMx1},
			}},
			pack:   packNEON(),
			finish: [4]func(*asm.Output){dtype.F32: asm.FinishF32NEON, dtype.F16: asm.FinishF16NEON, dtype.BF16: asm.FinishBF16NEON},
		},
	},
	{
		name:  "dotprod",
		needs: []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP},
		rows:  rows.NEON,
		four:  offer{true, bytePanel},
		eight: offer{true, bytePanel},
		functions: functions{
			codes4: integerKernels{direct: []step{
				{4, asm.DotW4DotProdx4}, {3, asm.DotW4DotProdx3}, {2, asm.DotW4DotProdx2}, {1, asm.DotW4DotProdx1},
			}},
			codes8: integerKernels{direct: []step{
				{4, asm.DotW8DotProdx4}, {3, asm.DotW8DotProdx3}, {2, asm.DotW8DotProdx2}, {1, asm.DotW8DotProdx1},
			}},
			pack:   packNEON(),
			finish: [4]func(*asm.Output){dtype.F32: asm.FinishF32NEON, dtype.F16: asm.FinishF16NEON, dtype.BF16: asm.FinishBF16NEON},
		},
	},
	{
		name:  "neon",
		needs: []cpuid.FeatureID{cpuid.ASIMD},
		rows:  rows.NEON,
		four:  offer{true, bytePanel},
		eight: offer{true, bytePanel},
		exact: offer{true, floatPanel},
		functions: functions{
			codes4: integerKernels{direct: []step{
				{4, asm.DotW4NEONx4}, {3, asm.DotW4NEONx3}, {2, asm.DotW4NEONx2}, {1, asm.DotW4NEONx1},
			}},
			codes8: integerKernels{direct: []step{
				{4, asm.DotW8NEONx4}, {3, asm.DotW8NEONx3}, {2, asm.DotW8NEONx2}, {1, asm.DotW8NEONx1},
			}},
			exact: exactKernels{
				direct: [weightKinds][]step{
					weight4: {{1, asm.GemvW4NEON}}, weight8: {{1, asm.GemvW8NEON}},
					weightF32: {{1, asm.GemvF32NEON}}, weightF16: {{1, asm.GemvF16NEON}}, weightBF16: {{1, asm.GemvBF16NEON}},
				},
				unpackFrom: [weightKinds]int{weight4: 4, weight8: 4, weightF32: 4, weightF16: 4, weightBF16: 4},
				unpack: [weightKinds]func(unsafe.Pointer, *asm.Call){
					weight4: asm.UnpackW4NEON, weight8: asm.UnpackW8NEON,
					weightF32: asm.UnpackF32NEON, weightF16: asm.UnpackF16NEON, weightBF16: asm.UnpackBF16NEON,
				},
				gemm: []step{
					{6, asm.GemmNEONx6}, {5, asm.GemmNEONx5}, {4, asm.GemmNEONx4},
					{3, asm.GemmNEONx3}, {2, asm.GemmNEONx2}, {1, asm.GemmNEONx1},
				},
			},
			pack:   packNEON(),
			finish: [4]func(*asm.Output){dtype.F32: asm.FinishF32NEON, dtype.F16: asm.FinishF16NEON, dtype.BF16: asm.FinishBF16NEON},
		},
	},
}
