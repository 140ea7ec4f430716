package cuda

import (
	"embed"
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/dtype"
)

//go:embed *.ptx
var files embed.FS

// A Family is a kind of kernel: see the package's text.
type Family uint8

// The families.
const (
	Stream Family = iota // few tokens
	Tile                 // many tokens
	Finish               // adds the sums of slices
	Gather               // puts x into packed order
	Expand               // makes codes numbers of x's type
)

// Sizes of packed weights.
const (
	Unit         = 32 // features of a unit
	BrickOutputs = 32 // outputs of a brick; N is padded to it
)

// BrickBytes is the size of a brick of codes of that many bits.
func BrickBytes(bits int) int { return 128 * bits }

// A Kernel is one entry of a module.
type Kernel struct {
	Name          string // of the entry
	Module        string // as PTX and Modules have it
	Family        Family
	Bits          int         // of a code, 16: plain weights; 0 for Finish and Gather
	X             dtype.DType // F16 or BF16; Finish and Gather take any
	Tokens        int         // of a block
	Mapped        bool        // a Stream kernel that reads x through the map
	Outputs       int         // of a block; for Stream, of a warp
	Threads       int         // of a block; for Stream, the most there may be
	Shared        int         // bytes of dynamic shared memory of a block; 0 for Stream
	SharedPerWarp int         // bytes for each warp of a block; 0 but for Stream
	Registers     int         // of a thread, at most: the gate in internal/ci/ptxgate holds it to that
}

// Modules gives the names of the PTX files, sorted. A layer needs one of them.
func Modules() []string {
	var names []string
	for _, bits := range []int{2, 3, 4, 8, 16} {
		for _, x := range []dtype.DType{dtype.BF16, dtype.F16} {
			names = append(names, ModuleName(bits, x))
		}
	}
	return names
}

// ModuleName is the module for weights of that many bits and x of that type, such as
// "w4_f16". 16 bits are plain weights of x's type.
func ModuleName(bits int, x dtype.DType) string {
	if x == dtype.BF16 {
		return fmt.Sprintf("w%d_bf16", bits)
	}
	return fmt.Sprintf("w%d_f16", bits)
}

// PTX gives a module's text. It panics unless Modules has the name. The bytes
// are a copy.
func PTX(module string) []byte {
	if !slices.Contains(Modules(), module) {
		panic("kernels/cuda: no module " + module)
	}
	b, err := files.ReadFile(module + ".ptx")
	if err != nil {
		panic(err)
	}
	return b
}

// Kernels lists every entry of every module.
func Kernels() []Kernel {
	var all []Kernel
	for _, bits := range []int{2, 3, 4, 8, 16} {
		for _, x := range []dtype.DType{dtype.BF16, dtype.F16} {
			all = append(all, moduleKernels(bits, x)...)
		}
	}
	return all
}

// moduleKernels repeats what the sources' templates compute; tests and the gate
// compare the two.
func moduleKernels(bits int, x dtype.DType) []Kernel {
	module := ModuleName(bits, x)
	brick := BrickBytes(bits)
	stages, step := 2, 2 // of a warp's ring, and units of a step
	switch bits {
	case 2:
		step = 4
	case 3:
		stages = 3
	case 8, 16:
		step = 1
	}
	const streamSlot, tileSlot = 6 * 64, 6 * 128
	var all []Kernel
	for _, s := range []struct {
		tokens, threads, registers int
		mapped                     bool
	}{
		{8, 768, 80, false}, {16, 512, 128, false}, {32, 384, 168, false}, {8, 512, 128, true}, {16, 384, 168, true},
	} {
		name := fmt.Sprintf("%s_n%d", module, s.tokens)
		if s.mapped {
			name += "_gather"
		}
		all = append(all, Kernel{
			Name: name, Module: module, Family: Stream, Bits: bits, X: x, Tokens: s.tokens, Mapped: s.mapped,
			Outputs: 64, Threads: s.threads, SharedPerWarp: stages * step * (2*brick + streamSlot), Registers: s.registers,
		})
	}
	for _, tokens := range []int{64, 128} {
		stages, registers := 4, 255
		if tokens == 64 {
			stages, registers = 6, 168
		}
		switch bits {
		case 8:
			stages--
		case 16:
			stages = 3
		}
		all = append(all, Kernel{
			Name: fmt.Sprintf("%s_t%d", module, tokens), Module: module, Family: Tile, Bits: bits, X: x, Tokens: tokens,
			Outputs: 128, Threads: 128, Shared: stages * (64*tokens + 4*brick + tileSlot), Registers: registers,
		})
	}
	if bits < 16 {
		all = append(all, Kernel{Name: "expand", Module: module, Family: Expand, Bits: bits, X: x, Outputs: 32, Threads: 128, Registers: 64})
	}
	return append(all,
		Kernel{Name: "finish", Module: module, Family: Finish, Tokens: 1, Outputs: 128, Threads: 128, Registers: 40},
		Kernel{Name: "gather", Module: module, Family: Gather, Tokens: 1, Threads: 128, Registers: 40},
	)
}
