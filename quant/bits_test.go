package quant

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// naiveUnpack reads the dense stream one bit at a time.
func naiveUnpack(n int, src []byte, bits int) []uint8 {
	codes := make([]uint8, n)
	for i := range codes {
		for b := range bits {
			at := i*bits + b
			codes[i] |= src[at/8] >> (at % 8) & 1 << b
		}
	}
	return codes
}

// naivePack writes it one bit at a time into size bytes.
func naivePack(size int, codes []uint8, bits int) []byte {
	dst := make([]byte, size)
	for i, c := range codes {
		for b := range bits {
			at := i*bits + b
			dst[at/8] |= c >> b & 1 << (at % 8)
		}
	}
	return dst
}

func TestUnpackAndPackAreTheBitLoop(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for bits := 2; bits <= 8; bits++ {
		for n := 0; n <= 130; n++ {
			need := (n*bits + 7) / 8
			for _, extra := range []int{0, 1, 3, 7, 8, 17} {
				msg := fmt.Sprintf("%d codes of %d bits, %d spare bytes", n, bits, extra)
				src := make([]byte, 1+need+extra) // read from an odd address
				for i := range src {
					src[i] = uint8(rng.Uint32())
				}
				src = src[1:]
				codes := make([]uint8, n+8)
				for i := range codes {
					codes[i] = 0xa5
				}
				Unpack(codes[:n], src[:need+extra:need+extra], bits)
				require.Equal(t, naiveUnpack(n, src, bits), codes[:n:n], msg)
				require.Equal(t, []uint8{0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5}, codes[n:], msg)

				dst := make([]byte, 1+need+extra+8)
				for i := range dst {
					dst[i] = 0x5a
				}
				Pack(dst[1:1+need+extra], codes[:n], bits)
				require.Equal(t, naivePack(need+extra, codes[:n], bits), dst[1:1+need+extra], msg+": the tail becomes zero")
				require.Equal(t, []byte{0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a}, append(dst[:1:1], dst[1+need+extra:]...), msg)
			}
		}
	}
}

func TestPackDropsBitsAboveACode(t *testing.T) {
	for bits := 2; bits <= 8; bits++ {
		codes := make([]uint8, 37)
		for i := range codes {
			codes[i] = 0xff
		}
		dst := make([]byte, 48)
		Pack(dst, codes, bits)
		require.Equal(t, naivePack(48, codes, bits), dst, "%d bits", bits)
	}
}

// A code that straddles bytes and words: formats.md's example of 3 bits has
// code 10 in bits 30..32 and code 21 in bits 63..65.
func TestThreeBitCodesStraddleWords(t *testing.T) {
	codes := make([]uint8, 32)
	codes[10], codes[21] = 0b101, 0b011
	dst := make([]byte, 12)
	Pack(dst, codes, 3)
	require.Equal(t, []byte{0, 0, 0, 0x40, 1, 0, 0, 0x80, 1, 0, 0, 0}, dst)
	got := make([]uint8, 32)
	Unpack(got, dst, 3)
	require.Equal(t, codes, got)
}

func TestShortBuffersPanic(t *testing.T) {
	for bits := 2; bits <= 8; bits++ {
		for _, n := range []int{1, 8, 9, 64} {
			need := (n*bits + 7) / 8
			short := make([]byte, need-1, need+8)
			require.Panics(t, func() { Unpack(make([]uint8, n), short, bits) }, "%d of %d bits", n, bits)
			require.Panics(t, func() { Pack(short, make([]uint8, n), bits) }, "%d of %d bits", n, bits)
		}
	}
}

func FuzzPackUnpack(f *testing.F) {
	f.Add([]byte{0x48, 0x72, 0xf1, 0x3e}, uint8(2), uint8(0))
	f.Add([]byte("a code may straddle bytes and words"), uint8(1), uint8(5))
	f.Add([]byte{}, uint8(6), uint8(9))
	f.Fuzz(func(t *testing.T, src []byte, b, tail uint8) {
		bits := 2 + int(b)%7
		n := len(src) * 8 / bits
		n -= min(n, int(tail)%16)
		codes := make([]uint8, n)
		Unpack(codes, src, bits)
		require.Equal(t, naiveUnpack(n, src, bits), codes)
		dst := make([]byte, len(src))
		Pack(dst, codes, bits)
		require.Equal(t, naivePack(len(src), codes, bits), dst)
	})
}

func BenchmarkUnpack(b *testing.B) { benchmarkBits(b, Unpack) }

func BenchmarkPack(b *testing.B) {
	benchmarkBits(b, func(codes []uint8, row []byte, bits int) { Pack(row, codes, bits) })
}

func benchmarkBits(b *testing.B, run func(codes []uint8, row []byte, bits int)) {
	const k = 14336
	for bits := 2; bits <= 8; bits++ {
		b.Run(fmt.Sprintf("w%d", bits), func(b *testing.B) {
			codes, row := make([]uint8, k), make([]byte, (k*bits+63)/64*8)
			b.SetBytes(int64(len(row)))
			for b.Loop() {
				run(codes, row, bits)
			}
		})
	}
}
