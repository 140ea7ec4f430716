package cpu

import (
	"slices"

	"github.com/klauspost/cpuid/v2"
)

// tuned is how far ahead, in bytes, kernels of one row fetch packed weights on
// a family of processors; 0: they do not.
type tuned struct {
	name     string
	vendor   cpuid.Vendor
	family   int
	models   []int // the upper four bits of each; nil: all
	byWeight [weightKinds]uintptr
}

// every is one distance for all weights.
func every(bytes uintptr) (a [weightKinds]uintptr) {
	for i := range a {
		a[i] = bytes
	}
	return a
}

// tunings has what was measured (docs/measurements/cpu.md): the first that fits
// a processor counts, and defaultAhead for one that none fits.
var tunings = []tuned{
	{name: "Zen 4", vendor: cpuid.AMD, family: 25, models: []int{1, 6, 7, 10}, byWeight: every(0)}, // fetching costs 5 to 20 %
	{name: "Zen 3", vendor: cpuid.AMD, family: 25, byWeight: every(2048)},
	{name: "Cascade Lake", vendor: cpuid.Intel, family: 6, models: []int{5}, byWeight: every(4096)}, // gains a third
}

const defaultAhead = 2048

// fetchAhead is the distance for a processor.
func fetchAhead(vendor cpuid.Vendor, family, model int, w weightKind) uintptr {
	for _, t := range tunings {
		if t.vendor == vendor && t.family == family && (t.models == nil || slices.Contains(t.models, model>>4)) {
			return t.byWeight[w]
		}
	}
	return defaultAhead
}
