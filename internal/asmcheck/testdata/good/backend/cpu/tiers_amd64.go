package cpu

import (
	"github.com/klauspost/cpuid/v2"

	"example.com/good/backend/cpu/internal/asm"
)

type tier struct {
	Name  string
	Needs []cpuid.FeatureID
	Dot   [5]func(*asm.Call)
}

var tiers = []tier{
	{Name: "avx512", Needs: []cpuid.FeatureID{cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512VNNI}, Dot: [5]func(*asm.Call){1: asm.DotVNNIx1}},
	{Name: "avxvnni", Needs: []cpuid.FeatureID{cpuid.AVXVNNI}, Dot: [5]func(*asm.Call){1: asm.DotAVXVNNIx1}},
	{Name: "avx2", Needs: asm.NeedsAVX2, Dot: [5]func(*asm.Call){1: dotWide, 4: asm.DotAVX2x4}},
}

// dotWide runs one row.
//
//asmcheck:needs AVX2,FMA3,F16C
func dotWide(c *asm.Call) { asm.DotAVX2x1(c) }

func (t *tier) usable(masked string) bool {
	return cpuid.CPU.Supports(t.Needs...) && t.Name != masked
}

func (t *tier) String() string { return "tier " + t.Name }

// names lists all tiers, whether they can run or not.
func names() (list []string) {
	for i := range tiers {
		t := &tiers[i]
		list = append(list, t.String())
	}
	return list
}

// best returns the first tier that can run.
func best(masked string) *tier {
	for i := range tiers {
		if t := &tiers[i]; t.usable(masked) {
			return t
		}
	}
	return nil
}

// run runs the best.
func run(c *asm.Call) {
	if t := best(""); t != nil {
		t.Dot[1](c)
	}
}

// plain returns the first that can run, unmasked.
func plain() func(*asm.Call) {
	for _, t := range tiers {
		if !cpuid.CPU.Supports(t.Needs...) {
			continue
		}
		return t.Dot[1]
	}
	return nil
}

// Dot is not from a table.
func Dot(c *asm.Call) {
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3) && cpuid.CPU.Has(cpuid.F16C) {
		asm.DotAVX2x1(c)
	}
}
