package gptq

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

// planarWords is a block of 32 codes as the format's documentation says, one field after the other.
func planarWords(codes []uint8, bits int) []byte {
	widths := map[int][]int{3: {2, 1}, 5: {4, 1}, 6: {4, 2}, 7: {4, 2, 1}}[bits]
	var words []uint32
	shift := 0
	for _, w := range widths {
		for i := range w { // 32/w codes in each of w words
			var word uint32
			for j := range 32 / w {
				word |= uint32(codes[i*(32/w)+j]) >> shift & (1<<w - 1) << (w * j)
			}
			words = append(words, word)
		}
		shift += w
	}
	var out []byte
	for _, w := range words {
		out = binary.LittleEndian.AppendUint32(out, w)
	}
	return out
}

func TestPlanar(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, bits := range []int{3, 5, 6, 7} {
		var blocks []byte
		var all []uint8
		for range 5 {
			codes := make([]uint8, 32)
			for i := range codes {
				codes[i] = uint8(rng.IntN(1 << bits))
			}
			blocks, all = append(blocks, planarWords(codes, bits)...), append(all, codes...)
		}
		want := make([]byte, len(blocks))
		quant.Pack(want, all, bits)
		newPlanar(bits).dense(blocks)
		require.Equal(t, want, blocks, "%d bits", bits)
	}
	for _, bits := range []int{2, 4, 8} {
		require.Nil(t, newPlanar(bits))
	}
	// By hand: 3 bits, codes 0..7 four times: low planes 0,1,2,3,0,1,2,3, high plane 0,0,0,0,1,1,1,1.
	block := []byte{0xe4, 0xe4, 0xe4, 0xe4, 0xe4, 0xe4, 0xe4, 0xe4, 0xf0, 0xf0, 0xf0, 0xf0}
	newPlanar(3).dense(block)
	require.Equal(t, []uint32{0x88FAC688, 0xC688FAC6, 0xFAC688FA},
		[]uint32{binary.LittleEndian.Uint32(block), binary.LittleEndian.Uint32(block[4:]), binary.LittleEndian.Uint32(block[8:])})
}

func BenchmarkPlanar(b *testing.B) {
	p, block := newPlanar(6), make([]byte, 1<<16/24*24)
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		p.dense(block)
	}
}
