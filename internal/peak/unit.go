package peak

import "github.com/klauspost/cpuid/v2"

// A Unit is one way in which a processor multiplies: a loop of independent
// instructions of one kind, on registers.
type Unit struct {
	Name        string   // "vnni", "fma512", ...: stable
	Instruction string   // what the loop does, for people
	Type        string   // of the factors: "int8", "float32" or "bfloat16"
	Ops         int      // operations of one instruction: a product and its sum are two
	Wide        bool     // its instructions have 512 bits, for which many processors lower their clock
	Missing     []string // features that this processor lacks; none: Loop may be called

	run  func(turns uintptr)
	each int // instructions in a turn
}

// Loop does at least n instructions, n above 0, and returns how many. Where
// something is Missing it does none.
func (u *Unit) Loop(n int) int {
	if u.run == nil || n < 1 {
		return 0
	}
	turns := (n + u.each - 1) / u.each
	u.run(uintptr(turns))
	return turns * u.each
}

// candidate is a Unit and what it needs.
type candidate struct {
	unit    Unit
	allowed func() bool // by the system; nil: it has no say
	needs   []cpuid.FeatureID
	run     func(turns uintptr)
	each    int
}

// Units lists the units that kernels of this architecture use, those that the
// processor lacks too.
func Units() []Unit {
	var units []Unit
	for _, c := range candidates {
		u := c.unit
		for _, f := range c.needs {
			if !cpuid.CPU.Supports(f) {
				u.Missing = append(u.Missing, f.String())
			}
		}
		if u.Missing == nil && c.allowed != nil && !c.allowed() {
			u.Missing = []string{"the system's leave"}
		}
		if u.Missing == nil && cpuid.CPU.Supports(c.needs...) {
			u.run, u.each = c.run, c.each
		}
		units = append(units, u)
	}
	return units
}
