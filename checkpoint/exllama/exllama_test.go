package exllama

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// made is a layer in numbers, and the tensors of it.
type made struct {
	codes [][]uint8 // [K][N]
	zeros [][]int   // [groups][N], as they are stored
	index []int32   // group of each feature
	t     Tensors
}

// build makes the tensors of GPTQ's packing, written out bit by bit.
func build(rng *rand.Rand, n, k, bits, groups int, index []int32) *made {
	m := &made{index: index, t: Tensors{N: n, K: k, Bits: bits}}
	m.t.QWeight = make([]byte, k*bits/8*n)
	for r := range k {
		m.codes = append(m.codes, make([]uint8, n))
		for c := range n {
			u := uint8(rng.IntN(1 << bits))
			m.codes[r][c] = u
			for i := range bits {
				set(m.t.QWeight, (r*bits+i)/32*n+c, (r*bits+i)%32, u>>i&1)
			}
		}
	}
	m.t.QZeros = make([]byte, groups*n*bits/8)
	m.t.Scales = make([]byte, 2*groups*n)
	for g := range groups {
		m.zeros = append(m.zeros, make([]int, n))
		for c := range n {
			z := rng.IntN(1 << bits)
			m.zeros[g][c] = z
			for i := range bits {
				set(m.t.QZeros, g*(n*bits/32)+(c*bits+i)/32, (c*bits+i)%32, uint8(z>>i&1))
			}
			dtype.F16.Put(m.t.Scales, g*n+c, rng.Float32())
		}
	}
	return m
}

func set(words []byte, word, bit int, v uint8) {
	w := words[4*word:]
	binary.LittleEndian.PutUint32(w, binary.LittleEndian.Uint32(w)|uint32(v)<<bit)
}

func (m *made) requireSame(t *testing.T, l *quant.Linear, add int) {
	t.Helper()
	w := &l.Weight
	for k := range m.t.K {
		g := int(m.index[k])
		require.Equal(t, g, w.Groups().Of(k))
		for n := range m.t.N {
			require.EqualValues(t, m.codes[k][n], w.Code(n, k), "feature %d, output %d", k, n)
			require.Equal(t, m.zeros[g][n]+add, w.Zero(n, g))
			require.Equal(t, dtype.F16.At(m.t.Scales, g*m.t.N+n), w.Scale(n, g))
		}
	}
}

func inOrder(k, groups int) []int32 {
	index := make([]int32, k)
	for i := range index {
		index[i] = int32(i / (k / groups))
	}
	return index
}

// argsort is the permutation that callers of gptq_shuffle pass.
func argsort(index []int32) []int32 {
	perm := make([]int32, len(index))
	for i := range perm {
		perm[i] = int32(i)
	}
	slices.SortStableFunc(perm, func(a, b int32) int { return int(index[a] - index[b]) })
	return perm
}

func TestSameLayerShuffledOrNot(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 15))
	const n, k, groups = 64, 128, 4
	for _, bits := range []int{2, 3, 4, 8} {
		for _, actOrder := range []bool{false, true} {
			t.Run(fmt.Sprintf("w%d act-order %v", bits, actOrder), func(t *testing.T) {
				index := inOrder(k, groups)
				if actOrder {
					rng.Shuffle(k, func(i, j int) { index[i], index[j] = index[j], index[i] })
				}
				m := build(rng, n, k, bits, groups, index)
				if actOrder {
					m.t.GIdx = index
				}
				var l quant.Linear
				require.NoError(t, m.t.Linear(&l))
				m.requireSame(t, &l, 1)
				m.t.V2 = true
				require.NoError(t, m.t.Linear(&l))
				m.requireSame(t, &l, 0)

				m.t.Shuffled, m.t.GIdx = true, nil
				if actOrder {
					m.t.GIdx = argsort(index)
				}
				require.NoError(t, Shuffle(m.t.QWeight, k, n, bits, m.t.GIdx))
				require.NoError(t, m.t.Linear(&l))
				m.requireSame(t, &l, 0)
			})
		}
	}
}

// TestShuffledWords has words that were shuffled by hand from the description
// of the format.
func TestShuffledWords(t *testing.T) {
	words := func(w ...uint32) (b []byte) {
		for _, v := range w {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	}
	four := words(0x76543210) // rows 0 to 7 have their own numbers
	require.NoError(t, Shuffle(four, 8, 1, 4, nil))
	require.Equal(t, words(0x75316420), four)

	two := words(0b11_10_01_00_11_10_01_00_11_10_01_00_11_10_01_00) // row r has r mod 4
	require.NoError(t, Shuffle(two, 16, 1, 2, nil))
	require.Equal(t, words(0b11_01_11_01_11_01_11_01_10_00_10_00_10_00_10_00), two)

	eight := words(0x03020100)
	require.NoError(t, Shuffle(eight, 4, 1, 8, nil))
	require.Equal(t, words(0x03020100), eight)

	// 3 bits: only rows 0, 1, 12, 29, 30 and 31 are not zero.
	var stream [96]uint8
	put := func(row int, code uint8) {
		for i := range 3 {
			stream[3*row+i] = code >> i & 1
		}
	}
	put(0, 5)
	put(1, 3)
	put(12, 7)
	put(29, 6)
	put(30, 0b011)
	put(31, 0b110)
	three := make([]byte, 12)
	for i, b := range stream {
		three[i/8] |= b << (i % 8)
	}
	require.NoError(t, Shuffle(three, 32, 1, 3, nil))
	require.Equal(t, words(
		5|3<<16|1<<15|0<<31,
		7<<3|1<<15|1<<31,
		6<<(16+3*4)|0<<15|1<<31,
	), three)

	rows := words(0x76543210, 0xfedcba98)
	require.NoError(t, Shuffle(rows, 16, 1, 4, []int32{15, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0}))
	require.Equal(t, words(0x7531642f, 0x0db9eca8), rows)
}

func TestRefusals(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, c := range []struct {
		want  string
		wrong func(t *Tensors)
	}{
		{"qweight: bits is 5", func(t *Tensors) { t.Bits = 5 }},
		{"qweight: K is 60", func(t *Tensors) { t.K = 60 }},
		{"qweight: N is 0", func(t *Tensors) { t.N = 0 }},
		{"qweight: size is", func(t *Tensors) { t.QWeight = t.QWeight[4:] }},
		{"qzeros: size is", func(t *Tensors) { t.QZeros = t.QZeros[4:] }},
		{"scales: size is", func(t *Tensors) { t.Scales = t.Scales[2:] }},
		{"scales: size is", func(t *Tensors) { t.Scales = nil }},
		{"scales: groups is 3", func(t *Tensors) { t.Scales = append(t.Scales, t.Scales[:2*t.N]...) }},
		{"g_idx: length is 3", func(t *Tensors) { t.GIdx = make([]int32, 3) }},
		{"g_idx: entry 1 is 0", func(t *Tensors) { t.Shuffled, t.GIdx = true, make([]int32, t.K) }},
		{"bias: length is 1", func(t *Tensors) { t.Bias = make([]float32, 1) }},
		{"group index of feature 0", func(t *Tensors) { t.GIdx = slices.Repeat([]int32{7}, t.K) }},
	} {
		m := build(rng, 32, 64, 4, 2, inOrder(64, 2))
		c.wrong(&m.t)
		l := quant.Linear{Name: "up"}
		require.ErrorContains(t, m.t.Linear(&l), c.want)
		require.Error(t, l.Check(), "something is left of a refused layer")
	}
	require.ErrorContains(t, Shuffle(make([]byte, 8), 16, 1, 4, []int32{0, 1}), "g_idx: length is 2")
}

func FuzzTensors(f *testing.F) {
	f.Add(32, 64, 4, true, false, []byte{1, 2, 3}, 2)
	f.Add(32, 32, 3, false, true, []byte{}, 1)
	f.Fuzz(func(t *testing.T, n, k, bits int, shuffled, v2 bool, data []byte, groups int) {
		if n > 1<<10 || k > 1<<10 || groups > 1<<10 || n < 0 || k < 0 || groups < 0 || bits < 0 || bits > 9 {
			return
		}
		fill := func(bytes int) []byte {
			b := make([]byte, bytes)
			for i := range b {
				if len(data) > 0 {
					b[i] = data[i%len(data)] & 0x3b // no NaN and no infinity among scales
				}
			}
			return b
		}
		tensors := Tensors{N: n, K: k, Bits: bits, Shuffled: shuffled, V2: v2,
			QWeight: fill(k * bits / 8 * n), QZeros: fill(groups * n * bits / 8), Scales: fill(2 * groups * n)}
		var l quant.Linear
		if tensors.Linear(&l) == nil {
			require.NoError(t, l.Check())
			require.Equal(t, n, l.Weight.N())
			require.Equal(t, k, l.Weight.K())
		}
	})
}
