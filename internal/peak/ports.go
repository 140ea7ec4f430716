package peak

import "github.com/klauspost/cpuid/v2"

// Core is a processor's design, as its vendor numbers it.
type Core struct {
	Vendor cpuid.Vendor
	Family int
	Model  int
	AMX    bool // it has tiles of 64 by 16 bytes; of Intel's, those from Sapphire Rapids on, whatever model a hypervisor gives out
}

// ThisCore returns the design of the processor that the program runs on.
func ThisCore() Core {
	return Core{cpuid.CPU.VendorID, cpuid.CPU.Family, cpuid.CPU.Model, cpuid.CPU.Supports(cpuid.AMXTILE)}
}

// Rate is how many instructions of a unit a core does in a cycle.
type Rate struct {
	PerCycle []float64 // what a core of this design does; several where its products differ
	Known    bool      // from the table; otherwise any whole number, or a half, is taken as right
}

// unknown are the rates that any core could have: its ports are whole, and
// where a port takes an instruction in two halves there may be one of them.
var unknown = Rate{PerCycle: []float64{0.5, 1, 2, 3, 4}}

// unknownTiles is what every core with tiles did so far: 16 rows, one in a cycle.
var unknownTiles = Rate{PerCycle: []float64{1.0 / 16}}

// Closest returns the rate of r that is nearest to measured, by ratio, and
// whether measured is within tolerance of it.
func (r Rate) Closest(measured, tolerance float64) (rate float64, within bool) {
	best := -1.0
	for _, p := range r.PerCycle {
		if off := max(p/measured, measured/p); best < 0 || off < best {
			best, rate = off, p
		}
	}
	return rate, rate > 0 && measured >= rate*(1-tolerance) && measured <= rate*(1+tolerance)
}

// design is a family of cores with the rates of its units.
type design struct {
	name   string
	vendor cpuid.Vendor
	family int
	models [][2]int // ranges, ends included
	amx    bool     // and all with AMX
	rates  map[string][]float64
}

// The rates per cycle of vector instructions on registers, by core design.
//
// Two rates stand where a design is sold with one or two 512-bit multipliers,
// or with 256-bit ones that do each 512-bit instruction in two cycles. Zen 3
// and Zen 4 were measured with the loops of this package or with loops like
// them; Cascade Lake likewise, on a model with two; Granite Rapids stands for those
// from Sapphire Rapids on, which have AMX and come before models in the table. The others are as their
// vendors' optimization guides have them. What is left out was not known to us.
var designs = []design{
	{"Sapphire Rapids or later", cpuid.Intel, 6, [][2]int{{143, 143}, {173, 174}, {207, 207}}, true, map[string][]float64{
		"amx": {1.0 / 16}, "amxbf16": {1.0 / 16}, "fma": {2}, "fma512": {2}, "vnni": {2}, "vnni256": {2}, "avxvnni": {2}, "bf16": {0.5, 1}, "maddubs": {2}, "maddubs-wd": {1},
	}},
	{"Zen 2", cpuid.AMD, 23, [][2]int{{0x30, 0xff}}, false, map[string][]float64{"fma": {2}}},
	{"Zen 3", cpuid.AMD, 25, [][2]int{{0x00, 0x0f}, {0x20, 0x5f}}, false, map[string][]float64{
		"fma": {2}, "maddubs": {2}, "maddubs-wd": {1},
	}},
	{"Zen 4", cpuid.AMD, 25, [][2]int{{0x10, 0x1f}, {0x60, 0xaf}}, false, map[string][]float64{
		"fma": {2}, "fma512": {1}, "vnni": {1}, "vnni256": {2}, "bf16": {1}, "maddubs": {2}, "maddubs-wd": {1},
	}},
	{"Zen 5", cpuid.AMD, 26, [][2]int{{0x00, 0xff}}, false, map[string][]float64{
		"fma": {2}, "fma512": {1, 2}, "vnni": {1, 2}, "vnni256": {2}, "avxvnni": {2}, "bf16": {1, 2}, "maddubs": {2}, "maddubs-wd": {1},
	}},
	{"Haswell or Broadwell", cpuid.Intel, 6, [][2]int{{60, 61}, {63, 63}, {69, 71}, {79, 79}, {86, 86}}, false, map[string][]float64{
		"fma": {2}, "maddubs": {1}, "maddubs-wd": {0.5},
	}},
	{"Skylake", cpuid.Intel, 6, [][2]int{{78, 78}, {94, 94}, {142, 142}, {158, 158}, {165, 166}}, false, map[string][]float64{
		"fma": {2}, "maddubs": {2}, "maddubs-wd": {1},
	}},
	{"Skylake-X, Cascade Lake or Cooper Lake", cpuid.Intel, 6, [][2]int{{85, 85}}, false, map[string][]float64{
		"fma": {2}, "fma512": {1, 2}, "vnni": {1, 2}, "vnni256": {2}, "maddubs": {2}, "maddubs-wd": {1},
	}},
	{"Ice Lake server", cpuid.Intel, 6, [][2]int{{106, 106}, {108, 108}}, false, map[string][]float64{
		"fma": {2}, "fma512": {1, 2}, "vnni": {1, 2}, "vnni256": {2}, "maddubs": {2}, "maddubs-wd": {1},
	}},
}

// Rate returns what a unit does on cores like c.
func (c Core) Rate(unit string) Rate {
	if d := c.design(); d != nil && d.rates[unit] != nil {
		return Rate{d.rates[unit], true}
	}
	if unit == "amx" || unit == "amxbf16" {
		return unknownTiles
	}
	return unknown
}

// Design returns the name of the core's design, "" where the table has none.
func (c Core) Design() string {
	if d := c.design(); d != nil {
		return d.name
	}
	return ""
}

func (c Core) design() *design {
	for i, d := range designs {
		if d.vendor != c.Vendor || d.family != c.Family {
			continue
		}
		if d.amx && c.AMX {
			return &designs[i]
		}
		for _, m := range d.models {
			if c.Model >= m[0] && c.Model <= m[1] {
				return &designs[i]
			}
		}
	}
	return nil
}
