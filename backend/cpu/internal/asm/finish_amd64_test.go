package asm

import (
	"testing"

	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/dtype"
)

func TestFinishAVX2(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.F16C) {
		t.Skip("the processor lacks AVX2 or F16C")
	}
	testFinish(t, map[dtype.DType]func(*Output){dtype.F32: FinishF32AVX2, dtype.F16: FinishF16AVX2, dtype.BF16: FinishBF16AVX2})
}
