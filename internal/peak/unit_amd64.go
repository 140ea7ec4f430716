package peak

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/internal/amx"
)

var candidates = []candidate{
	{
		unit:    Unit{Name: "amx", Instruction: "tdpbssd", Type: "int8", Ops: 2 * 16 * 16 * 64, Wide: true},
		allowed: amx.Allowed,
		needs:   []cpuid.FeatureID{cpuid.AMXINT8, cpuid.AMXTILE, cpuid.AVX2}, run: Int8AMX, each: 24,
	},
	{
		unit:    Unit{Name: "amxbf16", Instruction: "tdpbf16ps", Type: "bfloat16", Ops: 2 * 16 * 16 * 32, Wide: true},
		allowed: amx.Allowed,
		needs:   []cpuid.FeatureID{cpuid.AMXBF16, cpuid.AMXTILE, cpuid.AVX2}, run: FloatAMX, each: 24,
	},
	{
		unit:  Unit{Name: "vnni", Instruction: "vpdpbusd zmm", Type: "int8", Ops: 128, Wide: true},
		needs: []cpuid.FeatureID{cpuid.AVX512VNNI}, run: Int8VNNI, each: 24,
	},
	{
		unit:  Unit{Name: "vnni256", Instruction: "vpdpbusd ymm", Type: "int8", Ops: 64},
		needs: []cpuid.FeatureID{cpuid.AVX512VNNI, cpuid.AVX512VL}, run: Int8VNNI256, each: 24,
	},
	{
		unit:  Unit{Name: "avxvnni", Instruction: "vpdpbusd ymm, VEX", Type: "int8", Ops: 64},
		needs: []cpuid.FeatureID{cpuid.AVXVNNI, cpuid.AVX2}, run: Int8AVXVNNI, each: 24,
	},
	{
		unit:  Unit{Name: "maddubs", Instruction: "vpmaddubsw ymm", Type: "int8", Ops: 64},
		needs: []cpuid.FeatureID{cpuid.AVX2}, run: Int8AVX2, each: 24,
	},
	{
		unit:  Unit{Name: "maddubs-wd", Instruction: "vpmaddubsw + vpmaddwd ymm", Type: "int8", Ops: 64},
		needs: []cpuid.FeatureID{cpuid.AVX2}, run: Int8PairAVX2, each: 12,
	},
	{
		unit:  Unit{Name: "fma", Instruction: "vfmadd231ps ymm", Type: "float32", Ops: 16},
		needs: []cpuid.FeatureID{cpuid.FMA3, cpuid.AVX2}, run: FloatFMA, each: 24,
	},
	{
		unit:  Unit{Name: "fma512", Instruction: "vfmadd231ps zmm", Type: "float32", Ops: 32, Wide: true},
		needs: []cpuid.FeatureID{cpuid.AVX512F}, run: FloatAVX512, each: 24,
	},
	{
		unit:  Unit{Name: "bf16", Instruction: "vdpbf16ps zmm", Type: "bfloat16", Ops: 64, Wide: true},
		needs: []cpuid.FeatureID{cpuid.AVX512BF16, cpuid.AVX512F}, run: FloatBF16, each: 24,
	},
}
