package cpu

import (
	"slices"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
)

// unit is one instruction set and its kernels. The tables units, one for each
// architecture, are the only places that name assembly.
type unit struct {
	name      string            // ends the names of its kernels
	needs     []cpuid.FeatureID // what the processor must have
	rows      rows.ISA          // for the rows of x
	four      offer             // codes of up to 4 bits times codes
	eight     offer             // codes of up to 8 bits times codes
	exact     offer             // weights times x as it is
	tiles     bool              // many rows are multiplied on tiles
	few       [2]string         // with tiles, what few rows of codes, and of x as it is, are multiplied with
	functions functions
}

// offer says whether a unit has kernels, and for which panels.
type offer struct {
	is   bool
	kind panelKind
}

// functions are a unit's kernels.
type functions struct {
	codes4, codes8 integerKernels
	exact          exactKernels
	pack           packFunctions
	finish         [4]func(*asm.Output)                           // by dtype.DType, sums to outputs; nil: in Go
	addParts       func(y *float32, rows, parts, vectors uintptr) // the sums of parts to those of the first; nil: in Go
	fetch          func(p, lines uintptr)                         // nil: nothing is fetched ahead
	fetchRows      func(p unsafe.Pointer, step, rows uintptr)     // nil: nor are outputs
}

// kernels returns the functions of u. A processor that lacks what they need
// gets none; no layer is made there, since Supports refuses.
func (u *unit) kernels() functions {
	if !cpuid.CPU.Supports(u.needs...) {
		return functions{}
	}
	return u.functions
}

// step is a kernel for a number of rows.
type step struct {
	rows int
	run  func(*asm.Call)
}

// integerKernels multiply codes. The zero value offers nothing.
type integerKernels struct {
	direct   []step // from packed weights, most rows first, the last for one
	shuffled []step // the same for the most of these rows, where the processor is tuned to them; nil: none

	// From so many rows on, a run of blocks is multiplied with all rows before
	// the next one, unpacked first where unpack is not nil, and wide is used
	// instead of direct. 0: never.
	wideFrom int
	unpack   func(dst unsafe.Pointer, c *asm.Call)
	wide     []step // of one tile
	wider    []step // of two tiles; nil: none

	// Kernels of wider for no more rows keep their float sums in registers. 0: these
	// are no kernels of 512 bits, and what tuned has of them does not count.
	inRegisters int

	// The same on tiles, where the panel has such.
	tilesUnpack func(dst unsafe.Pointer, c *asm.Call)
	tiles       func(*asm.Call)
	tilesUnits  func(*asm.Call) // in units of two by two tiles; nil: none
	tilesFew    func(*asm.Call) // of few rows, from packed weights; nil: none
	fewUnits    func(*asm.Call) // likewise in units of two by two tiles; nil: none
	fewTall     func(*asm.Call) // likewise of three by two tiles, 33 to 48 rows; nil: none
}

// exactKernels multiply rows of float32, or of pairs of bfloat16. The arrays are
// indexed by weightKind.
type exactKernels struct {
	direct      [weightKinds][]step // from packed weights, most rows first, the last for one; nil: unpacked for any
	directWider [weightKinds][]step // of two tiles; nil: none

	// From so many rows on, those of two tiles are used.
	directWiderFrom [weightKinds]int

	// Where several calls read the same weights, each fetches its share of the next: memory, which else
	// waits for all calls but the first, takes as long as they do. Where they take much longer, shares cost
	// them 2 to 6 % and bring nothing.
	shares [weightKinds]bool

	// From so many rows on, weights are unpacked once for all of them.
	unpackFrom [weightKinds]int
	unpack     [weightKinds]func(dst unsafe.Pointer, c *asm.Call) // to float32 or to pairs
	gemm       []step                                             // from unpacked weights of one tile, most rows first, the last for one
	wider      []step                                             // of two tiles; nil: none
	tiles      [weightKinds]func(*asm.Call)                       // instead of both, where the panel has tiles; from packed weights where unpack is nil
	tilesUnits [weightKinds]func(*asm.Call)                       // the same in units of two by two tiles; nil: none
	tilesFew   [weightKinds]func(*asm.Call)                       // as of integerKernels
	fewUnits   [weightKinds]func(*asm.Call)
	fewTall    [weightKinds]func(*asm.Call)
}

// weightKind is what lines of a panel hold.
type weightKind uint8

const (
	weight4 weightKind = iota
	weight8
	weightF32
	weightF16
	weightBF16
	weightKinds
)

func (p *panel) weights() weightKind {
	switch {
	case p.bits == 4:
		return weight4
	case p.bits == 8:
		return weight8
	}
	return [...]weightKind{dtype.F32: weightF32, dtype.F16: weightF16, dtype.BF16: weightBF16}[p.plain]
}

// missing names the features that a processor lacks for u.
func (u *unit) missing(has []string) []string {
	var m []string
	for _, f := range u.needs {
		if !slices.Contains(has, f.String()) {
			m = append(m, f.String())
		}
	}
	return m
}
