package asm

import "github.com/klauspost/cpuid/v2"

// Call is what a function works on.
type Call struct {
	W     *byte
	Turns uintptr
	X     uint32
	Y     *float32
}

// NeedsAVX2 is a list with a name.
var NeedsAVX2 = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C}
