package asm

import (
	"testing"

	"github.com/klauspost/cpuid/v2"
)

func init() {
	kernels = append(kernels,
		kernel{name: "DotAVX2x1", needs: NeedsAVX2, run: DotAVX2x1},
		kernel{name: "DotVNNI256x1", needs: []cpuid.FeatureID{cpuid.AVX512VL, cpuid.AVX512VNNI}, run: DotVNNI256x1},
	)
}

func TestAlone(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX512BF16) || testing.Short() {
		t.Skip("no BF16")
	}
	PlainBF16x1(&Call{})
}
