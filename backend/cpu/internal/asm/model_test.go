package asm

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
)

// problem is the work of one call to an integer kernel, by its meaning; memory
// lays it out. Segments count through all blocks, features include padding.
type problem struct {
	kernel   kernel
	form     Form
	zero     int // of ZeroConstant, for kernels of 16-bit x
	blocks   []Block
	starts   []int     // [segments+1] first feature of each
	ends     []int     // [segments] first feature that is padding
	x        []int32   // [rows][features]
	side     []uint32  // [rows][segments]
	sx       []float32 // [rows][segments], nil: none
	codes    []uint8   // [features][columns]
	scales   []uint32  // [segments][columns] bits of the scale type
	zeros    []int16   // [segments][columns]
	codeSums []int16   // [segments][columns], of ZeroPairs
	y        []float32 // [rows][columns] before the call

	made *made // what is made of these when it is first asked for
}

// made is what all calls with a problem share: under emulators it takes most of the time.
type made struct {
	y     []float32
	rows  []byte       // x as kernels read it
	tiles [3][6][]byte // with codes together, apart, and less the zero point
}

func (p *problem) segments() int { return len(p.starts) - 1 }
func (p *problem) features() int { return p.starts[p.segments()] }

// model returns what the call leaves in Y.
func (p *problem) model(t testing.TB) []float32 {
	if p.made.y != nil {
		return p.made.y
	}
	y := append([]float32(nil), p.y...)
	ends, sums := p.last(), make([]int64, p.kernel.rows)
	var w []int32
	for c := range p.kernel.columns {
		clear(sums)
		for s := range p.segments() {
			w = p.column(w, s, c)
			scale := p.scale(s, c)
			for r := range p.kernel.rows {
				a, sum := &sums[r], &y[r*p.kernel.columns+c]
				*a += p.segmentSum(r, s, c, w)
				if *a != int64(int32(*a)) { // the fast way: this runs emulated, too
					t.Fatalf("the case leaves int32: %d", *a)
				}
				if !ends[s] {
					continue
				}
				v := float32(int32(*a))
				if p.sx == nil {
					*sum = dtype.FMA(v, scale, *sum)
				} else {
					*sum = dtype.FMA(float32(v*scale), p.sx[r*p.segments()+s], *sum)
				}
				*a = 0
			}
		}
	}
	p.made.y = y
	return y
}

// last says of each segment whether its integer sum ends with it.
func (p *problem) last() (ends []bool) {
	for _, b := range p.blocks {
		for i := range b.Segments {
			ends = append(ends, b.Ends>>i&1 == 1)
		}
	}
	return ends
}

// column returns what segment s of column c multiplies x by, in w where there is room.
func (p *problem) column(w []int32, s, c int) []int32 {
	w = w[:0]
	for k := p.starts[s]; k < p.starts[s+1]; k++ {
		w = append(w, int32(p.codes[k*p.kernel.columns+c]))
	}
	if p.kernel.wide {
		for i := range w {
			w[i] -= int32(p.zeroOf(s, c))
		}
	}
	return w
}

// segmentSum is the integer sum of row r, segment s and column c, correction
// included; w is that column.
func (p *problem) segmentSum(r, s, c int, w []int32) (a int64) {
	x := p.x[r*p.features()+p.starts[s]:][:len(w)]
	for i, w := range w {
		a += int64(x[i]) * int64(w)
	}
	if p.kernel.wide {
		return a
	}
	n, z := p.kernel.columns, int64(p.zeroOf(s, c))
	side := p.side[r*p.segments()+s]
	lo, hi := int64(int16(side)), int64(int16(side>>16))
	switch p.form & zeroMask {
	case ZeroConstant:
		return a + int64(int32(side))
	case ZeroBytes:
		return a + z*lo
	default:
		return a + z*lo + int64(p.codeSums[s*n+c])*hi
	}
}

// zeroOf is the zero point of segment s and column c.
func (p *problem) zeroOf(s, c int) int16 {
	if p.form&zeroMask == ZeroConstant {
		return int16(p.zero)
	}
	return p.zeros[s*p.kernel.columns+c]
}

// scale is the weight scale of segment s and column c.
func (p *problem) scale(s, c int) float32 {
	bits := p.scales[s*p.kernel.columns+c]
	switch p.form & scaleMask {
	case ScalesF16:
		return dtype.F16ToF32(uint16(bits))
	case ScalesBF16:
		return dtype.BF16ToF32(uint16(bits))
	}
	return math.Float32frombits(bits)
}

// same compares bits, but any NaN equals any other.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// TestCorrections shows what the values of Side are for: they turn sums of codes
// into Σ (q−zp)·(u−z).
func TestCorrections(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 300 {
		k := kernel{bits: 4 << (i & 1), rows: 2, columns: 16}
		p := randomProblem(rng, k)
		p.zero = int(rng.Uint32N(256))
		zp := p.correct(rng)
		for r := range k.rows {
			for s := range p.segments() {
				for c := range k.columns {
					z, want := int64(p.zeros[s*k.columns+c]), int64(0)
					if p.form&zeroMask == ZeroConstant {
						z = int64(p.zero)
					}
					for f := p.starts[s]; f < p.ends[s]; f++ {
						want += (int64(p.x[r*p.features()+f]) - zp[r]) * (int64(p.codes[f*k.columns+c]) - z)
					}
					require.Equal(t, want, p.segmentSum(r, s, c, p.column(nil, s, c)), "row %d, segment %d, column %d of %s", r, s, c, p)
				}
			}
		}
	}
}
