package asm

import (
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/bf16emu"
)

// sumOfTiles is the sum of a segment as TDPBF16PS computes it (package asm, Sums).
func (l lineKind) sumOfTiles(x, w []float32) (a float32) {
	order := l.order()
	for tile := 0; tile < len(x); tile += TilePairs {
		var lower, upper float32
		for i := 0; i < TilePairs; i += 2 {
			line, at := tile+i/len(order)*len(order), i%len(order)
			lower = bf16emu.Step(x[line+order[at]], w[line+order[at]], lower)
			upper = bf16emu.Step(x[line+order[at+1]], w[line+order[at+1]], upper)
		}
		a = flushedSum(a, flushedSum(lower, upper))
	}
	return a
}

// flushedSum is a + b where subnormal numbers are 0.
func flushedSum(a, b float32) float32 { return bf16emu.Step(b, 1, a) }

// layExactTiles writes rows of so many bytes, one after the other, in tiles.
func (m *memory) layExactTiles(rows []byte, row int, behind bool) {
	n := len(rows) / row
	m.x = m.take("x", (tiledRows(n)/TileRows-1)*TileRows*m.xs+TileRows*row, behind)
	for i := range m.x { // rows beyond the last are NaN
		m.x[i] = 0xff
	}
	for r := range n {
		to := m.x[r/TileRows*TileRows*m.xs+r%TileRows*TileBytes:]
		for at := 0; at < row; at += TileBytes {
			copy(to[at*TileRows:], rows[r*row+at:][:TileBytes])
		}
	}
}

// portableTiles adds the sum of a segment to y, with a fault.
func (l lineKind) portableTiles(f exactFault, y *float32, x func(int) float32, features int, weight func(int) float32, scale float32) {
	order := l.order()
	step, add := bf16emu.Step, flushedSum
	if f == exactKeepsSubnormals {
		step, add = dtype.FMA, func(a, b float32) float32 { return a + b }
	}
	var a float32
	var chains [4]float32 // lower and upper halves, or with a fault twice as many
	for i := range features {
		at := i
		if f == exactDescends {
			at = features - 1 - i
		}
		j := at/len(order)*len(order) + order[at%len(order)]
		w, chain := weight(j), at%2
		switch f {
		case exactTwoChains:
			chain += at / 2 % 2 * 2
		case exactScalesProducts:
			w = float32(w * scale)
		}
		chains[chain] = step(x(j), w, chains[chain])
		if last := i+1 == features; last || (i+1)%TilePairs == 0 && f != exactLongChains {
			a = add(a, add(add(chains[0], chains[2]), add(chains[1], chains[3])))
			chains = [4]float32{}
		}
	}
	switch {
	case l.bits == 0:
		*y = add(*y, a)
	case f == exactScalesProducts:
		*y += a
	default:
		*y = dtype.FMA(a, scale, *y)
	}
}
