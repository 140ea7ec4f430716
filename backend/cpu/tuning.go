package cpu

import (
	"slices"

	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/internal/peak"
)

// tuned is what differs between processors for the same kernels.
type tuned struct {
	name   string
	vendor cpuid.Vendor
	family int
	models []int // the upper four bits of each; nil: all
	amx    bool  // those with AMX alone, whatever model a hypervisor gives out

	// How far ahead, in bytes, kernels of one row fetch packed weights, and those of two
	// and three and exact ones of few; 0: they do not.
	ahead [weightKinds]uintptr

	// The same for integer kernels of 512 bits for one and two rows; 0: as others of few.
	aheadTwo uintptr

	// The same for those for more than three rows; 0: aheadOfRows, and where a call
	// does for all rows, what kernels fetch of the next tile while they multiply besides: else
	// they fetch what they read again, which is there.
	aheadRows uintptr

	// The same for plain weights with the sums of tiles; 0: as others.
	aheadTiles uintptr

	// Integer sums of fewer features go to kernels that keep their float sums in
	// registers, if a unit has them, though those of more rows take fewer calls.
	shortSum int

	// From so many rows on, integer kernels of 512 bits go run by run, by weight; 0:
	// as the unit has it. More than half of the rows of a portion, but never, would divide some
	// numbers of rows into portions that unpack and portions that do not.
	wideFrom [weightKinds]int

	// The same for exact ones with rows of float32, which unpack weights then, and from how
	// many on those of 512 bits take two tiles at once before that.
	unpackFrom, directWiderFrom [weightKinds]int

	// Integer kernels of 512 bits for seven rows and more shuffle x of some rows into lanes, if a
	// unit has such: a processor that begins as many loads in a cycle as products, and shuffles
	// elsewhere. Where two units do both, shuffles take the place of products.
	shuffled bool

	// Exact products go to FMA of 512 bits rather than to vdpbf16ps: this does twice as
	// many in an instruction, and a processor may do half or a quarter as many of them.
	floatsFirst bool

	// Rows in another order are quantized with gathers of 512 bits (rows.Form). By published
	// tables of instructions Zen 4 does one in more time than the 16 loads, and microcode
	// against Gather Data Sampling slows them on processors of Intel before these.
	gathers bool
}

// every is one distance for all weights.
func every(bytes uintptr) (a [weightKinds]uintptr) {
	for i := range a {
		a[i] = bytes
	}
	return a
}

// tunings has what was measured (docs/measurements/cpu.md): the first that fits
// a processor counts, and untuned for one that none fits.
var tunings = []tuned{
	{
		// Lines come at 40 GB/s to a core; gathers of 512 bits take twice as long as 16 loads.
		name: "Zen 5", vendor: cpuid.AMD, family: 26,
		ahead: every(9728), aheadTwo: 7168, aheadRows: 9728, wideFrom: [weightKinds]int{weight4: never, weight8: never},
		unpackFrom:      [weightKinds]int{weight4: never, weight8: 128, weightF32: never, weightF16: never, weightBF16: never},
		shuffled:        true,
		directWiderFrom: [weightKinds]int{weight4: 1}, // sums of one tile wait for each other longer than for memory
	},
	{name: "Zen 4", vendor: cpuid.AMD, family: 25, models: []int{1, 6, 7, 10}, ahead: every(0)}, // fetching costs 5 to 20 %
	{name: "Zen 3", vendor: cpuid.AMD, family: 25, ahead: every(2048)},
	{
		name: "Sapphire Rapids or later", vendor: cpuid.Intel, family: 6, amx: true,
		ahead: every(2560), aheadTiles: 4096, shortSum: longestSum, wideFrom: [weightKinds]int{weight4: 40, weight8: 13}, // Granite Rapids
		unpackFrom: [weightKinds]int{weight8: 24, weightF16: 24, weightBF16: 24}, floatsFirst: true, gathers: true,
	},
	{name: "Cascade Lake", vendor: cpuid.Intel, family: 6, models: []int{5}, ahead: every(4096)}, // gains a third
}

var untuned = tuned{ahead: every(2048)}

// aheadOfRows is how far ahead integer kernels of 512 bits for more than three rows fetch: eight
// rows were a fifth faster with it on Zen 4.
const aheadOfRows = 4608

// tuningOf is what a processor is tuned to.
func tuningOf(c peak.Core) *tuned {
	for i := range tunings {
		t := &tunings[i]
		if t.vendor == c.Vendor && t.family == c.Family && (t.models == nil || slices.Contains(t.models, c.Model>>4)) && (c.AMX || !t.amx) {
			return t
		}
	}
	return &untuned
}
