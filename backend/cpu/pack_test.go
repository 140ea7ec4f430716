package cpu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// element returns column c's code or plain bits of the feature that is i-th in
// piece number at, read from a tile as package asm describes it.
func (p *panel) element(tile []byte, at, c, i int) uint32 {
	b := 0
	for int(p.first[b+1]) <= at {
		b++
	}
	block, within := p.blocks[b], at-int(p.first[b])
	line := within*int(block.Lines) + i/p.perLine
	if p.kind == floatPanel {
		line = i/p.perLine*int(block.Segments) + within
	}
	word := binary.LittleEndian.Uint32(tile[p.offset[b]+p.header()+line*lineBytes+c*4:])
	i %= p.perLine
	switch {
	case p.perLine == 8:
		return word >> (8*(i%4) + 4*(i/4)) & 15
	case p.perLine == 4:
		return word >> (8 * i) & 255
	case p.perLine == 2:
		return word >> (16 * i) & 0xffff
	}
	return word
}

// TestTilesHoldTheWeights reads every packed tile back, element by element.
func TestTilesHoldTheWeights(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	// Four pieces of a block that are no four groups in a row: a group of two pieces and
	// one without features, whose first and last are as far apart as if they were, and a
	// group without features alone.
	all := shapes(t, rng)
	for _, groups := range [][]int32{{0, 0, 2, 3}, {0, 2, 3, 4}} {
		index := make([]int32, 128)
		for i := range index {
			index[i] = groups[i/32]
		}
		g, err := quant.IndexedGroups(index, 5)
		require.NoError(t, err)
		all = append(all, shape{n: 17, k: len(index), groups: g})
	}
	for _, s := range all {
		for bits := 0; bits <= 8; bits++ {
			if bits == 1 {
				continue
			}
			for i, r := range []quant.Recipe{{}, {Kind: quant.Int8TokenAsym}, {Kind: quant.Int8Group, Group: 32}} {
				s.bits, s.scales, s.zeros, s.plain = bits, floats[(bits+i)%3], bits%2 == 0, dtype.Invalid
				if bits == 0 {
					s.plain, r = floats[i], quant.Recipe{}
				}
				l := s.linear(t, rng)
				bytesOnly(l)
				spec, err := backend.NewSpec(l, backend.Request{X: dtype.F32, Recipe: &r})
				require.NoError(t, err)
				kind := floatPanel
				if r.Kind != quant.Exact {
					kind = panelKind(rng.IntN(2))
				}
				t.Run(fmt.Sprintf("%v %v kind %d", s, r, kind), func(t *testing.T) { checkTiles(t, newPanel(kind, &spec), l) })
			}
		}
	}
}

// bytesOnly makes every zero point a byte, the only ones that a panel takes.
func bytesOnly(l *quant.Linear) {
	if l.Weight.Symmetric() || l.Weight.Bits() == 0 {
		return
	}
	for n := range l.Weight.N() {
		for g, z := range l.Weight.ZeroRow(n) {
			l.Weight.ZeroRow(n)[g] = min(z, 255)
		}
	}
}

// checkTiles packs with the functions of the units, which are the same for all,
// and in Go.
func checkTiles(t *testing.T, p *panel, l *quant.Linear) {
	for _, u := range units {
		if f := u.kernels().pack; f.nibbles != nil {
			checkTilesOf(t, p, l, f)
			if testing.Short() { // for emulators
				return
			}
			break
		}
	}
	checkTilesOf(t, p, l, packFunctions{})
}

func checkTilesOf(t *testing.T, p *panel, l *quant.Linear, f packFunctions) {
	w := &l.Weight
	var order []int32
	if p.bits != 0 {
		order = w.Groups().Order()
	}
	pk := packer{p: p, f: f, how: f.spreadOf(w.Bits()), src: w, order: order}
	tile, scratch := make([]byte, p.tileBytes()), bytes.Repeat([]byte{0xff}, p.packSpare(order != nil))
	size, zeroSize := p.form.ScaleBytes(), p.form.ZeroBytesOf()
	for i := range p.tiles() {
		clear(tile)
		pk.tile(tile, i, scratch)
		for c := range tileColumns {
			n := i*tileColumns + c
			for at, s := range p.pieces {
				features, sum := s.padded(p.kind), 0
				for f := range features {
					got := p.element(tile, at, c, f)
					k := int(s.lo) + f
					if n >= p.n || k >= int(s.hi) {
						require.Zero(t, got, "padding")
						continue
					}
					if p.bits == 0 {
						v := make([]byte, 4)
						binary.LittleEndian.PutUint32(v, got)
						require.Equal(t, w.Value(n, k), p.plain.At(v, 0))
						continue
					}
					if order != nil {
						k = int(order[k])
					}
					require.EqualValues(t, w.Code(n, k), got)
					sum += int(got)
				}
				if p.bits == 0 || n >= p.n {
					continue
				}
				b := 0
				for int(p.first[b+1]) <= at {
					b++
				}
				header := tile[p.offset[b]:]
				index := (at-int(p.first[b]))*tileColumns + c
				require.Equal(t, w.Scale(n, int(s.group)), w.ScaleType().At(header, index))
				zeros := header[inBlock*tileColumns*size:]
				switch zeroSize {
				case 1:
					require.EqualValues(t, w.Zero(n, int(s.group)), zeros[index])
				case 4:
					require.EqualValues(t, w.Zero(n, int(s.group)), int16(binary.LittleEndian.Uint16(zeros[index*4:])))
					require.EqualValues(t, sum, binary.LittleEndian.Uint16(zeros[index*4+2:]))
				}
			}
		}
	}
}

// TestStagingIsABound compares what Prepare takes of Go's memory, what the layer
// keeps of it included, with what Footprint says of it.
func TestStagingIsABound(t *testing.T) {
	const n, k, kept = 64, 1 << 15, 1 << 17
	rng := rand.New(rand.NewPCG(4, 4))
	for _, groups := range []quant.Groups{uniform(t, k, 128), actOrder(t, rng, k, 33)} {
		for _, bits := range []int{3, 4, 8} {
			l := shape{n: n, k: k, bits: bits, groups: groups, scales: dtype.F16}.linear(t, rng)
			s, err := backend.NewSpec(l, backend.Request{X: dtype.F32})
			require.NoError(t, err)
			rig := open(t, backend.OpenOptions{Threads: 2})
			rig.table = kernels
			kernel := rig.best(s)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			layer, err := kernel.Prepare(t.Context(), rig.dev, l, s)
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			require.NoError(t, layer.Close())
			foot := kernel.Footprint(rig.dev.Info(), s)
			require.LessOrEqual(t, int64(after.TotalAlloc-before.TotalAlloc), foot.Staging+kept, "%d bits, %v", bits, groups.Kind())
		}
	}
}
