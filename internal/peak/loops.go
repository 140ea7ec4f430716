package peak

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// readTurn is what a turn of a read loop reads, probeBytes the memory of a
// probe.
const readTurn, probeBytes = 512, 8192

// loop is a function on memory.
type loop struct {
	name  string
	needs []cpuid.FeatureID
	run   func(p *byte, bytes uintptr)
}

// probing is what a Probe runs. Both of its loops leave the core at the same
// clock.
type probing struct {
	name  string
	needs []cpuid.FeatureID
	wide  bool // of 512 bits
	busy  func(p *byte, turns uintptr)
	chain func(turns uintptr)
}

// Read reads b from its first byte to its last, but for a rest below 512 bytes,
// and returns what it read.
func Read(b []byte) int {
	n := len(b) / readTurn * readTurn
	if n > 0 {
		reader(unsafe.SliceData(b), uintptr(n))
	}
	return n
}

// A Probe is two loops that say whether a core is undisturbed, and at what clock
// it runs. It is used by one goroutine at a time.
type Probe struct {
	memory []byte
	run    *probing
}

// NewProbe returns a Probe; wide, one whose loops have instructions of 512
// bits, where the processor has such: many processors have a lower clock for as
// long as these are no further than some 100 µs behind, and halt for some 10 µs
// when it changes.
func NewProbe(wide bool) *Probe {
	b := make([]byte, probeBytes+64)
	clear(b) // written to: pages that are only read are all one page of zeros
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % 64
	return &Probe{b[skip:][:probeBytes], pickProbe(wide)}
}

// Loop keeps the load, multiply and integer ports of the core busy from its
// first cache, so that whatever else the core does makes it slower: another
// thread of the same core, an interrupt, a lower clock. It does at least n
// vector instructions, n above 0, and returns how many.
func (p *Probe) Loop(n int) int {
	turns := max(1, (n+probeTurn-1)/probeTurn)
	p.run.busy(unsafe.SliceData(p.memory), uintptr(turns))
	return turns * probeTurn
}

// Cycles takes at least n cycles of the core's clock, n above 0, and returns
// how many: additions that wait for each other, one a cycle on every core.
// Another program on the same core does not make it slower unless it takes the
// core's whole time.
func (p *Probe) Cycles(n int) int {
	turns := max(1, (n+chainTurn-1)/chainTurn)
	p.run.chain(uintptr(turns))
	return turns * chainTurn
}

var reader, readerName = pickReader()

// Loops says what Read and a Probe's Loop do on this processor.
func Loops() (read, probe string) { return readerName, pickProbe(false).name }

// The first of a list that the processor can run is taken.

func pickReader() (run func(p *byte, bytes uintptr), name string) {
	for _, l := range readers {
		if cpuid.CPU.Supports(l.needs...) {
			return l.run, l.name
		}
	}
	return nil, ""
}

func pickProbe(wide bool) *probing {
	for _, l := range probes {
		if (wide || !l.wide) && cpuid.CPU.Supports(l.needs...) {
			return &l
		}
	}
	return nil
}
