package cpu

import "github.com/klauspost/cpuid/v2"

// tiers are the steps of arm64, best first.
var tiers = []tier{
	{"i8mm", []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP, cpuid.I8MM}},
	{"dotprod", []cpuid.FeatureID{cpuid.ASIMD, cpuid.ASIMDDP}},
	{"neon", []cpuid.FeatureID{cpuid.ASIMD}},
}

// units are the instruction sets of arm64, best first.
var units []*unit
