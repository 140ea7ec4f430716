package peak

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// readTurn is what a turn of a read loop reads, probeBytes the memory of a
// probe.
const readTurn, probeBytes = 512, 8192

// loop is a function on memory: n is in bytes, or in turns.
type loop struct {
	name  string
	needs []cpuid.FeatureID
	run   func(p *byte, n uintptr)
}

// Cycles takes at least n cycles of the core's clock, n above 0, and returns
// how many: additions that wait for each other, one a cycle on every core.
// Another program on the same core does not make it slower unless it takes the
// core's whole time.
func Cycles(n int) int {
	turns := max(1, (n+chainTurn-1)/chainTurn)
	chain(uintptr(turns))
	return turns * chainTurn
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

// A Probe is a loop that keeps the load, multiply and integer ports of a core
// busy from its first cache, so that whatever else the core does makes it
// slower: another thread of the same core, an interrupt, a lower clock. It is
// used by one goroutine at a time.
type Probe struct{ memory []byte }

// NewProbe returns a Probe.
func NewProbe() *Probe {
	b := make([]byte, probeBytes+64)
	clear(b) // written to: pages that are only read are all one page of zeros
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % 64
	return &Probe{b[skip:][:probeBytes]}
}

// Loop does at least n vector instructions, n above 0, and returns how many.
func (p *Probe) Loop(n int) int {
	turns := max(1, (n+probeTurn-1)/probeTurn)
	prober(unsafe.SliceData(p.memory), uintptr(turns))
	return turns * probeTurn
}

var (
	reader, readerName = pickReader()
	prober, proberName = pickProbe()
)

// Loops says what Read and Probe do on this processor.
func Loops() (read, probe string) { return readerName, proberName }

// The first of a list that the processor can run is taken.

func pickReader() (run func(p *byte, n uintptr), name string) {
	for _, l := range readers {
		if cpuid.CPU.Supports(l.needs...) {
			return l.run, l.name
		}
	}
	return nil, ""
}

func pickProbe() (run func(p *byte, n uintptr), name string) {
	for _, l := range probes {
		if cpuid.CPU.Supports(l.needs...) {
			return l.run, l.name
		}
	}
	return nil, ""
}
