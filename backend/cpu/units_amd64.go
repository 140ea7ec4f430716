package cpu

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
)

// tiers are the steps of amd64, best first.
var tiers = []tier{
	{"avx512-amx", []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI, cpuid.AVX512BF16, cpuid.AVX512VBMI, cpuid.AMXTILE, cpuid.AMXINT8, cpuid.AMXBF16}},
	{"avx512-bf16", []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI, cpuid.AVX512BF16}},
	{"avx512-vnni", []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI}},
	{"avx512", []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL}},
	{"avx-vnni", []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVXVNNI}},
	{"avx2", []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C}},
}

// packAVX2 is what every unit packs with.
//
//asmcheck:needs AVX,AVX2
func packAVX2() packFunctions {
	return packFunctions{
		spread: asm.SpreadAVX2, nibbles: asm.PackNibblesAVX2, dwords: asm.PackDwordsAVX2, sums: asm.PackSumsAVX2,
		transpose: asm.TransposeAVX2, orderedNibbles: asm.PackOrderedNibblesAVX2, orderedDwords: asm.PackOrderedDwordsAVX2,
	}
}

// withRest adds to a unit's products what is the same for all of amd64.
//
//asmcheck:needs AVX2,FMA3,F16C
func withRest(f functions) functions {
	f.finish = [4]func(*asm.Output){dtype.F32: asm.FinishF32AVX2, dtype.F16: asm.FinishF16AVX2, dtype.BF16: asm.FinishBF16AVX2}
	f.pack = packAVX2()
	f.fetch, f.fetchRows = asm.Fetch, asm.FetchRows
	return f
}

// withRest512 adds it to those of 512 bits.
//
//asmcheck:needs AVX2,FMA3,F16C,AVX512F,AVX512BW,AVX512DQ,AVX512VL
func withRest512(f functions) functions {
	f = withRest(f)
	f.finish = [4]func(*asm.Output){dtype.F32: asm.FinishF32AVX512, dtype.F16: asm.FinishF16AVX512, dtype.BF16: asm.FinishBF16AVX512}
	return f
}

// vnniCodes4 are the kernels of 4-bit codes for vpdpbusd.
//
//asmcheck:needs AVX2,FMA3,F16C,AVX512F,AVX512BW,AVX512DQ,AVX512VL,AVX512VNNI
func vnniCodes4() integerKernels {
	return integerKernels{
		direct: []step{
			{12, asm.DotW4VNNIx12}, {11, asm.DotW4VNNIx11}, {10, asm.DotW4VNNIx10}, {9, asm.DotW4VNNIx9},
			{8, asm.DotW4VNNIx8}, {7, asm.DotW4VNNIx7}, {6, asm.DotW4VNNIx6}, {5, asm.DotW4VNNIx5},
			{4, asm.DotW4VNNIx4}, {3, asm.DotW4VNNIx3}, {2, asm.DotW4VNNIx2}, {1, asm.DotW4VNNIx1},
		},
		shuffled: []step{
			{12, asm.DotS4VNNIx12}, {11, asm.DotS4VNNIx11}, {10, asm.DotS4VNNIx10},
			{9, asm.DotS4VNNIx9}, {8, asm.DotS4VNNIx8}, {7, asm.DotS4VNNIx7},
		},
		wideFrom: 24,
		unpack:   asm.UnpackW4VNNI,
		wide: []step{
			{6, asm.DotP4VNNIx6}, {5, asm.DotP4VNNIx5}, {4, asm.DotP4VNNIx4},
			{3, asm.DotP4VNNIx3}, {2, asm.DotP4VNNIx2}, {1, asm.DotP4VNNIx1},
		},
		wider: []step{
			{12, asm.DotP4VNNIx12x2}, {11, asm.DotP4VNNIx11x2}, {10, asm.DotP4VNNIx10x2},
			{9, asm.DotP4VNNIx9x2}, {8, asm.DotP4VNNIx8x2}, {7, asm.DotP4VNNIx7x2},
			{6, asm.DotP4VNNIx6x2}, {5, asm.DotP4VNNIx5x2}, {4, asm.DotP4VNNIx4x2},
			{3, asm.DotP4VNNIx3x2}, {2, asm.DotP4VNNIx2x2}, {1, asm.DotP4VNNIx1x2},
		},
		inRegisters: 7,
	}
}

// vnniCodes8 are the kernels of 8-bit codes for vpdpbusd.
//
//asmcheck:needs AVX2,FMA3,F16C,AVX512F,AVX512BW,AVX512DQ,AVX512VL,AVX512VNNI
func vnniCodes8() integerKernels {
	one := []step{
		{12, asm.DotW8VNNIx12}, {11, asm.DotW8VNNIx11}, {10, asm.DotW8VNNIx10}, {9, asm.DotW8VNNIx9},
		{8, asm.DotW8VNNIx8}, {7, asm.DotW8VNNIx7}, {6, asm.DotW8VNNIx6}, {5, asm.DotW8VNNIx5},
		{4, asm.DotW8VNNIx4}, {3, asm.DotW8VNNIx3}, {2, asm.DotW8VNNIx2}, {1, asm.DotW8VNNIx1},
	}
	return integerKernels{
		direct: one,
		shuffled: []step{
			{12, asm.DotS8VNNIx12}, {11, asm.DotS8VNNIx11}, {10, asm.DotS8VNNIx10},
			{9, asm.DotS8VNNIx9}, {8, asm.DotS8VNNIx8}, {7, asm.DotS8VNNIx7},
		},
		wideFrom: 24,
		wide:     one,
		wider: []step{
			{12, asm.DotW8VNNIx12x2}, {11, asm.DotW8VNNIx11x2}, {10, asm.DotW8VNNIx10x2},
			{9, asm.DotW8VNNIx9x2}, {8, asm.DotW8VNNIx8x2}, {7, asm.DotW8VNNIx7x2},
			{6, asm.DotW8VNNIx6x2}, {5, asm.DotW8VNNIx5x2}, {4, asm.DotW8VNNIx4x2},
			{3, asm.DotW8VNNIx3x2}, {2, asm.DotW8VNNIx2x2}, {1, asm.DotW8VNNIx1x2},
		},
		inRegisters: 7,
	}
}

// amxCodes4 and amxCodes8 are those for tiles, behind those for vpdpbusd: few rows
// are a stream of weights, for which tiles do nothing.
//
//asmcheck:needs AVX2,FMA3,F16C,AVX512F,AVX512BW,AVX512DQ,AVX512VL,AVX512VNNI,AVX512VBMI,AMXTILE,AMXINT8
func amxCodes4() integerKernels {
	k := vnniCodes4()
	k.tilesUnpack = asm.UnpackW4AMX
	k.tiles = asm.DotP4AMX
	k.tilesUnits = asm.DotP4AMXx2
	k.tilesFew, k.fewUnits, k.fewTall = asm.DotW4AMX, asm.DotW4AMXx2, asm.DotW4AMXx3
	return k
}

//asmcheck:needs AVX2,FMA3,F16C,AVX512F,AVX512BW,AVX512DQ,AVX512VL,AVX512VNNI,AMXTILE,AMXINT8
func amxCodes8() integerKernels {
	k := vnniCodes8()
	k.tiles = asm.DotW8AMX
	k.tilesUnits = asm.DotW8AMXx2
	k.tilesFew = asm.DotW8AMX
	return k
}

// units are the instruction sets of amd64, best first.
var units = []*unit{
	{
		name: "amx",
		needs: []cpuid.FeatureID{
			cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI,
			cpuid.AVX512BF16, cpuid.AVX512VBMI, cpuid.AMXTILE, cpuid.AMXINT8, cpuid.AMXBF16,
		},
		rows:  rows.AVX512,
		tiles: true,
		few:   [2]string{"vnni", "avx512"},
		four:  offer{true, bytePanel},
		eight: offer{true, bytePanel},
		exact: offer{true, tilePanel},
		functions: withRest512(functions{
			codes4:   amxCodes4(),
			codes8:   amxCodes8(),
			addParts: asm.AddPartsAVX512,
			exact: exactKernels{
				direct: [weightKinds][]step{
					weight4:    {{2, asm.RowsW4AMXx2}, {1, asm.GemvW4AMX}},
					weight8:    {{4, asm.RowsW8AMXx4}, {3, asm.RowsW8AMXx3}, {2, asm.RowsW8AMXx2}, {1, asm.GemvW8AMX}},
					weightBF16: {{4, asm.RowsBF16AMXx4}, {3, asm.RowsBF16AMXx3}, {2, asm.RowsBF16AMXx2}, {1, asm.GemvBF16AMX}},
				},
				unpack: [weightKinds]func(unsafe.Pointer, *asm.Call){
					weight8: asm.UnpackPairsW8AMX,
				},
				tilesFew:   [weightKinds]func(*asm.Call){weight4: asm.GemmW4AMX},
				fewUnits:   [weightKinds]func(*asm.Call){weight4: asm.GemmW4AMXx2},
				fewTall:    [weightKinds]func(*asm.Call){weight4: asm.GemmW4AMXx3},
				tilesUnits: [weightKinds]func(*asm.Call){weight8: asm.GemmAMXx2, weightBF16: asm.GemmBF16AMXx2},
				tiles:      [weightKinds]func(*asm.Call){weight8: asm.GemmAMX, weightBF16: asm.GemmBF16AMX},
			},
		}),
	},
	{
		name: "vnni",
		needs: []cpuid.FeatureID{
			cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI,
		},
		rows:  rows.AVX512,
		four:  offer{true, bytePanel},
		eight: offer{true, bytePanel},
		functions: withRest512(functions{
			codes4: vnniCodes4(),
			codes8: vnniCodes8(),
		}),
	},
	{
		name:  "avxvnni",
		needs: []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVXVNNI},
		rows:  rows.AVX2,
		four:  offer{true, bytePanel},
		eight: offer{true, bytePanel},
		functions: withRest(functions{
			codes4: integerKernels{
				direct: []step{
					{6, asm.DotW4AVXVNNIx6}, {5, asm.DotW4AVXVNNIx5}, {4, asm.DotW4AVXVNNIx4},
					{3, asm.DotW4AVXVNNIx3}, {2, asm.DotW4AVXVNNIx2}, {1, asm.DotW4AVXVNNIx1},
				},
				wideFrom: 12,
				unpack:   asm.UnpackW4AVX2,
				wide: []step{
					{6, asm.DotP4AVXVNNIx6}, {5, asm.DotP4AVXVNNIx5}, {4, asm.DotP4AVXVNNIx4},
					{3, asm.DotP4AVXVNNIx3}, {2, asm.DotP4AVXVNNIx2}, {1, asm.DotP4AVXVNNIx1},
				},
			},
			codes8: integerKernels{
				direct: []step{
					{6, asm.DotW8AVXVNNIx6}, {5, asm.DotW8AVXVNNIx5}, {4, asm.DotW8AVXVNNIx4},
					{3, asm.DotW8AVXVNNIx3}, {2, asm.DotW8AVXVNNIx2}, {1, asm.DotW8AVXVNNIx1},
				},
				wideFrom: 12,
				wide: []step{
					{6, asm.DotW8AVXVNNIx6}, {5, asm.DotW8AVXVNNIx5}, {4, asm.DotW8AVXVNNIx4},
					{3, asm.DotW8AVXVNNIx3}, {2, asm.DotW8AVXVNNIx2}, {1, asm.DotW8AVXVNNIx1},
				},
			},
		}),
	},
	{
		name:  "avx2",
		needs: []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C},
		rows:  rows.AVX2,
		four:  offer{true, bytePanel},
		eight: offer{true, wordPanel},
		functions: withRest(functions{
			codes8: integerKernels{
				direct: []step{
					{6, asm.DotW8AVX2x6}, {5, asm.DotW8AVX2x5}, {4, asm.DotW8AVX2x4},
					{3, asm.DotW8AVX2x3}, {2, asm.DotW8AVX2x2}, {1, asm.DotW8AVX2x1},
				},
				wideFrom: 48,
				unpack:   asm.UnpackW8AVX2,
				wide: []step{
					{6, asm.DotP8AVX2x6}, {5, asm.DotP8AVX2x5}, {4, asm.DotP8AVX2x4},
					{3, asm.DotP8AVX2x3}, {2, asm.DotP8AVX2x2}, {1, asm.DotP8AVX2x1},
				},
			},
			codes4: integerKernels{
				direct: []step{
					{6, asm.DotW4AVX2x6}, {5, asm.DotW4AVX2x5}, {4, asm.DotW4AVX2x4},
					{3, asm.DotW4AVX2x3}, {2, asm.DotW4AVX2x2}, {1, asm.DotW4AVX2x1},
				},
				wideFrom: 48,
				unpack:   asm.UnpackW4AVX2,
				wide: []step{
					{6, asm.DotP4AVX2x6}, {5, asm.DotP4AVX2x5}, {4, asm.DotP4AVX2x4},
					{3, asm.DotP4AVX2x3}, {2, asm.DotP4AVX2x2}, {1, asm.DotP4AVX2x1},
				},
			},
		}),
	},
	{
		name: "bf16",
		needs: []cpuid.FeatureID{
			cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512BF16,
		},
		rows:  rows.AVX512,
		exact: offer{true, pairPanel},
		functions: withRest512(functions{
			exact: exactKernels{
				direct: [weightKinds][]step{
					weight4: {
						{8, asm.RowsW4DPBF16x8}, {7, asm.RowsW4DPBF16x7}, {6, asm.RowsW4DPBF16x6}, {5, asm.RowsW4DPBF16x5},
						{4, asm.RowsW4DPBF16x4}, {3, asm.RowsW4DPBF16x3}, {2, asm.RowsW4DPBF16x2}, {1, asm.GemvW4DPBF16},
					},
					weight8: {
						{8, asm.RowsW8DPBF16x8}, {7, asm.RowsW8DPBF16x7}, {6, asm.RowsW8DPBF16x6}, {5, asm.RowsW8DPBF16x5},
						{4, asm.RowsW8DPBF16x4}, {3, asm.RowsW8DPBF16x3}, {2, asm.RowsW8DPBF16x2}, {1, asm.GemvW8DPBF16},
					},
					weightBF16: {
						{12, asm.RowsBF16DPBF16x12}, {11, asm.RowsBF16DPBF16x11}, {10, asm.RowsBF16DPBF16x10}, {9, asm.RowsBF16DPBF16x9},
						{8, asm.RowsBF16DPBF16x8}, {7, asm.RowsBF16DPBF16x7}, {6, asm.RowsBF16DPBF16x6}, {5, asm.RowsBF16DPBF16x5},
						{4, asm.RowsBF16DPBF16x4}, {3, asm.RowsBF16DPBF16x3}, {2, asm.RowsBF16DPBF16x2}, {1, asm.GemvBF16DPBF16},
					},
				},
				directWider: [weightKinds][]step{
					weight4: {
						{12, asm.RowsW4DPBF16x12x2}, {11, asm.RowsW4DPBF16x11x2}, {10, asm.RowsW4DPBF16x10x2}, {9, asm.RowsW4DPBF16x9x2},
						{8, asm.RowsW4DPBF16x8x2}, {7, asm.RowsW4DPBF16x7x2}, {6, asm.RowsW4DPBF16x6x2},
						{5, asm.RowsW4DPBF16x5x2}, {4, asm.RowsW4DPBF16x4x2},
					},
					weight8: {
						{12, asm.RowsW8DPBF16x12x2}, {11, asm.RowsW8DPBF16x11x2}, {10, asm.RowsW8DPBF16x10x2}, {9, asm.RowsW8DPBF16x9x2},
						{8, asm.RowsW8DPBF16x8x2}, {7, asm.RowsW8DPBF16x7x2}, {6, asm.RowsW8DPBF16x6x2},
						{5, asm.RowsW8DPBF16x5x2}, {4, asm.RowsW8DPBF16x4x2},
					},
					weightBF16: {
						{12, asm.RowsBF16DPBF16x12x2}, {11, asm.RowsBF16DPBF16x11x2}, {10, asm.RowsBF16DPBF16x10x2}, {9, asm.RowsBF16DPBF16x9x2},
						{8, asm.RowsBF16DPBF16x8x2}, {7, asm.RowsBF16DPBF16x7x2},
					},
				},
				// Measured on Zen 5.
				directWiderFrom: [weightKinds]int{weight4: 4, weight8: 4, weightBF16: 14},
				unpackFrom:      [weightKinds]int{weight4: never, weight8: 128, weightBF16: never},
				shares:          [weightKinds]bool{weightBF16: true},
				unpack: [weightKinds]func(unsafe.Pointer, *asm.Call){
					weight4: asm.UnpackPairsW4DPBF16, weight8: asm.UnpackPairsW8DPBF16, weightBF16: asm.UnpackPairsBF16DPBF16,
				},
				gemm: []step{
					{12, asm.GemmDPBF16x12}, {11, asm.GemmDPBF16x11}, {10, asm.GemmDPBF16x10},
					{9, asm.GemmDPBF16x9}, {8, asm.GemmDPBF16x8}, {7, asm.GemmDPBF16x7},
					{6, asm.GemmDPBF16x6}, {5, asm.GemmDPBF16x5}, {4, asm.GemmDPBF16x4},
					{3, asm.GemmDPBF16x3}, {2, asm.GemmDPBF16x2}, {1, asm.GemmDPBF16x1},
				},
				wider: []step{
					{12, asm.GemmDPBF16x12x2}, {11, asm.GemmDPBF16x11x2}, {10, asm.GemmDPBF16x10x2},
					{9, asm.GemmDPBF16x9x2}, {8, asm.GemmDPBF16x8x2}, {7, asm.GemmDPBF16x7x2},
					{6, asm.GemmDPBF16x6x2}, {5, asm.GemmDPBF16x5x2}, {4, asm.GemmDPBF16x4x2},
					{3, asm.GemmDPBF16x3x2}, {2, asm.GemmDPBF16x2x2}, {1, asm.GemmDPBF16x1x2},
				},
			},
		}),
	},
	{
		name: "avx512",
		needs: []cpuid.FeatureID{
			cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL,
		},
		rows:  rows.AVX512,
		exact: offer{true, floatPanel},
		functions: withRest512(functions{
			exact: exactKernels{
				direct: [weightKinds][]step{
					weight4: {
						{8, asm.RowsW4AVX512x8}, {7, asm.RowsW4AVX512x7}, {6, asm.RowsW4AVX512x6}, {5, asm.RowsW4AVX512x5},
						{4, asm.RowsW4AVX512x4}, {3, asm.RowsW4AVX512x3}, {2, asm.RowsW4AVX512x2}, {1, asm.GemvW4AVX512},
					},
					weight8: {
						{8, asm.RowsW8AVX512x8}, {7, asm.RowsW8AVX512x7}, {6, asm.RowsW8AVX512x6}, {5, asm.RowsW8AVX512x5},
						{4, asm.RowsW8AVX512x4}, {3, asm.RowsW8AVX512x3}, {2, asm.RowsW8AVX512x2}, {1, asm.GemvW8AVX512},
					},
					weightF32: {
						{8, asm.RowsF32AVX512x8}, {7, asm.RowsF32AVX512x7}, {6, asm.RowsF32AVX512x6}, {5, asm.RowsF32AVX512x5},
						{4, asm.RowsF32AVX512x4}, {3, asm.RowsF32AVX512x3}, {2, asm.RowsF32AVX512x2}, {1, asm.GemvF32AVX512},
					},
					weightF16: {
						{8, asm.RowsF16AVX512x8}, {7, asm.RowsF16AVX512x7}, {6, asm.RowsF16AVX512x6}, {5, asm.RowsF16AVX512x5},
						{4, asm.RowsF16AVX512x4}, {3, asm.RowsF16AVX512x3}, {2, asm.RowsF16AVX512x2}, {1, asm.GemvF16AVX512},
					},
					weightBF16: {
						{8, asm.RowsBF16AVX512x8}, {7, asm.RowsBF16AVX512x7}, {6, asm.RowsBF16AVX512x6}, {5, asm.RowsBF16AVX512x5},
						{4, asm.RowsBF16AVX512x4}, {3, asm.RowsBF16AVX512x3}, {2, asm.RowsBF16AVX512x2}, {1, asm.GemvBF16AVX512},
					},
				},
				directWider: [weightKinds][]step{
					weight4: {
						{8, asm.RowsW4AVX512x8x2}, {7, asm.RowsW4AVX512x7x2}, {6, asm.RowsW4AVX512x6x2},
						{5, asm.RowsW4AVX512x5x2}, {4, asm.RowsW4AVX512x4x2}, {3, asm.RowsW4AVX512x3x2},
						{2, asm.RowsW4AVX512x2x2}, {1, asm.RowsW4AVX512x1x2},
					},
					weight8: {
						{8, asm.RowsW8AVX512x8x2}, {7, asm.RowsW8AVX512x7x2}, {6, asm.RowsW8AVX512x6x2},
						{5, asm.RowsW8AVX512x5x2}, {4, asm.RowsW8AVX512x4x2}, {3, asm.RowsW8AVX512x3x2},
						{2, asm.RowsW8AVX512x2x2},
					},
					weightF32: {
						{8, asm.RowsF32AVX512x8x2}, {7, asm.RowsF32AVX512x7x2}, {6, asm.RowsF32AVX512x6x2},
						{5, asm.RowsF32AVX512x5x2}, {4, asm.RowsF32AVX512x4x2},
					},
					weightF16: {
						{8, asm.RowsF16AVX512x8x2}, {7, asm.RowsF16AVX512x7x2}, {6, asm.RowsF16AVX512x6x2},
						{5, asm.RowsF16AVX512x5x2}, {4, asm.RowsF16AVX512x4x2},
					},
					weightBF16: {
						{8, asm.RowsBF16AVX512x8x2}, {7, asm.RowsBF16AVX512x7x2}, {6, asm.RowsBF16AVX512x6x2},
						{5, asm.RowsBF16AVX512x5x2}, {4, asm.RowsBF16AVX512x4x2},
					},
				},
				directWiderFrom: [weightKinds]int{weight4: 2, weight8: 2, weightF32: 5, weightF16: 5, weightBF16: 5},
				unpackFrom:      [weightKinds]int{weight4: 22, weight8: 34, weightF32: 128, weightF16: 128, weightBF16: 128},
				unpack: [weightKinds]func(unsafe.Pointer, *asm.Call){
					weight4: asm.UnpackW4AVX512, weight8: asm.UnpackW8AVX512,
					weightF32: asm.UnpackF32AVX512, weightF16: asm.UnpackF16AVX512, weightBF16: asm.UnpackBF16AVX512,
				},
				gemm: []step{
					{12, asm.GemmAVX512x12}, {11, asm.GemmAVX512x11}, {10, asm.GemmAVX512x10},
					{9, asm.GemmAVX512x9}, {8, asm.GemmAVX512x8}, {7, asm.GemmAVX512x7},
					{6, asm.GemmAVX512x6}, {5, asm.GemmAVX512x5}, {4, asm.GemmAVX512x4},
					{3, asm.GemmAVX512x3}, {2, asm.GemmAVX512x2}, {1, asm.GemmAVX512x1},
				},
				wider: []step{
					{12, asm.GemmAVX512x12x2}, {11, asm.GemmAVX512x11x2}, {10, asm.GemmAVX512x10x2},
					{9, asm.GemmAVX512x9x2}, {8, asm.GemmAVX512x8x2}, {7, asm.GemmAVX512x7x2},
					{6, asm.GemmAVX512x6x2}, {5, asm.GemmAVX512x5x2}, {4, asm.GemmAVX512x4x2},
					{3, asm.GemmAVX512x3x2}, {2, asm.GemmAVX512x2x2}, {1, asm.GemmAVX512x1x2},
				},
			},
		}),
	},
	{
		name:  "fma",
		needs: []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C},
		rows:  rows.AVX2,
		exact: offer{true, floatPanel},
		functions: withRest(functions{
			exact: exactKernels{
				direct: [weightKinds][]step{
					weight4: {
						{6, asm.RowsW4FMAx6}, {5, asm.RowsW4FMAx5}, {4, asm.RowsW4FMAx4},
						{3, asm.RowsW4FMAx3}, {2, asm.RowsW4FMAx2}, {1, asm.GemvW4FMA},
					},
					weight8: {
						{6, asm.RowsW8FMAx6}, {5, asm.RowsW8FMAx5}, {4, asm.RowsW8FMAx4},
						{3, asm.RowsW8FMAx3}, {2, asm.RowsW8FMAx2}, {1, asm.GemvW8FMA},
					},
					weightF32: {
						{6, asm.RowsF32FMAx6}, {5, asm.RowsF32FMAx5}, {4, asm.RowsF32FMAx4},
						{3, asm.RowsF32FMAx3}, {2, asm.RowsF32FMAx2}, {1, asm.GemvF32FMA},
					},
					weightF16: {
						{6, asm.RowsF16FMAx6}, {5, asm.RowsF16FMAx5}, {4, asm.RowsF16FMAx4},
						{3, asm.RowsF16FMAx3}, {2, asm.RowsF16FMAx2}, {1, asm.GemvF16FMA},
					},
					weightBF16: {
						{6, asm.RowsBF16FMAx6}, {5, asm.RowsBF16FMAx5}, {4, asm.RowsBF16FMAx4},
						{3, asm.RowsBF16FMAx3}, {2, asm.RowsBF16FMAx2}, {1, asm.GemvBF16FMA},
					},
				},
				unpackFrom: [weightKinds]int{weight4: 22, weight8: 34, weightF32: 128, weightF16: 128, weightBF16: 128},
				unpack: [weightKinds]func(unsafe.Pointer, *asm.Call){
					weight4: asm.UnpackW4FMA, weight8: asm.UnpackW8FMA,
					weightF32: asm.UnpackF32FMA, weightF16: asm.UnpackF16FMA, weightBF16: asm.UnpackBF16FMA,
				},
				gemm: []step{
					{6, asm.GemmFMAx6}, {5, asm.GemmFMAx5}, {4, asm.GemmFMAx4},
					{3, asm.GemmFMAx3}, {2, asm.GemmFMAx2}, {1, asm.GemmFMAx1},
				},
			},
		}),
	},
}
