package asm

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
)

var casesFlag = flag.Int("cases", 0, "random problems for each integer kernel, and few long ones; 0: 600, 150 in short runs")

// family is what kernels have in common that can be given the same problems.
type family struct {
	bits       int
	wide, less bool
	tiles      int
	ends       bool
}

func (k kernel) family() family { return family{k.bits, k.wide, k.less, k.tiles, k.ends} }

// String names k, with its rows where its name does not.
func (k kernel) String() string {
	if k.tiles > 0 {
		return fmt.Sprintf("%s/rows=%d,columns=%d,features=%d", k.name, k.rows, k.columns, k.tiles)
	}
	return k.name
}

// problems are those of a family, for as many rows and columns as any of its kernels has.
type problems struct{ random, long, extreme []*problem }

func newProblems(f family) *problems {
	k, cases := kernel{bits: f.bits, wide: f.wide, less: f.less, tiles: f.tiles, ends: f.ends}, 600
	for _, other := range integerKernels {
		if other.family() == f && other.runs() {
			k.rows, k.columns = max(k.rows, other.rows), max(k.columns, other.columns)
		}
	}
	switch {
	case *casesFlag > 0:
		cases = *casesFlag
	case testing.Short():
		cases = 150
	}
	rng, all := rand.New(rand.NewPCG(5, 6)), &problems{}
	for range cases {
		all.random = append(all.random, randomProblem(rng, k))
	}
	for _, s := range longShapes(k) {
		all.long = append(all.long, s.fill(rng))
	}
	all.extreme = extremes(rng, k)
	return all
}

// Random problems of every form, and some that are long. Each kernel is given rows and
// columns of the problems of its family, so that the model runs once for all: under
// emulators it takes most of the time.
func TestIntegerKernels(t *testing.T) {
	if len(integerKernels) == 0 {
		t.Skip("no kernels for this architecture")
	}
	of := map[family]*problems{}
	for i, k := range integerKernels {
		t.Run(k.String(), func(t *testing.T) {
			if !k.runs() {
				t.Skipf("the processor lacks one of %v", k.needs)
			}
			all := of[k.family()]
			if all == nil {
				all = newProblems(k.family())
				of[k.family()] = all
			}
			rng, m := rand.New(rand.NewPCG(5, uint64(i))), newMemory(t)
			for _, p := range all.random {
				m.run(rng, p, p.anyPart(rng, k))
			}
			for j, p := range all.long {
				if *casesFlag == 0 || j%3 == i%3 { // some of them, others than the next kernel's
					m.run(rng, p, p.anyPart(rng, k))
				}
			}
			for _, p := range all.extreme {
				m.run(rng, p, p.anyPart(rng, k))
			}
		})
	}
}

// longShapes are matrices as models have them: groups of 32, 64 and 128, per
// channel, and per channel in pieces whose integer sums go on.
func longShapes(k kernel) (shapes []shape) {
	for _, features := range []int{32, 64, 128} {
		if features < k.tiles {
			continue
		}
		for _, form := range []Form{ScalesF16 | ZeroConstant, ScalesBF16 | ZeroBytes} {
			s := shape{kernel: k, form: form}
			for range 1024 / features / 4 {
				s.blocks = append(s.blocks, Block{Lines: uint32(features / k.lineFeatures()), Segments: 4, Ends: 15})
			}
			shapes = append(shapes, s)
		}
	}
	lines := uint32(1000 / k.lineFeatures() &^ 1)
	if k.tiles > 0 {
		lines = uint32(1024 / k.lineFeatures())
	}
	return append(shapes,
		shape{kernel: k, blocks: []Block{{Lines: 4 * lines, Segments: 1, Ends: 1}}},
		shape{kernel: k, blocks: []Block{{Lines: lines, Segments: 4, Ends: 8}}},
		shape{kernel: k, blocks: []Block{{Lines: lines, Segments: 4}, {Lines: lines / 2 &^ 1, Segments: 1, Ends: 1}}})
}

// extremes are problems with the largest products there are, all of one sign.
func extremes(rng *rand.Rand, k kernel) (problems []*problem) {
	eight := uint32(8 / k.lineFeatures()) // lines of eight features
	if k.tiles > 0 {
		eight *= uint32(k.tiles / 8)
	}
	s := shape{kernel: k, blocks: []Block{{Lines: 9 * eight, Segments: 3, Ends: 5}, {Lines: 4 * eight, Segments: 1, Ends: 1}}}
	least, largest := k.rangeOfX()
	for _, x := range []int32{least, largest} {
		p := s.fill(rng)
		for i := range p.x {
			p.x[i] = x
		}
		for i := range p.codes {
			p.codes[i] = s.kernel.mostCode()
		}
		problems = append(problems, p)
	}
	return problems
}

// Values of x and codes come from the bytes of the input, the rest from its
// seed.
func FuzzIntegerKernels(f *testing.F) {
	if len(integerKernels) == 0 {
		f.Skip("no kernels for this architecture")
	}
	for i := range integerKernels {
		f.Add(uint8(i), uint64(i), []byte{0x80, 0xff, 0x7f, 0})
	}
	f.Fuzz(func(t *testing.T, which uint8, seed uint64, values []byte) {
		k := integerKernels[int(which)%len(integerKernels)]
		if !k.runs() {
			t.Skipf("the processor lacks one of %v", k.needs)
		}
		rng := rand.New(rand.NewPCG(seed, 7))
		p := randomProblem(rng, k)
		p.overlay(values)
		newMemory(t).run(rng, p, p.whole())
	})
}

// overlay replaces values from the first on: half of the bytes are for x, half
// for codes.
func (p *problem) overlay(values []byte) {
	half := len(values) / 2
	for i := range min(half, len(p.x)) {
		if p.x[i] = int32(int8(values[i])); p.kernel.wide {
			p.x[i] *= 2
		}
	}
	for i := range min(half, len(p.codes)) {
		p.codes[i] = uint8(uint(values[half+i]) % (uint(p.kernel.mostCode()) + 1))
	}
	p.sideOfZero()
}
