package asm

import (
	"testing"

	"github.com/klauspost/cpuid/v2"
)

func init() {
	rowTiers = append(rowTiers, rowTier{
		needs:  needsAVX2,
		divide: RowDivideAVX2, divideRound: RowDivideRoundAVX2, asym: RowAsymAVX2, groups: RowGroupsAVX2, flat: RowFlatAVX2,
		widen: RowWidenAVX2, ends: RowEndsAVX2, round: RowRoundAVX2, words: RowWordsAVX2,
		gather16: RowGather16AVX2, gather32: RowGather32AVX2, product: RowProductAVX2,
	})
}

func TestRowProductsOf32(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	testProducts(t, RowProductAVX512, 32)
}
