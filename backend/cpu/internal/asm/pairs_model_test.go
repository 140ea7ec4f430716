package asm

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/bf16emu"
)

// order is PairsOfLine.
func (l lineKind) order() []int { return PairsOfLine(l.bits) }

// sumOfPairs is the sum of a segment as kernels of pairs compute it.
func (l lineKind) sumOfPairs(x, w []float32) (a float32) {
	order := l.order()
	for line := 0; line < len(x); line += len(order) {
		for i := 0; i < len(order); i += 2 {
			for _, k := range []int{line + order[i+1], line + order[i]} { // the upper half first
				a = bf16emu.Step(x[k], w[k], a)
			}
		}
	}
	return a
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
