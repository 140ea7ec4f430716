package linear

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// place is where the drawing in kernels/cuda puts a code: which output of a
// brick and which feature of its unit lane, tile, step, register and half have.
func place(tile, step, lane, register, half int) (output, feature int) {
	g, t := lane/4, lane%4
	return 16*tile + g + 8*(register%2), 8*t + 4*step + 2*(register/2) + half
}

// codeIn reads a code out of a brick, by the drawing alone.
func codeIn(brick []byte, bits, tile, step, lane, register, half int) int {
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(brick[at:]) }
	switch bits {
	case 4:
		return int(word(16*lane+8*tile+4*step)>>(4*register+16*half)) & 15
	case 8:
		return int(brick[512*tile+16*lane+8*step+4*(register/2)+2*(register%2)+half])
	case 2:
		return int(word(8*lane+4*tile)>>(2*(4*step+register)+16*half)) & 3
	}
	orders := [3][5]int{{0, 1, 2, 3, 4}, {6, 5, 8, 7, 9}, {10, 11, 12, 13, 15}}
	pair := 8*tile + 4*step + register
	for w, order := range orders {
		for i, q := range order {
			if q == pair {
				return int(word(128*w+4*lane)>>(3*i+16*half)) & 7
			}
		}
	}
	code := 0 // pair 14: a bit in each word
	for w := range orders {
		code |= int(word(128*w+4*lane)>>(15+16*half)) & 1 << w
	}
	return code
}

func TestBricksAreAsDrawn(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 7))
	for _, bits := range []int{2, 3, 4, 5, 6, 7, 8} {
		for _, c := range []struct {
			n, k   int
			groups quant.Groups
		}{
			{32, 32, quant.OneGroup(32)}, {1, 64, quant.OneGroup(64)}, {70, 96, uniform(t, 96, 32)},
			{33, 100, quant.OneGroup(100)}, {40, 90, uniform(t, 90, 20)}, {35, 77, shuffled(t, rng, 77, 4)},
		} {
			t.Run(fmt.Sprintf("w%d %dx%d %v", bits, c.n, c.k, c.groups.Kind()), func(t *testing.T) {
				l := linear(t, rng, c.n, c.k, bits, c.groups)
				s, err := backend.NewSpec(l, backend.Request{X: dtype.F16})
				require.NoError(t, err)
				checkBricks(t, l, &s)
			})
		}
	}
}

func checkBricks(t *testing.T, l *quant.Linear, s *backend.Spec) {
	p := newPlan(s, !straight(s), false)
	order := l.Weight.Groups().Order()
	b := &bricks{plan: p, spec: s, src: &l.Weight, order: order}
	dst := make([]byte, p.rowBytes())
	features := make([]int, p.units*unitFeatures) // of each packed feature, -1: none
	count := 0
	for u, f := range eachUnit(s) {
		count++
		for i := range unitFeatures {
			features[u*unitFeatures+i] = -1
			if at := f.lo + i; at < f.hi {
				features[u*unitFeatures+i] = at
				if order != nil {
					features[u*unitFeatures+i] = int(order[at])
				}
				require.Equal(t, l.Weight.Groups().Of(features[u*unitFeatures+i]), f.group)
			}
		}
	}
	require.Equal(t, p.units, count)
	for first := 0; first < p.np; first += brickOutputs {
		b.row(dst, first, make([]byte, b.spare()))
		for u := range p.units {
			brick := dst[u*p.brickBytes:][:p.brickBytes]
			for i := range 2 * 2 * 32 * 4 * 2 {
				half, register, lane, step, tile := i&1, i>>1&3, i>>3&31, i>>8&1, i>>9
				output, feature := place(tile, step, lane, register, half)
				want := 0
				if k := features[u*unitFeatures+feature]; k >= 0 && first+output < p.n {
					want = l.Weight.Code(first+output, k)
				}
				require.Equal(t, want, codeIn(brick, p.bits, tile, step, lane, register, half), "output %d, packed feature %d", first+output, u*unitFeatures+feature)
			}
		}
	}
}

func uniform(t testing.TB, k, size int) quant.Groups {
	g, err := quant.UniformGroups(k, size)
	require.NoError(t, err)
	return g
}

func shuffled(t testing.TB, rng *rand.Rand, k, count int) quant.Groups {
	index := make([]int32, k)
	for i, at := range rng.Perm(k) {
		index[at] = int32(i % count)
	}
	g, err := quant.IndexedGroups(index, count)
	require.NoError(t, err)
	return g
}

func linear(t testing.TB, rng *rand.Rand, n, k, bits int, g quant.Groups) *quant.Linear {
	l := &quant.Linear{Name: "test"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: n, K: k, Bits: bits, Scales: dtype.F16, Zeros: true, Groups: g}))
	codes := make([]uint8, k)
	for i := range n {
		for j := range codes {
			codes[j] = uint8(rng.IntN(1 << bits))
		}
		l.Weight.PackRow(i, codes)
		for j := range g.Count() {
			l.Weight.SetScale(i, j, rng.Float32())
			l.Weight.ZeroRow(i)[j] = int16(rng.IntN(1 << bits))
		}
	}
	return l
}
