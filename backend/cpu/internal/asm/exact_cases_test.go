package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/amx"
)

// exactKernel multiplies float32 rows: with packed lines of one kind, or with
// unpacked panels of all.
type exactKernel struct {
	name     string
	lines    []lineKind
	pairs    bool // x is of bfloat16, and sums are of pairs
	tiled    bool // sums are of tiles
	inTiles  bool // x is in tiles, too
	unpacked bool
	rows     int
	tiles    int // 1 to 4
	beyond   int // bytes behind the last line of packed weights that it may read
	needs    []cpuid.FeatureID
	run      func(*Call)
}

// unpackKernel writes unpacked panels.
type unpackKernel struct {
	name   string
	lines  lineKind
	pairs  bool // of bfloat16
	beyond int  // as of exactKernel
	needs  []cpuid.FeatureID
	run    func(unsafe.Pointer, *Call)
}

// exactKernels and unpackKernels are what the tests run. A file of tests of each
// tier, named for its architecture, appends to them in an init.
var (
	exactKernels  []exactKernel
	unpackKernels []unpackKernel
)

func requireFeatures(t testing.TB, needs []cpuid.FeatureID) {
	for _, id := range needs {
		if !cpuid.CPU.Supports(id) {
			t.Skipf("the processor lacks %s", id)
		}
	}
	if slices.Contains(needs, cpuid.AMXTILE) && !amx.Allowed() {
		t.Skip("the processor lacks AMX that the system gives")
	}
}

func (p *exactProblem) String() string {
	return fmt.Sprintf("%d rows by %d tiles of %s, form %d, zero %d, blocks %v", p.rows, p.tiles, p.lines, p.form, p.zero, p.blocks)
}

// exactShape is what a problem is made for; values are random.
type exactShape struct {
	lines       lineKind
	pairs       bool
	tiled       bool
	form        Form
	rows, tiles int
	blocks      []Block
}

// forms returns the forms that headers before lines can have.
func (l lineKind) forms() []Form {
	if l.bits == 0 {
		return []Form{ScalesNone}
	}
	var forms []Form
	for _, scales := range []Form{ScalesF32, ScalesF16, ScalesBF16} {
		forms = append(forms, scales|ZeroConstant, scales|ZeroBytes)
	}
	return forms
}

// randomExact is a problem of any form and shape, mostly short. Segments are
// whole lines, and where they are unpacked whole eights of features.
func randomExact(rng *rand.Rand, k exactKernel) *exactProblem {
	s := exactShape{lines: k.lines[rng.IntN(len(k.lines))], pairs: k.pairs, tiled: k.tiled, rows: k.rows, tiles: k.tiles}
	forms := s.lines.forms()
	s.form = forms[rng.IntN(len(forms))]
	longest, unit := 1+rng.IntN(5), 1
	if rng.IntN(8) == 0 {
		longest = 1 + rng.IntN(128/s.lines.features())
	}
	if k.unpacked {
		unit = max(1, 8/s.lines.features())
	}
	if k.tiled {
		unit = TilePairs / s.lines.features()
	}
	full := 1 + rng.IntN(4)
	for range 1 + rng.IntN(5) {
		if rng.IntN(3) == 0 {
			full = 1 + rng.IntN(4)
		}
		s.blocks = append(s.blocks, s.block(full, unit*(1+rng.IntN(longest))))
	}
	return s.fill(rng)
}

func (s exactShape) block(segments, lines int) Block {
	return Block{Lines: uint32(lines), Segments: uint8(segments), Features: uint16(lines * s.lines.features())}
}

// fill makes a problem of s with random values.
func (s exactShape) fill(rng *rand.Rand) *exactProblem {
	p := &exactProblem{lines: s.lines, pairs: s.pairs, tiled: s.tiled, rows: s.rows, tiles: s.tiles, form: s.form, blocks: s.blocks, starts: []int{0}, made: &exactMade{}}
	for _, b := range p.blocks {
		for range b.Segments {
			p.starts = append(p.starts, p.features()+int(b.Features))
		}
	}
	p.x = make([]float32, p.rows*p.features())
	for r := range p.rows {
		x := anyFloat(rng)
		for i := range p.features() {
			p.x[r*p.features()+i] = p.possible(x())
		}
	}
	weight := s.lines.any(rng)
	p.w = make([]uint32, p.features()*p.columns())
	for i := range p.w {
		p.w[i] = weight()
	}
	scale := scaleBits(rng, s.form)
	p.scales, p.zeros = make([]uint32, p.segments()*p.columns()), make([]uint8, p.segments()*p.columns())
	for i := range p.scales {
		p.scales[i], p.zeros[i] = scale(), uint8(rng.Uint32())
		if p.pairs && s.lines.bits == 4 {
			p.zeros[i] %= MostPairsZero4 + 1
		}
	}
	if s.lines.bits > 0 && s.form&zeroMask == ZeroConstant {
		p.zero = []int{0, 1 << (s.lines.bits - 1), rng.IntN(256)}[rng.IntN(3)]
	}
	p.y = make([]float32, p.rows*p.columns())
	if (p.pairs || p.tiled) && rng.IntN(2) == 0 {
		return p // from 0, so that what becomes of tiny sums is seen
	}
	for i := range p.y {
		p.y[i] = float32(rng.NormFloat64() * 1000)
	}
	return p
}

// possible makes a value one that rows of x can have.
func (p *exactProblem) possible(v float32) float32 {
	if p.pairs || p.tiled {
		v = dtype.BF16.Round(v)
	}
	if p.tiled && p.lines.bits > 0 && math.Abs(float64(v)) < LeastInTiles {
		return 0
	}
	return v
}

// any returns a source of codes or of bits of plain weights: like those of
// checkpoints, or sometimes any bits, among them subnormal and infinite ones.
func (l lineKind) any(rng *rand.Rand) func() uint32 {
	if l.bits > 0 {
		code := pattern(rng, 0, 1<<l.bits-1)
		return func() uint32 { return uint32(code()) }
	}
	wild := rng.IntN(8) == 0
	return func() uint32 {
		v := float32(rng.NormFloat64())
		switch {
		case l.plain == dtype.F32 && wild:
			return rng.Uint32()
		case l.plain == dtype.F32:
			return math.Float32bits(v)
		case wild:
			return rng.Uint32() & 0xffff
		case l.plain == dtype.F16:
			return uint32(dtype.F16FromF32(v))
		}
		return uint32(dtype.BF16FromF32(v))
	}
}

// anyFloat returns a source of x: like activations, of wide range, near the
// smallest float32, whole numbers, or with an infinity or NaN now and then.
func anyFloat(rng *rand.Rand) func() float32 {
	switch rng.IntN(8) {
	case 0:
		return func() float32 { return float32(math.Ldexp(rng.NormFloat64(), rng.IntN(60)-30)) }
	case 1:
		return func() float32 { return math.Float32frombits(rng.Uint32() & 0x80ffffff) }
	case 2:
		return func() float32 { return float32(rng.IntN(255) - 127) }
	case 3:
		return func() float32 {
			if rng.IntN(40) == 0 {
				return []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}[rng.IntN(3)]
			}
			return float32(rng.NormFloat64())
		}
	}
	return func() float32 { return float32(rng.NormFloat64()) }
}
