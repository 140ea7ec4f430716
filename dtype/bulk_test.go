package dtype

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// sample returns n values that visit every class of number in every type.
func sample(n int) []float32 {
	special := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, 65504, 65519.996, 65520, -65520, 1e-8, -6e-8, 3e-5, 6.1e-5,
		math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -1e-39,
		float32(math.Inf(1)), float32(math.Inf(-1)), math.Float32frombits(0x7fc01234), math.Float32frombits(0xffa00001),
	}
	rng := rand.New(rand.NewPCG(1, 2))
	v := make([]float32, n)
	for i := range v {
		switch rng.IntN(4) {
		case 0:
			v[i] = special[rng.IntN(len(special))]
		case 1:
			v[i] = math.Float32frombits(rng.Uint32())
		default:
			v[i] = float32(rng.NormFloat64())
		}
	}
	return v
}

func requireSameBits(t *testing.T, want, got []float32, msg string) {
	t.Helper()
	for i := range want {
		if w, g := math.Float32bits(want[i]), math.Float32bits(got[i]); w != g {
			require.Failf(t, "values differ", "%s: element %d: %08x, want %08x", msg, i, g, w)
		}
	}
}

func TestBulkIsScalarAtEveryLengthAndOffset(t *testing.T) {
	values := sample(4096)
	for _, d := range []DType{F32, F16, BF16} {
		for n := 0; n <= 70; n++ {
			for off := range 9 {
				src := values[(n*9+off)*5:][:n]
				msg := fmt.Sprintf("%v, %d elements at byte %d", d, n, off)

				want := make([]byte, n*d.Size())
				for i, v := range src {
					d.Put(want, i, v)
				}
				buf := make([]byte, off+n*d.Size()+3)
				for i := range buf {
					buf[i] = 0xa5
				}
				Encode(d, buf[off:], src)
				require.Equal(t, want, buf[off:off+len(want)], msg)
				for _, guard := range append(buf[:off:off], buf[off+len(want):]...) {
					require.Equal(t, byte(0xa5), guard, msg)
				}

				widened := make([]float32, n)
				for i := range widened {
					widened[i] = d.At(want, i)
				}
				got := make([]float32, n)
				Decode(d, got, buf[off:])
				requireSameBits(t, widened, got, msg)
			}
		}
	}
}

// Every 16-bit pattern, in an order that puts each next to normal and to
// special neighbours, so that no choice per four elements can hide one.
func TestBulkDecodesEveryPattern(t *testing.T) {
	const n = 1 << 16
	for _, d := range []DType{F16, BF16} {
		for _, step := range []int{1, 2053, 0x7c01} {
			src := make([]byte, 2*n)
			want, got := make([]float32, n), make([]float32, n)
			for i := range n {
				binary.LittleEndian.PutUint16(src[2*i:], uint16(i*step))
				want[i] = d.At(src, i)
			}
			Decode(d, got, src)
			requireSameBits(t, want, got, fmt.Sprintf("%v, step %d", d, step))
		}
	}
}

func TestBulkRefusesShortBuffers(t *testing.T) {
	for _, d := range []DType{F32, F16, BF16} {
		short := make([]byte, 5*d.Size()-1, 64) // the capacity is not the caller's to give
		require.Panics(t, func() { Decode(d, make([]float32, 5), short) })
		require.Panics(t, func() { Encode(d, short, make([]float32, 5)) })
	}
}

func BenchmarkDecode(b *testing.B) {
	benchmark(b, func(d DType, v []float32, raw []byte) { Decode(d, v, raw) })
}
func BenchmarkEncode(b *testing.B) {
	benchmark(b, func(d DType, v []float32, raw []byte) { Encode(d, raw, v) })
}

func benchmark(b *testing.B, run func(DType, []float32, []byte)) {
	for _, d := range []DType{F32, F16, BF16} {
		b.Run(d.String(), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			values := make([]float32, 16384)
			for i := range values {
				values[i] = float32(rng.NormFloat64())
			}
			raw := make([]byte, len(values)*d.Size())
			Encode(d, raw, values)
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				run(d, values, raw)
			}
		})
	}
}
