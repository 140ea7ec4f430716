package cpu

import (
	"github.com/klauspost/cpuid/v2"

	"example.com/good/backend/cpu/internal/asm"
)

type tier struct {
	Name  string
	Needs []cpuid.FeatureID
	Dot   func(*asm.Call)
}

var tiers = []tier{
	{Name: "i8mm", Needs: []cpuid.FeatureID{cpuid.I8MM}, Dot: asm.DotI8MMx1},
	{Name: "dotprod", Needs: []cpuid.FeatureID{cpuid.ASIMDDP}, Dot: asm.DotDotProdx1},
	{Name: "neon", Dot: asm.DotNEONx1},
}

// dot returns the first that can run.
func dot() func(*asm.Call) {
	for _, t := range tiers {
		if cpuid.CPU.Supports(t.Needs...) {
			return t.Dot
		}
	}
	return asm.DotNEONx1
}

// dotWide runs one row.
func dotWide(c *asm.Call) { asm.DotNEONx1(c) }

// Twice runs one row twice.
func Twice(c *asm.Call) { both(c) }
