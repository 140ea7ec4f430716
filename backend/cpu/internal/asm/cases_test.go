package asm

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/amx"
)

// kernel is an integer kernel under test.
type kernel struct {
	name    string
	bits    int  // of the lines: 4 or 8
	apart   bool // 4-bit codes are unpacked: a line of 8 features is two, of a code in each byte
	less    bool // codes are taken less their zero point, and are so where they are apart: Side follows from both, or is not read, but for ZeroPairs
	wide    bool // x is int16 of magnitude up to 255, zero points are subtracted from the codes, Side is not read
	tiles   int  // features of a tile, of which segments have whole ones: the call says how many rows and tiles, and has memory; 0: no kernel of tiles
	ends    bool // all segments end sums
	rows    int
	columns int // 16, 32 or, of tiles, any multiple
	needs   []cpuid.FeatureID
	run     func(*Call)
}

// integerKernels is what the tests run. A file of tests of each tier, named
// for its architecture, appends to it in an init.
var integerKernels []kernel

// runs reports whether the processor and the system run k.
func (k kernel) runs() bool { return cpuid.CPU.Supports(k.needs...) && (k.tiles == 0 || amx.Allowed()) }

func (k kernel) lineFeatures() int { return 32 / k.bits }

func (k kernel) elementBytes() int {
	if k.wide {
		return 2
	}
	return 1
}

// lineBytes is the size of what Block counts as a line.
func (k kernel) lineBytes() int {
	if k.apart {
		return 128
	}
	return 64
}

func (k kernel) rangeOfX() (least, largest int32) {
	if k.wide {
		return -255, 255
	}
	return -128, 127
}

func (k kernel) mostCode() uint8 { return 1<<k.bits - 1 }

func (p *problem) String() string {
	return fmt.Sprintf("form %d zero %d blocks %v scales of x %v", p.form, p.zero, p.blocks, p.sx != nil)
}

// shape is what a problem is made for; values are random.
type shape struct {
	kernel kernel
	form   Form
	zero   int
	scaled bool // by activation scales
	blocks []Block
	// Longest real features of a segment; the rest is padding. 0: no padding.
	real int
}

// randomProblem is a problem of any form and shape, mostly short.
func randomProblem(rng *rand.Rand, k kernel) *problem {
	s := shape{kernel: k, form: Form(rng.Uint32N(3)), scaled: rng.Uint32N(2) == 0}
	kinds := uint32(3)
	if k.wide {
		kinds = 2
	}
	s.form |= Form(rng.Uint32N(kinds)) << 2
	longest := 1 + int(rng.Uint32N(6))
	if rng.Uint32N(8) == 0 {
		longest = 1 + int(rng.Uint32N(120))
	}
	if k.less && s.form.Zeros() == ZeroConstant {
		s.zero = int(rng.Uint32N(129))
	}
	if s.form&zeroMask == ZeroPairs || s.form&zeroMask == ZeroBytes {
		longest = min(longest, 16) // of 8 features: Side and the sums of codes are int16
	}
	full, most := uint8(1+rng.Uint32N(4)), rng.Uint32N(3) // one number of segments, as most matrices have, or any
	for range 1 + rng.Uint32N(5) {
		if most == 0 {
			full = uint8(1 + rng.Uint32N(4))
		}
		lines := uint32(1+rng.Uint32N(uint32(longest))) * uint32(8/k.lineFeatures())
		if whole := uint32(k.tiles / k.lineFeatures()); whole > 0 {
			lines = (lines/whole + 1) * whole
		}
		s.blocks = append(s.blocks, Block{Lines: lines, Segments: full})
	}
	last := &s.blocks[len(s.blocks)-1]
	last.Segments = uint8(1 + rng.Uint32N(uint32(last.Segments)))
	switch pattern := rng.Uint32N(4); pattern {
	case 0, 1: // each segment ends, or only the last
		for i := range s.blocks {
			s.blocks[i].Ends = uint8(1-pattern) * (1<<s.blocks[i].Segments - 1)
		}
	default:
		for i := range s.blocks {
			s.blocks[i].Ends = uint8(rng.Uint32()) & (1<<s.blocks[i].Segments - 1)
		}
	}
	last.Ends |= 1 << (last.Segments - 1)
	if k.wide && s.form&zeroMask == ZeroConstant {
		s.zero = int(rng.Uint32N(uint32(k.mostCode()) + 2))
	}
	if rng.Uint32N(2) == 0 {
		s.real = 1 + int(rng.Uint32N(uint32(8*longest)))
	}
	return s.fill(rng)
}

// fill makes a problem of s with random values.
func (s shape) fill(rng *rand.Rand) *problem {
	k, n := s.kernel, s.kernel.columns
	for i := range s.blocks {
		if k.ends {
			s.blocks[i].Ends = 1<<s.blocks[i].Segments - 1
		}
	}
	p := &problem{kernel: k, form: s.form, zero: s.zero, blocks: s.blocks, starts: []int{0}, made: &made{}}
	for _, b := range s.blocks {
		for range b.Segments {
			start, length := p.starts[len(p.starts)-1], int(b.Lines)*k.lineFeatures()
			p.starts = append(p.starts, start+length)
			if s.real > 0 {
				length = min(length, 1+int(rng.Uint32N(uint32(s.real))))
			}
			p.ends = append(p.ends, start+length)
		}
	}
	segments, features := p.segments(), p.features()
	p.x, p.codes = make([]int32, k.rows*features), make([]uint8, features*n)
	least, largest := k.rangeOfX()
	anyX, anyCode := pattern(rng, least, largest), pattern(rng, 0, int32(k.mostCode()))
	for s := range segments {
		for at := p.starts[s]; at < p.ends[s]; at++ {
			for r := range k.rows {
				p.x[r*features+at] = anyX()
			}
			for c := range n {
				p.codes[at*n+c] = uint8(anyCode())
			}
		}
	}
	p.scales, p.zeros, p.codeSums = make([]uint32, segments*n), make([]int16, segments*n), make([]int16, segments*n)
	anyScale := scaleBits(rng, s.form)
	for i := range p.scales {
		p.scales[i] = anyScale()
		p.zeros[i] = int16(rng.Uint32N(256))
		if k.less && s.form.Zeros() == ZeroBytes {
			p.zeros[i] = int16(rng.Uint32N(129))
		}
		p.codeSums[i] = int16(rng.Uint32())
	}
	p.side, p.y = make([]uint32, k.rows*segments), make([]float32, k.rows*n)
	for i := range p.side {
		p.side[i] = anySide(rng, s.form)
	}
	if s.scaled {
		p.sx = make([]float32, k.rows*segments)
		for i := range p.sx {
			p.sx[i] = rng.Float32() + 0.001
		}
	}
	for i := range p.y {
		p.y[i] = float32(rng.NormFloat64() * 1000)
	}
	p.sideOfZero()
	return p
}

// sideOfZero makes Side what follows from the zero points, where kernels may not
// read it.
func (p *problem) sideOfZero() {
	if !p.kernel.less || p.form.Zeros() == ZeroPairs {
		return
	}
	for i := range p.side {
		r, s, sum := i/p.segments(), i%p.segments(), int32(0)
		for _, v := range p.x[r*p.features()+p.starts[s] : r*p.features()+p.starts[s+1]] {
			sum += v
		}
		if p.side[i] = uint32(int32(-p.zero) * sum); p.form.Zeros() == ZeroBytes {
			p.side[i] = uint32(uint16(-sum))
		}
	}
}

// anySide is a value of Side of any size that it can have.
func anySide(rng *rand.Rand, form Form) uint32 {
	lo := rng.Uint32() & 0xffff
	switch form & zeroMask {
	case ZeroConstant:
		return uint32(int32(rng.Uint32()) >> 8)
	case ZeroBytes:
		return lo
	}
	return lo | uint32(int32(rng.Uint32N(257))-128)<<16 // −zp
}

// correct replaces Side, and the sums of codes, by what makes the sums of codes
// Σ (q−zp)·(u−z), and returns the row's zp.
func (p *problem) correct(rng *rand.Rand) (zp []int64) {
	n := p.kernel.columns
	for i := range p.codeSums {
		p.codeSums[i] = 0
		for k := p.starts[i/n]; k < p.ends[i/n]; k++ {
			p.codeSums[i] += int16(p.codes[k*n+i%n])
		}
	}
	for r := range p.kernel.rows {
		zp = append(zp, 0)
		if p.form&zeroMask == ZeroPairs {
			zp[r] = int64(rng.Uint32N(256)) - 128
		}
		for s := range p.segments() {
			var sum int64
			for k := p.starts[s]; k < p.ends[s]; k++ {
				sum += int64(p.x[r*p.features()+k]) - zp[r]
			}
			side := &p.side[r*p.segments()+s]
			switch p.form & zeroMask {
			case ZeroConstant:
				*side = uint32(-int64(p.zero) * sum)
			case ZeroBytes:
				*side = uint32(uint16(-sum))
			default:
				*side = uint32(uint16(-sum)) | uint32(-zp[r])<<16
			}
		}
	}
	return zp
}

// pattern returns a source of values between lo and hi: any, one of the
// extremes at random, or one value for all.
func pattern(rng *rand.Rand, lo, hi int32) func() int32 {
	span := uint32(hi - lo + 1)
	one := []int32{lo, hi, 0, lo + int32(rng.Uint32N(span))}[rng.Uint32N(4)]
	switch rng.Uint32N(4) {
	case 0:
		return func() int32 { return []int32{lo, hi}[rng.Uint32N(2)] }
	case 1:
		return func() int32 { return one }
	}
	return func() int32 { return lo + int32(rng.Uint32N(span)) }
}

// scaleBits returns a source of scales of the form's type: like those of
// checkpoints, or sometimes any bits, among them subnormal and infinite ones.
func scaleBits(rng *rand.Rand, form Form) func() uint32 {
	wild := rng.Uint32N(8) == 0
	return func() uint32 {
		v := float32(rng.NormFloat64() * 0.02)
		switch form & scaleMask {
		case ScalesF16:
			if wild {
				return rng.Uint32() & 0xffff
			}
			return uint32(dtype.F16FromF32(v))
		case ScalesBF16:
			if wild {
				return rng.Uint32() & 0xffff
			}
			return uint32(dtype.BF16FromF32(v))
		}
		if wild {
			return rng.Uint32()
		}
		return math.Float32bits(v)
	}
}
