package asm

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
)

// order is PairsOfLine.
func (l lineKind) order() []int { return PairsOfLine(l.bits) }

// sumOfPairs is the sum of a segment as kernels of pairs compute it.
func (l lineKind) sumOfPairs(x, w []float32) (a float32) {
	order := l.order()
	for line := 0; line < len(x); line += len(order) {
		for i := 0; i < len(order); i += 2 {
			low, high := line+order[i], line+order[i+1]
			a = dotOfPair([2]float32{x[low], x[high]}, [2]float32{w[low], w[high]}, a)
		}
	}
	return a
}

// dotOfPair is a lane of vdpbf16ps: the product of the upper halves first.
func dotOfPair(x, w [2]float32, a float32) float32 {
	for _, half := range []int{1, 0} {
		a = normal(fma32(normal(x[half]), normal(w[half]), normal(a)), x[half], w[half], a)
	}
	return a
}

// normal returns v, and 0 of its sign for a subnormal one. The result of an
// operation, whose operands follow, is subnormal if it is so when rounded as if
// exponents had no end: what rounds up to the smallest normal number only
// because it has fewer bits there is not.
func normal(v float32, of ...float32) float32 {
	const least = 0x1p-126
	size := math.Abs(float64(v))
	if size < least || len(of) > 0 && size == least && tiny(of[0], of[1], of[2]) {
		return float32(math.Copysign(0, float64(v)))
	}
	return v
}

// tiny reports whether x·w + a, with subnormal operands read as 0, is below
// 2⁻¹²⁶ when rounded to 24 bits.
func tiny(x, w, a float32) bool {
	exact := func(v float32) *big.Float { return big.NewFloat(float64(normal(v))).SetPrec(600) }
	sum := exact(x)
	sum.Mul(sum, exact(w)).Add(sum, exact(a))
	return sum.SetPrec(24).Abs(sum).Cmp(big.NewFloat(0x1p-126)) < 0
}

func (p *exactProblem) xBytes() int {
	if p.pairs {
		return 2
	}
	return 4
}

// putRow writes row r of x as kernels read it.
func (p *exactProblem) putRow(dst []byte, r int) {
	x := p.x[r*p.features():][:p.features()]
	if !p.pairs {
		for i, v := range x {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
		return
	}
	order := p.lines.order()
	for i := range x {
		line, at := i/len(order)*len(order), i%len(order)
		binary.LittleEndian.PutUint16(dst[2*i:], upper(x[line+order[at]]))
	}
}

// upper is the bits of a float32 that is a bfloat16.
func upper(v float32) uint16 { return uint16(math.Float32bits(v) >> 16) }

// unpackPairs writes segment s as a part of an unpacked panel of pairs, and
// returns what is behind it.
func (p *exactProblem) unpackPairs(dst []byte, s, tile int) []byte {
	order := p.lines.order()
	for line := p.starts[s]; line < p.starts[s+1]; line += len(order) {
		for i := 0; i < len(order); i += 2 {
			for c := range 16 {
				binary.LittleEndian.PutUint16(dst[4*c:], upper(p.weight(s, line+order[i], 16*tile+c)))
				binary.LittleEndian.PutUint16(dst[4*c+2:], upper(p.weight(s, line+order[i+1], 16*tile+c)))
			}
			dst = dst[64:]
		}
	}
	return dst
}

// Every difference of codes and zero points of 8 bits is a bfloat16, so that
// pairs hold it exactly.
func TestPairsHoldDifferences(t *testing.T) {
	for v := -255; v <= 255; v++ {
		require.Equal(t, float32(v), dtype.BF16.Round(float32(v)))
	}
	require.Less(t, 15-MostPairsZero4, 0)
	require.GreaterOrEqual(t, -MostPairsZero4, -16) // the table's first
}

// dotOfPair against numbers without end: two fused operations, the upper half
// first, each rounded to 24 bits, with nothing below 2⁻¹²⁶ but 0.
func TestDotOfPair(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	least := big.NewFloat(0x1p-126)
	exact := func(v float32) *big.Float {
		if math.Abs(float64(v)) < 0x1p-126 {
			v = 0
		}
		return new(big.Float).SetPrec(600).SetFloat64(float64(v))
	}
	value := func(spread int) float32 {
		return dtype.BF16.Round(float32(math.Ldexp(1+rng.Float64(), rng.IntN(spread)-spread/2)) * float32(1-2*rng.IntN(2)))
	}
	flushed, kept := 0, 0
	for i := range 20000 {
		spread := []int{4, 40, 250}[i%3]
		x, w := [2]float32{value(spread), value(spread)}, [2]float32{value(4), value(4)}
		a := math.Float32frombits(rng.Uint32()&0x807fffff | uint32(127+rng.IntN(spread)-spread/2)<<23)
		if i%2 == 0 { // around the smallest normal number
			x[0], x[1] = x[0]*0x1p-126, x[1]*0x1p-126
			a = math.Float32frombits(rng.Uint32() & 0x81ffffff)
			x[0], x[1] = dtype.BF16.Round(x[0]), dtype.BF16.Round(x[1])
		}
		want, overflow := a, false
		for _, half := range []int{1, 0} {
			sum := exact(x[half])
			sum.Mul(sum, exact(w[half])).Add(sum, exact(want)).SetPrec(24)
			if sum.Sign() != 0 && new(big.Float).Abs(sum).Cmp(least) < 0 {
				sum.SetInt64(0)
				flushed++
			}
			v, _ := sum.Float32()
			overflow = overflow || math.IsInf(float64(v), 0)
			want = v
		}
		if overflow {
			continue
		}
		kept++
		require.Equal(t, want, dotOfPair(x, w, a)+0, "%g · %g + %g", x, w, a) // +0: the sign of a 0 is not in big.Float's rules
	}
	require.Greater(t, flushed, 100)
	require.Greater(t, kept, 10000)
	// Rounded to 24 bits this is below 2⁻¹²⁶, as a subnormal it is not.
	almost := math.Float32frombits(0x00800000)
	require.Zero(t, dotOfPair([2]float32{0, -0x1p-126}, [2]float32{0, 0x1p-24}, almost))
}
